// A port whose other side is the program itself: an embedder, a test, a benchmark.
// Packets change hands as slots of the pool; no byte is copied and no privilege
// is needed. Serves either side, overlay or underlay.
#pragma once

#include <sys/eventfd.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fd.h"
#include "port/port.h"

namespace twill {

// A bounded queue of packets between two threads.
class PacketQueue {
 public:
  PacketQueue(Pool& pool, size_t capacity) : pool_(pool), ring_(capacity) {}
  ~PacketQueue();

  // Takes the packet over; false where the queue is full (the caller keeps it).
  bool Push(const Packet& packet);
  // Hands up to `want` packets to the caller.
  size_t Pop(Packet* out, size_t want);

 private:
  Pool& pool_;
  std::mutex mutex_;
  std::vector<Packet> ring_;
  size_t head_ = 0, count_ = 0;
};

// The program's end. Lives as long as anyone uses it.
class UserChannel {
 public:
  static constexpr size_t kCapacity = 1024;
  explicit UserChannel(Pool& pool)
      : to_engine_(pool, kCapacity),
        from_engine_(pool, kCapacity),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  // Program to engine. False: full, the caller keeps the packet.
  bool Push(const Packet& packet);
  // Engine to program.
  size_t Pull(Packet* out, size_t want) { return from_engine_.Pop(out, want); }

  // Called from a worker when packets have come for the program.
  std::function<void()> on_readable;

 private:
  friend class UserPort;
  PacketQueue to_engine_, from_engine_;
  Fd wake_;
};

class UserPort final : public Port {
 public:
  explicit UserPort(std::shared_ptr<UserChannel> channel) : channel_(std::move(channel)) {}
  size_t Recv(Batch& batch) override;
  void Send(Batch& batch) override;
  int poll_fd() const override { return channel_->wake_.get(); }

 private:
  std::shared_ptr<UserChannel> channel_;
};

}  // namespace twill
