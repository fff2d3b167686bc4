#include "encap/vxlan.h"

namespace twill {

namespace {
constexpr uint8_t kNotEct = 0, kEct1 = 1, kEct0 = 2, kCe = 3;

bool IsZero(const uint8_t* mac) {
  static constexpr uint8_t zero[6] = {};
  return std::memcmp(mac, zero, 6) == 0;
}
}  // namespace

void Vxlan::Cook(const Mac& peer_mac, Peer& row) const {
  uint8_t* h = row.header.data();
  StoreBe32(h, kFlagVni);
  StoreBe32(h + 4, vni_ << 8);
  std::memcpy(h + 8, peer_mac.data(), 6);
  bool v4 = row.subnet.address.family == 4;
  std::memcpy(h + 14, (v4 ? mac_ : mac_v6_).data(), 6);
  StoreBe16(h + 20, v4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
  row.header_len = kHeaderBytes;
}

DropReason Vxlan::Pop(Packet& packet, uint8_t& version) const {
  const uint8_t* d = packet.data;
  if (packet.len < kVxlanBytes) return DropReason::kShort;
  uint32_t flags = LoadBe32(d), vni = LoadBe32(d + 4);
  if (!(flags & kFlagVni)) return DropReason::kNoVniFlag;
  if (flags != kFlagVni || (vni & 0xff) != 0) return DropReason::kReservedBits;
  if (vni >> 8 != vni_) return DropReason::kVni;
  if (packet.len < kHeaderBytes) return DropReason::kShort;
  const uint8_t *destination = d + 8, *source = d + 14;
  uint16_t ether_type = LoadBe16(d + 20);
  const uint8_t* own = (ether_type == kEtherTypeIpv6 ? mac_v6_ : mac_).data();
  bool multicast = source[0] & 1;
  if (multicast || IsZero(source) || std::memcmp(source, own, 6) == 0) return DropReason::kMacSource;
  if (std::memcmp(destination, own, 6) != 0) return DropReason::kMacDestination;
  switch (ether_type) {
    case kEtherTypeIpv4:
      version = 4;
      break;
    case kEtherTypeIpv6:
      version = 6;
      break;
    default:
      return DropReason::kEtherType;
  }
  packet.PopFront(kHeaderBytes);
  return DropReason::kNone;
}

DropReason Vxlan::CombineEcn(Packet& packet, const InnerPacket& inner, uint8_t outer_tos) const {
  uint8_t outer = outer_tos & 3;
  if (outer == kNotEct || outer == kEct0) return DropReason::kNone;
  uint8_t own = inner.tos() & 3;
  if (outer == kCe) {
    if (own == kNotEct) return DropReason::kEcn;
    if (own != kCe) SetEcn(inner, packet.data, kCe);
  } else if (own == kEct0) {
    SetEcn(inner, packet.data, kEct1);
  }
  return DropReason::kNone;
}

}  // namespace twill
