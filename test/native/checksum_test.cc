#include "base/checksum.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "base/byte_order.h"

TEST_CASE("checksum agrees with a loop over 16-bit words, for every length 0 to 9001") {
  std::mt19937 random(1);
  std::vector<uint8_t> bytes(9001);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
  for (size_t len = 0; len <= bytes.size(); len++) {
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i += 2) {
      sum += static_cast<uint32_t>(bytes[i] << 8) | (i + 1 < len ? bytes[i + 1] : 0u);
      sum = (sum & 0xffff) + (sum >> 16);
    }
    REQUIRE(twill::ChecksumSum(bytes.data(), len) == sum);
  }
}

TEST_CASE("checksum patch of a TTL decrement: the edge cases of flannel's proxy") {
  CHECK(twill::ChecksumAfterTtlDecrement(0xfeff) == 0x0000);
  CHECK(twill::ChecksumAfterTtlDecrement(0x7bb7) == 0x7cb7);
  CHECK(twill::ChecksumAfterTtlDecrement(0xffff) == 0x0100);
  CHECK(twill::ChecksumAfterTtlDecrement(0xff00) == 0x0001);
  CHECK(twill::ChecksumAfterTtlDecrement(0x0000) == 0x0100);
  CHECK(twill::ChecksumAfterTtlDecrement(0xfefe) == 0xfffe);
}
