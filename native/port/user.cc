#include "port/user.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "wire/checksum_offload.h"

namespace twill {

PacketQueue::~PacketQueue() {
  Packet packet;
  while (Pop(&packet, 1) == 1) pool_.Give(&packet.slot, 1);
}

size_t PacketQueue::Push(const Packet* packets, size_t count) {
  std::lock_guard lock(mutex_);
  size_t n = std::min(count, ring_.size() - count_);
  size_t at = (head_ + count_) % ring_.size();
  for (size_t i = 0; i < n; i++) {
    ring_[at] = packets[i];
    if (++at == ring_.size()) at = 0;
  }
  count_ += n;
  return n;
}

size_t PacketQueue::Pop(Packet* out, size_t want) {
  size_t n = 0;
  bool has_room = false;
  {
    std::lock_guard lock(mutex_);
    n = std::min(want, count_);
    for (size_t i = 0; i < n; i++) {
      out[i] = ring_[head_];
      if (++head_ == ring_.size()) head_ = 0;
    }
    count_ -= n;
    has_room = awaited_ != 0 && ring_.size() - count_ >= awaited_;
    if (has_room) awaited_ = 0;
  }
  if (has_room && on_room) on_room();
  return n;
}

bool PacketQueue::empty() {
  std::lock_guard lock(mutex_);
  return count_ == 0;
}

bool PacketQueue::AwaitRoom(size_t count) {
  std::lock_guard lock(mutex_);
  bool has_room = ring_.size() - count_ >= count;
  awaited_ = has_room ? 0 : count;
  return has_room;
}

void PacketQueue::ForgetPeers(std::span<const uint32_t> numbers) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < count_; i++) {
    uint32_t& number = ring_[(head_ + i) % ring_.size()].peer_number;
    if (std::binary_search(numbers.begin(), numbers.end(), number)) number = kNoPeer;
  }
}

size_t UserChannel::Push(const Packet* packets, size_t count) {
  size_t taken = to_engine_.Push(packets, count);
  if (taken > 0) Knock();
  return taken;
}

// One write wakes the workers for any number of packets: until one of them has found the queue empty, all of
// them look again by themselves.
void UserChannel::Knock() {
  if (knocked_.exchange(1, std::memory_order_acq_rel) == 0) eventfd_write(wake_.get(), 1);
}

// Whoever calls this looks at the queue afterwards. A packet that came before the exchange is found then; one
// that comes later knocks anew.
void UserChannel::Quieten() {
  eventfd_t count;
  eventfd_read(wake_.get(), &count);
  knocked_.exchange(0, std::memory_order_acq_rel);
}

size_t UserPort::Recv(Batch& batch) {
  if (batch.room() == 0) return 0;
  size_t n = channel_->to_engine_.Pop(crossing_.data(), batch.room());
  if (n == 0) {
    channel_->Quieten();
    n = channel_->to_engine_.Pop(crossing_.data(), batch.room());
  }
  for (size_t i = 0; i < n; i++) batch.Adopt(crossing_[i]);
  return n;
}

// A datagram that the kernel had put together with others is a view of their common buffer. It gets one of
// its own here: a short copy, for which the kernel is spared making a packet of it.
void UserPort::OwnViews(Batch& batch) const {
  std::array<uint32_t, kBatchMax> slots;
  size_t wanted = 0, used = 0;
  for (const Packet& p : batch) wanted += p.slot == kNoSlot;
  if (wanted == 0) return;
  Pool& pool = batch.pool();
  size_t taken = pool.Take(slots.data(), wanted);
  for (Packet& p : batch) {
    if (p.slot != kNoSlot) continue;
    if (used == taken) {
      p.Fail(full_, 1);
      continue;
    }
    p.slot = slots[used++];
    uint8_t* own = pool.PacketStart(p.slot);
    std::memcpy(own, p.data, p.len);
    p.data = own;
  }
}

void UserPort::Send(Batch& batch) {
  OwnViews(batch);
  for (Packet& p : batch) {
    if (p.drop != DropReason::kNone) continue;
    FinishChecksum(p.data, p.len, {p.csum_start, p.csum_offset});
    p.csum_start = 0;
  }
  // In stretches between those that found no buffer.
  bool any = false;
  for (size_t begin = 0, end; begin < batch.size(); begin = end) {
    for (end = begin; end < batch.size() && batch[end].drop == DropReason::kNone;) end++;
    size_t taken = channel_->from_engine_.Push(&batch[begin], end - begin);
    any |= taken > 0;
    for (size_t i = begin; i < end; i++) {
      if (i < begin + taken) {
        batch[i].slot = kNoSlot;
      } else {
        batch[i].Fail(full_, 1);
      }
    }
    while (end < batch.size() && batch[end].drop != DropReason::kNone) end++;
  }
  if (any && channel_->on_readable) channel_->on_readable();
}

}  // namespace twill
