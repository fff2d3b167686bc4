#include "engine/accounting.h"

namespace twill {

namespace {

struct Delivered {
  uint64_t packets;
  uint64_t bytes;
};

Delivered DeliveredOf(const Packet& p) {
  if (p.drop == DropReason::kNone) return {p.segments, p.InnerBytes()};
  uint64_t sent = p.segments - p.lost;
  return {sent, p.InnerBytes() * sent / p.segments};
}

}  // namespace

void CountReceived(const Batch& batch, Tally& tally) {
  for (size_t i = 0; i < batch.size(); i++) {
    tally.received += batch[i].segments;
    tally.received_bytes += batch[i].InnerBytes();
  }
}

void CountSent(const Batch& batch, Tally& tally) {
  for (size_t i = 0; i < batch.size(); i++) {
    const Packet& p = batch[i];
    Delivered delivered = DeliveredOf(p);
    if (p.drop != DropReason::kNone) tally.Drop(p.drop, p.lost, p.peer_number);
    tally.delivered += delivered.packets;
    tally.delivered_bytes += delivered.bytes;
  }
}

// Neighbours are often of one peer, so they are summed first.
void CountPeers(const Batch& batch, PeerCounters& peers, Direction direction, uint64_t now_ns) {
  bool encap = direction == Direction::kEncap;
  for (size_t i = 0; i < batch.size(); i++) peers.Prefetch(batch[i].peer_number);
  for (size_t i = 0; i < batch.size();) {
    uint32_t number = batch[i].peer_number;
    Delivered sum{0, 0};
    for (; i < batch.size() && batch[i].peer_number == number; i++) {
      Delivered delivered = DeliveredOf(batch[i]);
      sum.packets += delivered.packets;
      sum.bytes += delivered.bytes;
    }
    if (sum.packets == 0) continue;
    peers.Add(number, encap ? PeerCount::kEncapPackets : PeerCount::kDecapPackets, sum.packets);
    peers.Add(number, encap ? PeerCount::kEncapBytes : PeerCount::kDecapBytes, sum.bytes);
    if (!encap) peers.Set(number, PeerCount::kDecapLastNs, now_ns);
  }
}

}  // namespace twill
