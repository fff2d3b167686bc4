#include "buffer/batch.h"

namespace twill {

size_t Batch::Grow(size_t want) {
  std::array<uint32_t, kBatchMax> slots;
  size_t taken = pool_->Take(slots.data(), want < room() ? want : room());
  for (size_t i = 0; i < taken; i++) {
    Packet& p = packets_[count_++];
    p = Packet{};
    p.slot = slots[i];
    p.data = pool_->PacketStart(slots[i]);
  }
  return taken;
}

void Batch::Truncate(size_t count) {
  if (count >= count_) return;
  std::array<uint32_t, kBatchMax> slots;
  size_t n = 0;
  for (size_t i = count; i < count_; i++) {
    if (packets_[i].slot != kNoSlot) slots[n++] = packets_[i].slot;
  }
  pool_->Give(slots.data(), n);
  count_ = count;
}

void Batch::Clear() {
  Truncate(0);
  pool_->Give(held_.data(), held_count_);
  held_count_ = 0;
}

void Batch::RemoveDropped(Tally& tally) {
  std::array<uint32_t, kBatchMax> slots;
  size_t dropped = 0, kept = 0;
  for (size_t i = 0; i < count_; i++) {
    Packet& p = packets_[i];
    if (p.drop != DropReason::kNone) {
      tally.Drop(p.drop, p.segments, p.peer_number);
      if (p.slot != kNoSlot) slots[dropped++] = p.slot;
    } else {
      if (kept != i) packets_[kept] = p;
      kept++;
    }
  }
  pool_->Give(slots.data(), dropped);
  count_ = kept;
}

}  // namespace twill
