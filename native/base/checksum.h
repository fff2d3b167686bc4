// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/byte_order.h"

namespace twill {

// One's-complement sum of `len` bytes added to `initial`, folded to 16 bits,
// in host order as if the bytes were big-endian 16-bit words (an odd last byte
// is the high half of its word). Not complemented.
uint16_t ChecksumSum(const uint8_t* data, size_t len, uint32_t initial = 0);

// Which way of summing this processor was found to have: "avx512", "avx2", "neon" or "scalar".
const char* ChecksumKind();

// The plain loop, whatever the processor: the oracle of the others.
uint16_t ChecksumSumScalar(const uint8_t* data, size_t len, uint32_t initial = 0);

// The same over a header of known length, a multiple of four: a few additions, no call.
template <size_t kBytes>
inline uint16_t ChecksumSumFixed(const uint8_t* data, uint32_t initial = 0) {
  static_assert(kBytes % 4 == 0);
  uint64_t sum = 0;
  for (size_t i = 0; i < kBytes; i += 4) sum += LoadRaw<uint32_t>(data + i);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  uint32_t host =
      SwapToBig(static_cast<uint16_t>((sum & 0xffff) + (sum >> 16))) + (initial & 0xffff) + (initial >> 16);
  host = (host & 0xffff) + (host >> 16);
  return static_cast<uint16_t>((host & 0xffff) + (host >> 16));
}

// The value of a checksum field over `len` bytes whose field is zero.
inline uint16_t Checksum(const uint8_t* data, size_t len, uint32_t initial = 0) {
  return static_cast<uint16_t>(~ChecksumSum(data, len, initial));
}

// RFC 1624 equation 3: the new field after a 16-bit word changed.
constexpr uint16_t ChecksumUpdate(uint16_t field, uint16_t before, uint16_t after) {
  uint32_t sum = static_cast<uint16_t>(~field) + static_cast<uint16_t>(~before) + after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// The increment after a byte in the high half of a header word fell by one, as
// the kernel and flannel do for a TTL decrement.
constexpr uint16_t ChecksumAfterTtlDecrement(uint16_t field) {
  uint32_t sum = field + 0x0100u;
  return static_cast<uint16_t>(sum + (sum >= 0xffff));
}

}  // namespace twill
