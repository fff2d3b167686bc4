#include "path/encap_path.h"

#include "encap/flannel_udp.h"
#include "encap/vxlan.h"
#include "wire/icmp.h"

namespace twill {

namespace {

// A datagram of the tunnel itself, on its way to a peer's endpoint: sending it
// through the tunnel would wrap it again, and again.
bool IsOwnTunnel(const PeerTable& table, const InnerPacket& inner, uint16_t cluster_port) {
  if (inner.protocol() != kProtocolUdp || inner.LaterFragment()) return false;
  if (inner.length < inner.header_len + 4u) return false;
  if (LoadBe16(inner.data + inner.header_len + 2) != cluster_port) return false;
  return table.IsEndpoint(inner.DestinationAddress());
}

}  // namespace

// Three passes, each of which starts loading what the next one reads: so a large
// table costs hardly more than a small one.
template <typename E>
void EncapPathFor<E>::Judge(const PeerTable& table, Batch& batch, Batch& answers, uint64_t now_ns,
                            Tally& tally) {
  std::array<InnerPacket, kBatchMax> inner;
  std::array<uint32_t, kBatchMax> guess;
  for (size_t i = 0; i < batch.size(); i++) batch[i].drop = Parse(table, batch[i], inner[i]);
  for (size_t i = 0; i < batch.size(); i++) {
    if (batch[i].drop == DropReason::kNone) guess[i] = table.Guess(inner[i].family, inner[i].destination());
  }
  for (size_t i = 0; i < batch.size(); i++) {
    Packet& packet = batch[i];
    if (packet.drop != DropReason::kNone) continue;
    packet.drop = Forward(table, packet, inner[i], guess[i]);
    if (packet.drop != DropReason::kNone) Answer(packet.drop, inner[i], answers, now_ns, tally);
  }
}

template <typename E>
DropReason EncapPathFor<E>::Parse(const PeerTable& table, Packet& packet, InnerPacket& inner) const {
  packet.peer_number = kNoPeer;
  if (packet.drop != DropReason::kNone) return packet.drop;  // the port found fault with it
  if (!E::kCarriesIpv6 && packet.len > 0 && packet.data[0] >> 4 == 6) return DropReason::kFamily;
  DropReason reason = ParseInner(packet.data, packet.len, inner);
  if (reason != DropReason::kNone) return reason;
  packet.len = inner.length;
  table.Prefetch(inner.family, inner.destination());
  return DropReason::kNone;
}

template <typename E>
DropReason EncapPathFor<E>::Forward(const PeerTable& table, Packet& packet, const InnerPacket& inner,
                                    uint32_t guess) const {
  const Peer* peer = table.Confirm(inner.family, inner.destination(), guess);
  if (peer == nullptr) return DropReason::kNoRoute;
  packet.remote = peer->endpoint;
  packet.peer_number = peer->number;
  if (IsOwnTunnel(table, inner, node_.cluster_port)) return DropReason::kLoop;
  if (E::kDecrementsTtl && inner.ttl() <= 1) return DropReason::kTtlExceeded;
  // What goes on the wire: of a super-packet, one segment.
  uint32_t longest = packet.IsSuper() ? packet.header_bytes + uint32_t{packet.segment_bytes} : inner.length;
  if (longest > node_.inner_mtu_bytes) return DropReason::kTooBig;
  if (E::kDecrementsTtl) DecrementTtl(inner, packet.data);
  if (E::kSourcePortPerFlow) {
    packet.flow_hash = FlowHash(inner, flow_seed_);
    packet.hides_flow = inner.Fragment();
  }
  encapsulation_.Push(packet, inner, *peer);
  return DropReason::kNone;
}

template <typename E>
void EncapPathFor<E>::Answer(DropReason reason, const InnerPacket& offender, Batch& answers, uint64_t now_ns,
                             Tally& tally) {
  IcmpError error;
  switch (reason) {
    case DropReason::kNoRoute:
      error = IcmpError::kNetUnreachable;
      break;
    case DropReason::kTtlExceeded:
      error = IcmpError::kTimeExceeded;
      break;
    case DropReason::kTooBig:
      error = IcmpError::kFragmentationNeeded;
      break;
    default:
      return;
  }
  const IpAddr& source = offender.family == 4 ? node_.icmp_source_v4 : node_.icmp_source_v6;
  if (source.family == 0 || !MayAnswer(offender)) return;
  if (!limiter_.Allow(offender, now_ns) || answers.Grow(1) == 0) {
    tally.icmp_suppressed++;
    return;
  }
  Packet& answer = answers[answers.size() - 1];
  answer.len = static_cast<uint32_t>(
      BuildIcmpError(error, offender, source, E::kIcmpTtl, node_.inner_mtu_bytes, answer.data));
  tally.icmp_sent++;
}

template <typename E>
DropReason EncapPathFor<E>::Trace(const PeerTable& table, const IpAddr& destination,
                                  const Peer*& peer) const {
  if (!E::kCarriesIpv6 && destination.family == 6) return DropReason::kFamily;
  peer = table.Lookup(destination);
  return peer == nullptr ? DropReason::kNoRoute : DropReason::kNone;
}

template class EncapPathFor<FlannelUdp>;
template class EncapPathFor<Vxlan>;

}  // namespace twill
