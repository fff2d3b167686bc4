// What a tap hands over about one packet: this header, then the bytes it kept, padded to a multiple of 8.
// Integers as the machine stores them: whoever reads it runs on the same one.
#pragma once

#include <cstdint>

namespace twill {

enum class TapDirection : uint8_t { kEncap = 0, kDecap = 1 };

struct TapRecord {
  // Header, bytes and padding: where the next record begins.
  uint32_t record_bytes;
  // Of the payload that follows: the encapsulation's header, where there is one, and the inner packet.
  uint32_t captured_bytes;
  uint32_t payload_bytes;  // that there were
  uint16_t remote_port;    // of the peer; 0: unknown
  uint16_t local_port;     // that we send from; 0: the cluster's
  uint64_t time_ns;        // since 1970
  TapDirection direction;
  uint8_t drop;         // number of the drop reason; that of kNone: none
  uint8_t encap_bytes;  // of the header in front of the inner packet
  uint8_t tos;          // outer
  uint16_t segments;    // 1 or, of a super-packet, how many packets it stands for
  uint16_t segment_bytes;
  uint8_t flags;
  uint8_t remote_family;  // 4, 6; 0: no peer is known
  uint8_t reserved[6];
  uint8_t remote_address[16];
};
static_assert(sizeof(TapRecord) == 56);

// The transport checksum is left for a device to finish.
inline constexpr uint8_t kTapUnfinished = 1;
// Longer than a packet buffer when it was received.
inline constexpr uint8_t kTapTruncated = 2;

}  // namespace twill
