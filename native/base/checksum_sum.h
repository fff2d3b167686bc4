// Sums of native-order words, not folded: the inner loops of the checksum. One is chosen at start
// (checksum.cc).
#pragma once

#include <cstddef>
#include <cstdint>

namespace twill {

// A 64-bit value congruent (mod 2^16 - 1) to the sum of the `len` bytes as native-order 16-bit words,
// an odd last byte standing first in its word (RFC 1071 section 2 B: byte order does not matter until the
// end).
using WordSum = uint64_t (*)(const uint8_t* data, size_t len);

uint64_t SumScalar(const uint8_t* data, size_t len);

struct WordSumChoice {
  const char* name;
  WordSum sum;
};
// The widest that this processor has.
WordSumChoice ChooseWordSum();

}  // namespace twill
