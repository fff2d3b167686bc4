#include "offload/virtio.h"

#include <cstring>

#include "wire/checksum_offload.h"
#include "wire/ip.h"

namespace twill {

namespace {

uint16_t Little16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | p[1] << 8);
}

void StoreLittle16(uint8_t* p, uint16_t v) {
  p[0] = static_cast<uint8_t>(v);
  p[1] = static_cast<uint8_t>(v >> 8);
}

constexpr uint16_t kTcpChecksumOffset = 16, kUdpChecksumOffset = 6;

}  // namespace

VirtioHeader VirtioHeader::Load(const uint8_t* p) {
  return {p[0], p[1], Little16(p + 2), Little16(p + 4), Little16(p + 6), Little16(p + 8)};
}

void VirtioHeader::Store(uint8_t* p) const {
  p[0] = flags;
  p[1] = gso_type;
  StoreLittle16(p + 2, hdr_len);
  StoreLittle16(p + 4, gso_size);
  StoreLittle16(p + 6, csum_start);
  StoreLittle16(p + 8, csum_offset);
}

DropReason ApplyVirtioHeader(const VirtioHeader& h, Packet& packet) {
  bool needs_checksum = h.flags & kVirtioNeedsChecksum;
  if (needs_checksum && size_t{h.csum_start} + h.csum_offset + 2 > packet.len)
    return DropReason::kDeviceHeader;
  if (h.gso_type == kGsoNone) {
    if (needs_checksum) FinishChecksum(packet.data, packet.len, {h.csum_start, h.csum_offset});
    return DropReason::kNone;
  }
  // A super-packet. The ECN bit says that CWR stands in its first segment alone: as segment.cc cuts it.
  uint8_t type = h.gso_type & static_cast<uint8_t>(~kGsoEcn);
  InnerPacket inner;
  if (!needs_checksum || h.gso_size == 0 || ParseInner(packet.data, packet.len, inner) != DropReason::kNone ||
      inner.length != packet.len) {
    return DropReason::kDeviceHeader;
  }
  bool tcp = type == kGsoTcp4 || type == kGsoTcp6;
  bool family_fits = type == kGsoUdp || inner.family == (type == kGsoTcp4 ? 4 : 6);
  if ((!tcp && type != kGsoUdp) || !family_fits) return DropReason::kDeviceHeader;
  // IPv6 extension headers may stand in front of the transport header: csum_start says where that is.
  size_t transport = h.csum_start, minimum = tcp ? 20 : 8;
  if (h.csum_offset != (tcp ? kTcpChecksumOffset : kUdpChecksumOffset) || transport < inner.header_len ||
      (inner.family == 4 && (transport != inner.header_len || inner.Fragment())) ||
      transport + minimum > packet.len) {
    return DropReason::kDeviceHeader;
  }
  size_t headers = transport + (tcp ? static_cast<size_t>(packet.data[transport + 12] >> 4) * 4 : minimum);
  if (headers < transport + minimum || headers >= packet.len || headers > kInnerHeadersMax) {
    return DropReason::kDeviceHeader;
  }
  size_t payload = packet.len - headers;
  packet.csum_start = h.csum_start;
  packet.csum_offset = h.csum_offset;
  packet.header_bytes = static_cast<uint16_t>(headers);
  packet.segment_bytes = h.gso_size;
  packet.segments = static_cast<uint16_t>((payload + h.gso_size - 1) / h.gso_size);
  return DropReason::kNone;
}

}  // namespace twill
