#include "base/checksum.h"

#include <cstring>

#include "base/byte_order.h"

namespace twill {

// Sums native-order 64-bit words with end-around carry: one's-complement
// addition does not care about byte order until the end (RFC 1071 section 2 B).
uint16_t ChecksumSum(const uint8_t* data, size_t len, uint32_t initial) {
  uint64_t sum = 0;
  auto add = [&sum](uint64_t word) {
    sum += word;
    sum += sum < word;
  };
  while (len >= 32) {
    uint64_t w[4];
    std::memcpy(w, data, sizeof w);
    add(w[0]);
    add(w[1]);
    add(w[2]);
    add(w[3]);
    data += 32;
    len -= 32;
  }
  while (len >= 8) {
    add(LoadRaw<uint64_t>(data));
    data += 8;
    len -= 8;
  }
  if (len > 0) {
    uint64_t tail = 0;
    std::memcpy(&tail, data, len);
    add(tail);
  }
  uint64_t folded = (sum & 0xffffffff) + (sum >> 32);
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  uint64_t host = SwapToBig(static_cast<uint16_t>(folded)) + static_cast<uint64_t>(initial);
  while (host >> 16) host = (host & 0xffff) + (host >> 16);
  return static_cast<uint16_t>(host);
}

}  // namespace twill
