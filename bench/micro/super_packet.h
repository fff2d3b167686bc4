// A TCP super-packet, and the segments that it stands for.
#pragma once

#include "buffer/batch.h"
#include "transport_packets.h"

namespace twill_bench {

struct SuperPacket {
  static constexpr size_t kSegmentBytes = 1398, kSegments = 44;

  SuperPacket() {
    shape.options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};  // timestamps, as Linux sends them
    shape.payload.assign(kSegmentBytes * kSegments, 0x5a);
    bytes = twill_test::Build(shape, true);
    packet.data = bytes.data();
    packet.len = static_cast<uint32_t>(bytes.size());
    packet.slot = twill::kNoSlot;
    packet.segments = kSegments;
    packet.segment_bytes = kSegmentBytes;
    packet.header_bytes = static_cast<uint16_t>(twill_test::HeaderBytes(shape));
    packet.csum_start = static_cast<uint16_t>(twill_test::TransportAt(shape));
    packet.csum_offset = 16;
  }

  // Segment `i` built from nothing: every byte copied, every checksum by the slow loop.
  twill_test::Bytes Segment(size_t i) const {
    twill_test::Shape s = shape;
    s.id = static_cast<uint16_t>(s.id + i);
    s.sequence += static_cast<uint32_t>(i * kSegmentBytes);
    auto from = shape.payload.begin() + static_cast<ptrdiff_t>(i * kSegmentBytes);
    s.payload.assign(from, from + kSegmentBytes);
    return twill_test::Build(s);
  }

  twill_test::Shape shape;
  twill_test::Bytes bytes;
  twill::Packet packet;
};

}  // namespace twill_bench
