// The virtio header (virtio 1.2, 5.1.6) that stands in front of every packet to or from the TUN: with it the
// kernel hands over and takes super-packets and unfinished checksums.
//
//   0 flags   1 gso_type   2 hdr_len   4 gso_size   6 csum_start   8 csum_offset        10 bytes,
//   little-endian
//
// Declared here because <linux/virtio_net.h> is not C++ and has no names for what came after 2022.
#pragma once

#include <cstddef>
#include <cstdint>

#include "buffer/batch.h"

namespace twill {

inline constexpr size_t kVirtioHeaderBytes = 10;
static_assert(kVirtioHeaderBytes <= kHeadroomBytes);

// Inner headers of a super-packet: an IPv6 header, extension headers or IPv4 options, a TCP header with all
// its options.
inline constexpr size_t kInnerHeadersMax = 160;

// VIRTIO_NET_HDR_F_*
inline constexpr uint8_t kVirtioNeedsChecksum = 1;
// VIRTIO_NET_HDR_GSO_*
inline constexpr uint8_t kGsoNone = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoUdp = 5, kGsoEcn = 0x80;

struct VirtioHeader {
  uint8_t flags = 0;
  uint8_t gso_type = kGsoNone;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;

  static VirtioHeader Load(const uint8_t* p);
  void Store(uint8_t* p) const;
};

// What the header says of `packet` (read from the TUN, `data` at the inner packet), put into the packet's own
// fields: a super-packet becomes one, a lone packet's checksum is finished. Whoever writes to the TUN's other
// side may have written anything into the header: kDeviceHeader where it contradicts the packet.
DropReason ApplyVirtioHeader(const VirtioHeader& header, Packet& packet);

}  // namespace twill
