#include "tap/tap.h"

#include <algorithm>

namespace twill {

void TapSweep::CopyOne(const Packet& packet, uint16_t local_port) {
  const TapFilter& filter = tap_->config_.filter;
  Entry& entry = entries_[count_++];
  entry = {false, packet.drop, nullptr};
  if (++lane_->passed % filter.every != 0) return;
  uint32_t encap_bytes = packet.encap_bytes;
  if (direction_ == TapDirection::kDecap)
    encap_bytes = std::min<uint32_t>(tap_->config_.encap_bytes, packet.len);
  entry.wanted = filter.Accepts(packet.remote.address, packet.bytes().subspan(encap_bytes));
  if (!entry.wanted) return;
  uint32_t captured = std::min(packet.len, tap_->config_.snap_bytes);
  TapRecord* record = lane_->ring.Append(captured);
  entry.record = record;
  if (record == nullptr) return;
  record->payload_bytes = packet.len;
  record->remote_port = packet.remote.port;
  record->local_port = local_port;
  record->time_ns = time_ns_;
  record->direction = direction_;
  record->encap_bytes = static_cast<uint8_t>(encap_bytes);
  record->tos = packet.tos;
  record->segments = packet.segments;
  record->segment_bytes = packet.segment_bytes;
  record->flags = static_cast<uint8_t>((packet.csum_start != 0 ? kTapUnfinished : 0) |
                                       (packet.truncated ? kTapTruncated : 0));
  record->remote_family = packet.remote.address.family;
  std::memset(record->reserved, 0, sizeof record->reserved);
  std::memcpy(record->remote_address, packet.remote.address.bytes.data(), sizeof record->remote_address);
  std::memcpy(TapRing::BytesOf(record), packet.data, captured);
}

void TapSweep::Judged(const Batch& batch) {
  for (size_t i = 0; tap_ != nullptr && i < count_; i++) {
    entries_[i].drop = batch[i].drop;
    if (batch[i].drop == DropReason::kNone) going_[going_count_++] = static_cast<uint8_t>(i);
  }
}

void TapSweep::Sent(const Batch& batch) {
  if (tap_ == nullptr) return;
  for (size_t i = 0; i < going_count_; i++) entries_[going_[i]].drop = batch[i].drop;
  uint64_t kept = 0, lost = 0;
  for (size_t i = 0; i < count_; i++) {
    Entry& entry = entries_[i];
    if (!entry.wanted) continue;
    bool accepted = tap_->config_.filter.Accepts(entry.drop);
    if (entry.record == nullptr) {
      lost += accepted;
    } else if (accepted) {
      entry.record->drop = static_cast<uint8_t>(entry.drop);
      kept++;
    } else {
      TapRing::Skip(entry.record);
    }
  }
  if (kept > 0) {
    lane_->ring.Commit();
    lane_->kept.store(lane_->kept.load(std::memory_order_relaxed) + kept, std::memory_order_relaxed);
  } else {
    lane_->ring.Withdraw();
  }
  if (lost > 0)
    lane_->lost.store(lane_->lost.load(std::memory_order_relaxed) + lost, std::memory_order_relaxed);
}

}  // namespace twill
