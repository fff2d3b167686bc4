#include "path/decap_path.h"

#include "encap/flannel_udp.h"
#include "encap/vxlan.h"
#include "wire/checksum_offload.h"

namespace twill {

// As in the encap path, each pass starts loading what the next one reads. A sender is
// known if the row of the inner source names it, which costs nothing; the set of all
// endpoints is asked only where that row says nothing, or to name the first reason. The same two say under
// which peer a packet is counted; without the source check the row of the inner source alone, true or not.
template <typename E>
void DecapPathFor<E>::Judge(const PeerTable& table, Batch& batch) {
  std::array<InnerPacket, kBatchMax> inner;
  std::array<uint32_t, kBatchMax> guess;
  for (size_t i = 0; i < batch.size(); i++) batch[i].drop = Unwrap(table, batch[i], inner[i]);
  for (size_t i = 0; i < batch.size(); i++) {
    if (batch[i].drop == DropReason::kNone) guess[i] = table.Guess(inner[i].family, inner[i].source());
  }
  for (size_t i = 0; i < batch.size(); i++) {
    Packet& packet = batch[i];
    if (packet.drop == DropReason::kNone) packet.drop = Accept(table, packet, inner[i], guess[i]);
    if (packet.drop == DropReason::kNone) continue;
    const auto* endpoint = table.FindEndpoint(packet.remote.address);
    if (endpoint != nullptr) {
      packet.peer_number = endpoint->number;
    } else if (!packet.truncated && node_.source_check) {
      packet.drop = DropReason::kUnknownPeer;
    }
  }
}

template <typename E>
DropReason DecapPathFor<E>::Unwrap(const PeerTable& table, Packet& packet, InnerPacket& inner) const {
  packet.peer_number = kNoPeer;
  if (packet.truncated) return DropReason::kTruncated;
  uint8_t version = 0;
  DropReason reason = encapsulation_.Pop(packet, version);
  if (reason != DropReason::kNone) return reason;
  reason = ParseInner(packet.data, packet.len, inner);
  if (reason != DropReason::kNone) return reason;
  if (inner.family != version) return DropReason::kInnerVersion;
  packet.len = inner.length;  // what follows is Ethernet padding
  table.Prefetch(version, inner.source());
  return DropReason::kNone;
}

template <typename E>
DropReason DecapPathFor<E>::Accept(const PeerTable& table, Packet& packet, const InnerPacket& inner,
                                   uint32_t guess) const {
  const Peer* peer = table.Confirm(inner.family, inner.source(), guess);
  if (peer != nullptr) packet.peer_number = peer->number;
  if (node_.source_check) {
    DropReason reason = CheckSource(table, packet, inner, peer);
    if (reason != DropReason::kNone) return reason;
  }
  if (AsksForSourceRoute(inner)) return DropReason::kSourceRoute;
  if (E::kDecrementsTtl) {
    if (inner.ttl() <= 1) return DropReason::kTtlExceeded;
    DecrementTtl(inner, packet.data);
  }
  DropReason reason = encapsulation_.CombineEcn(packet, inner, packet.tos);
  if (reason != DropReason::kNone) return reason;
  if (E::kMayArriveUnfinished) {
    PartialChecksum partial = FindPartialChecksum(inner);
    packet.csum_start = partial.start;
    packet.csum_offset = partial.offset;
  }
  return DropReason::kNone;
}

template <typename E>
DropReason DecapPathFor<E>::CheckSource(const PeerTable& table, Packet& packet, const InnerPacket& inner,
                                        const Peer* peer) const {
  if (IsMartianSource(inner)) return DropReason::kMartian;
  if (node_.Owns(inner.family, inner.source())) return DropReason::kOwnSource;
  bool in_subnet = peer != nullptr && peer->endpoint.address == packet.remote.address;
  if (!in_subnet) {
    if (!(inner.SourceAddress() == packet.remote.address)) return DropReason::kSourceMismatch;
    const auto* endpoint = table.FindEndpoint(packet.remote.address);
    if (endpoint == nullptr) return DropReason::kUnknownPeer;
    packet.peer_number = endpoint->number;
  }
  return node_.Owns(inner.family, inner.destination()) ? DropReason::kNone : DropReason::kNotForUs;
}

template class DecapPathFor<FlannelUdp>;
template class DecapPathFor<Vxlan>;

}  // namespace twill
