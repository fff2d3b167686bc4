#include "port/user.h"

#include "wire/checksum_offload.h"

namespace twill {

PacketQueue::~PacketQueue() {
  Packet packet;
  while (Pop(&packet, 1) == 1) pool_.Give(&packet.slot, 1);
}

bool PacketQueue::Push(const Packet& packet) {
  std::lock_guard lock(mutex_);
  if (count_ == ring_.size()) return false;
  ring_[(head_ + count_) % ring_.size()] = packet;
  count_++;
  return true;
}

size_t PacketQueue::Pop(Packet* out, size_t want) {
  std::lock_guard lock(mutex_);
  size_t n = want < count_ ? want : count_;
  for (size_t i = 0; i < n; i++) {
    out[i] = ring_[head_];
    head_ = (head_ + 1) % ring_.size();
  }
  count_ -= n;
  return n;
}

bool UserChannel::Push(const Packet& packet) {
  if (!to_engine_.Push(packet)) return false;
  eventfd_write(wake_.get(), 1);
  return true;
}

size_t UserPort::Recv(Batch& batch) {
  if (batch.room() == 0) return 0;
  std::array<Packet, kBatchMax> packets;
  size_t n = channel_->to_engine_.Pop(packets.data(), batch.room());
  if (n == 0) {
    // Empty: quieten the descriptor, then look again, so that no wake-up is lost.
    eventfd_t count;
    eventfd_read(channel_->wake_.get(), &count);
    n = channel_->to_engine_.Pop(packets.data(), batch.room());
  }
  for (size_t i = 0; i < n; i++) batch.Adopt(packets[i]);
  return n;
}

void UserPort::Send(Batch& batch) {
  bool any = false;
  for (Packet& p : batch) {
    FinishChecksum(p.data, p.len, {p.csum_start, p.csum_offset});
    p.csum_start = 0;
    if (channel_->from_engine_.Push(p)) {
      p.slot = kNoSlot;
      any = true;
    } else {
      p.Fail(DropReason::kDeviceBusy, 1);
    }
  }
  if (any && channel_->on_readable) channel_->on_readable();
}

}  // namespace twill
