// The only loop of the packet path. A worker carries a batch from one side to the
// other before it takes the next (run to completion): no queue, no lock, no
// allocation, no copy of a payload.
#pragma once

#include <pthread.h>

#include <atomic>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "engine/mailbox.h"
#include "engine/tap_slot.h"
#include "path/tunnel.h"
#include "port/port.h"

namespace twill {

class Worker {
 public:
  struct Parts {
    size_t index = 0;
    int cpu = -1;  // the only processor that the thread may use; -1: any
    Mailbox* mailbox = nullptr;
    TapSlot* tap = nullptr;
    Pool* pool = nullptr;
    std::unique_ptr<Port> overlay;
    std::vector<std::unique_ptr<Port>> underlays;
    std::unique_ptr<EncapPath> encap;
    std::unique_ptr<DecapPath> decap;
  };

  explicit Worker(Parts parts);
  ~Worker() { Stop(); }

  Result<> Start();
  // Ends the thread after the batch in hand. Nothing is lost inside; a second call does nothing.
  void Stop();

  // Goes on with other parts; while no thread runs. What the old underlay ports have received goes its way
  // first.
  void Replace(Parts parts);
  // Those of now: of the overlay, and of the underlay port of a family; -1: it has none.
  int overlay_fd() const { return parts_.overlay->poll_fd(); }
  int underlay_fd(uint8_t family) const;

  // Asks the thread for a sign of life; Answered tells whether it has given the last one. Any other thread.
  void Knock();
  bool Answered() const {
    return answered_.load(std::memory_order_relaxed) == asked_.load(std::memory_order_relaxed);
  }

  // One sweep in both directions; how many packets were received. Start's thread calls
  // this; without a thread the caller does.
  size_t Step();

  Counters encap_counters, decap_counters;

 private:
  static void* Main(void* self);
  void Run();
  void Await();
  void HearKnock();
  size_t SweepOut(const PeerTable& table, uint64_t now_ns);
  size_t SweepIn(const PeerTable& table, Port& underlay, uint64_t now_ns);
  const Port* SocketFor(const Packet& packet) const;

  Parts parts_;
  Fd wake_;
  pthread_t thread_{};
  bool running_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<uint32_t> asked_{0}, answered_{0};
};

}  // namespace twill
