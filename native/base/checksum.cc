#include "base/checksum.h"

#include "base/byte_order.h"
#include "base/checksum_sum.h"

namespace twill {

namespace {

const WordSumChoice& Chosen() {
  static const WordSumChoice choice = ChooseWordSum();
  return choice;
}

uint16_t Fold(uint64_t sum, uint32_t initial) {
  uint64_t folded = (sum & 0xffffffff) + (sum >> 32);
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  uint64_t host = SwapToBig(static_cast<uint16_t>(folded)) + static_cast<uint64_t>(initial);
  while (host >> 16) host = (host & 0xffff) + (host >> 16);
  return static_cast<uint16_t>(host);
}

// Below this the wide loops have nothing to do.
constexpr size_t kShort = 64;

}  // namespace

uint16_t ChecksumSum(const uint8_t* data, size_t len, uint32_t initial) {
  return Fold(len < kShort ? SumScalar(data, len) : Chosen().sum(data, len), initial);
}

uint16_t ChecksumSumScalar(const uint8_t* data, size_t len, uint32_t initial) {
  return Fold(SumScalar(data, len), initial);
}

const char* ChecksumKind() {
  return Chosen().name;
}

}  // namespace twill
