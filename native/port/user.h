// A port whose other side is the program itself: an embedder, a test, a benchmark.
// Packets change hands as slots of the pool; no byte is copied and no privilege
// is needed. Serves either side, overlay or underlay.
#pragma once

#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/fd.h"
#include "port/port.h"

namespace twill {

// A bounded queue of packets between two threads.
class PacketQueue {
 public:
  PacketQueue(Pool& pool, size_t capacity) : pool_(pool), ring_(capacity) {}
  ~PacketQueue();

  // Takes packets over, in order; how many there was room for (the caller keeps the others).
  size_t Push(const Packet* packets, size_t count);
  // Hands up to `want` packets to the caller.
  size_t Pop(Packet* out, size_t want);
  bool empty();
  // Whether `count` packets find room now. If not, the Pop after which they do calls `on_room`, once.
  bool AwaitRoom(size_t count);
  // What waits under one of these numbers (sorted) is nobody's from now on: another peer may get the number.
  void ForgetPeers(std::span<const uint32_t> numbers);

  // Set before the queue is shared. Called from the thread that pops.
  std::function<void()> on_room;

 private:
  Pool& pool_;
  std::mutex mutex_;
  std::vector<Packet> ring_;
  size_t head_ = 0, count_ = 0;
  size_t awaited_ = 0;  // room that somebody waits for
};

// The program's end. Lives as long as anyone uses it.
class UserChannel {
 public:
  static constexpr size_t kCapacity = 1024;
  explicit UserChannel(Pool& pool)
      : to_engine_(pool, kCapacity),
        from_engine_(pool, kCapacity),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  // Program to engine, in order; how many were taken. The caller keeps the others: the queue is full.
  size_t Push(const Packet* packets, size_t count);
  bool Push(const Packet& packet) { return Push(&packet, 1) == 1; }
  // Engine to program.
  size_t Pull(Packet* out, size_t want) { return from_engine_.Pop(out, want); }

  // Called from a worker when packets have come for the program.
  std::function<void()> on_readable;
  PacketQueue& to_engine() { return to_engine_; }
  PacketQueue& from_engine() { return from_engine_; }

 private:
  friend class UserPort;
  void Knock();
  void Quieten();

  PacketQueue to_engine_, from_engine_;
  Fd wake_;
  // A word: exchanging less takes a library on RISC-V.
  std::atomic<uint32_t> knocked_{0};
};

class UserPort final : public Port {
 public:
  // `full`: what a packet ends with that finds no room on the program's side.
  UserPort(std::shared_ptr<UserChannel> channel, DropReason full)
      : channel_(std::move(channel)), full_(full) {}
  size_t Recv(Batch& batch) override;
  void Send(Batch& batch) override;
  int poll_fd() const override { return channel_->wake_.get(); }

 private:
  void OwnViews(Batch& batch) const;

  std::shared_ptr<UserChannel> channel_;
  DropReason full_;
  // Of one Recv; here, so that no call clears 10 kB first.
  std::array<Packet, kBatchMax> crossing_;
};

}  // namespace twill
