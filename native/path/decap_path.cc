#include "path/decap_path.h"

#include "encap/flannel_udp.h"
#include "encap/vxlan.h"
#include "wire/checksum_offload.h"

namespace twill {

template <typename E>
void DecapPathFor<E>::Run(const PeerTable& table, Batch& batch, Tally& tally) {
  std::array<InnerPacket, kBatchMax> inner;
  IpAddr known;  // datagrams come in runs from one peer: look its endpoint up once
  for (size_t i = 0; i < batch.size(); i++) {
    Packet& packet = batch[i];
    if (packet.truncated) {
      packet.drop = DropReason::kTruncated;
      continue;
    }
    if (node_.source_check && !(packet.remote.address == known)) {
      if (!table.IsEndpoint(packet.remote.address)) {
        packet.drop = DropReason::kUnknownPeer;
        continue;
      }
      known = packet.remote.address;
    }
    packet.drop = Unwrap(table, packet, inner[i]);
  }
  for (size_t i = 0; i < batch.size(); i++) {
    if (batch[i].drop == DropReason::kNone) batch[i].drop = Accept(table, batch[i], inner[i]);
  }
  batch.RemoveDropped(tally);
}

template <typename E>
DropReason DecapPathFor<E>::Unwrap(const PeerTable& table, Packet& packet, InnerPacket& inner) const {
  uint8_t version = 0;
  DropReason reason = encapsulation_.Pop(packet, version);
  if (reason != DropReason::kNone) return reason;
  reason = ParseInner(packet.data, packet.len, inner);
  if (reason != DropReason::kNone) return reason;
  if (inner.family != version) return DropReason::kInnerVersion;
  packet.len = inner.length;  // what follows is Ethernet padding
  if (node_.source_check) {
    if (version == 4) {
      table.PrefetchV4(inner.source());
    } else {
      table.PrefetchV6(inner.source());
    }
  }
  return DropReason::kNone;
}

template <typename E>
DropReason DecapPathFor<E>::Accept(const PeerTable& table, Packet& packet, const InnerPacket& inner) const {
  if (node_.source_check) {
    DropReason reason = CheckSource(table, packet, inner);
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
DropReason DecapPathFor<E>::CheckSource(const PeerTable& table, const Packet& packet,
                                        const InnerPacket& inner) const {
  if (IsMartianSource(inner)) return DropReason::kMartian;
  if (node_.Owns(inner.family, inner.source())) return DropReason::kOwnSource;
  const Peer* peer = inner.family == 4 ? table.LookupV4(inner.source()) : table.LookupV6(inner.source());
  bool in_subnet = peer != nullptr && peer->endpoint.address == packet.remote.address;
  if (!in_subnet && !(inner.SourceAddress() == packet.remote.address)) return DropReason::kSourceMismatch;
  return node_.Owns(inner.family, inner.destination()) ? DropReason::kNone : DropReason::kNotForUs;
}

template class DecapPathFor<FlannelUdp>;
template class DecapPathFor<Vxlan>;

}  // namespace twill
