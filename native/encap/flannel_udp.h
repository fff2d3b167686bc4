// flannel's `udp`: the payload of a datagram is one bare IPv4 packet. No header,
// no IPv6, no ECN or TOS carried over; each end is a router hop.
#pragma once

#include "encap/encapsulation.h"

namespace twill {

class FlannelUdp {
 public:
  static constexpr size_t kHeaderBytes = 0;
  static constexpr bool kCarriesIpv6 = false;
  static constexpr bool kDecrementsTtl = true;
  static constexpr bool kSourcePortPerFlow = false;
  static constexpr bool kMayArriveUnfinished = false;
  static constexpr uint8_t kIcmpTtl = 8;  // as flannel's proxy

  void Cook(const Mac&, Peer& row) const { row.header_len = 0; }

  void Push(Packet& packet, const InnerPacket&, const Peer&) const { packet.tos = 0; }

  DropReason Pop(Packet& packet, uint8_t& version) const {
    version = 4;
    return packet.len == 0 ? DropReason::kShort : DropReason::kNone;
  }

  DropReason CombineEcn(Packet&, const InnerPacket&, uint8_t) const { return DropReason::kNone; }
};

static_assert(Encapsulation<FlannelUdp>);

}  // namespace twill
