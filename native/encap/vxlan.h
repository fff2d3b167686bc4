// VXLAN (RFC 7348) as flannel's kernel device speaks it: routed IP inside a
// synthesised Ethernet frame between two VTEPs.
//
//   UDP payload
//    0                   1                   2                   3
//   |R|R|R|R|I|R|R|R|            Reserved                           |  flags: 0x08000000
//   |                VXLAN Network Identifier (VNI) |   Reserved    |
//   | inner destination MAC (6): the peer's VTEP                    |
//   | inner source MAC (6): ours                    | EtherType (2) |
//   | IP packet ...
//
// Linux refuses reserved bits where RFC 7348 would ignore them; so do we.
#pragma once

#include "encap/encapsulation.h"

namespace twill {

class Vxlan {
 public:
  static constexpr bool kCarriesIpv6 = true;
  static constexpr bool kDecrementsTtl = false;  // the kernel routed it into the device already
  static constexpr bool kSourcePortPerFlow = true;
  static constexpr bool kMayArriveUnfinished = true;
  static constexpr uint8_t kIcmpTtl = 64;

  static constexpr size_t kVxlanBytes = 8;
  static constexpr size_t kEthernetBytes = 14;
  static constexpr size_t kHeaderBytes = kVxlanBytes + kEthernetBytes;
  static constexpr uint32_t kFlagVni = 0x08000000;
  static constexpr uint16_t kEtherTypeIpv4 = 0x0800, kEtherTypeIpv6 = 0x86dd;
  static_assert(kHeaderBytes <= kCookedBytes && kHeaderBytes <= kHeadroomBytes);

  // flannel has a device for each family, so a VTEP may have a MAC for each.
  Vxlan(uint32_t vni, const Mac& mac, const Mac& mac_v6) : vni_(vni), mac_(mac), mac_v6_(mac_v6) {}
  Vxlan(uint32_t vni, const Mac& mac) : Vxlan(vni, mac, mac) {}

  void Cook(const Mac& peer_mac, Peer& row) const;

  void Push(Packet& packet, const InnerPacket& inner, const Peer& peer) const {
    packet.tos = OuterEcn(inner.tos());
    packet.PushFront(kHeaderBytes);
    std::memcpy(packet.data, peer.header.data(), kHeaderBytes);
  }

  DropReason Pop(Packet& packet, uint8_t& version) const;

  // RFC 6040 section 4.2 with the choices of Linux (INET_ECN_decapsulate).
  DropReason CombineEcn(Packet& packet, const InnerPacket& inner, uint8_t outer_tos) const;

 private:
  // RFC 6040 compatibility with Linux: CE inside leaves as ECT(0) outside; DSCP stays 0.
  static uint8_t OuterEcn(uint8_t inner_tos) {
    uint8_t ecn = inner_tos & 3;
    return ecn == 3 ? 2 : ecn;
  }

  uint32_t vni_;
  Mac mac_;     // ours, of frames with IPv4 inside
  Mac mac_v6_;  // with IPv6
};

static_assert(Encapsulation<Vxlan>);

}  // namespace twill
