#include "base/checksum.h"

#include <doctest/doctest.h>

#include "base/byte_order.h"
#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

uint16_t SumOfWords(const uint8_t* bytes, size_t len) {
  uint32_t sum = 0;
  for (size_t i = 0; i < len; i += 2) {
    sum += static_cast<uint32_t>(bytes[i] << 8) | (i + 1 < len ? bytes[i + 1] : 0u);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

}  // namespace

TEST_CASE("checksum agrees with a loop over 16-bit words, for every length 0 to 9001 and any start") {
  TWILL_RANDOM(random);
  std::vector<uint8_t> bytes = random.Bytes(9001 + 8);
  for (size_t len = 0; len <= 9001; len++) {
    size_t start = random.Below(8);
    REQUIRE(ChecksumSum(&bytes[start], len) == SumOfWords(&bytes[start], len));
  }
}

TEST_CASE("checksum reads no byte too far") {
  TWILL_RANDOM(random);
  for (size_t len = 0; len <= 300; len++) {
    test::Exact bytes(random.Bytes(len));
    REQUIRE(ChecksumSum(bytes.data(), len) == SumOfWords(bytes.data(), len));
  }
}

TEST_CASE("checksum of a whole is that of its parts, in a chain") {
  TWILL_RANDOM(random);
  for (int i = 0; i < 1000; i++) {
    std::vector<uint8_t> bytes = random.Bytes(2 + random.Below(500));
    size_t cut = random.Below(bytes.size() / 2) * 2;
    uint32_t first = ChecksumSum(bytes.data(), cut);
    REQUIRE(ChecksumSum(bytes.data() + cut, bytes.size() - cut, first) ==
            ChecksumSum(bytes.data(), bytes.size()));
  }
}

TEST_CASE("checksum patch of a changed word agrees with a sum over all") {
  TWILL_RANDOM(random);
  for (size_t i = 0; i < test::Times(200'000); i++) {
    uint8_t header[20];
    for (uint8_t& b : header)
      b = random.OneIn(3) ? static_cast<uint8_t>(random.OneIn(2) * 255) : random.Byte();
    StoreBe16(header + 10, 0);
    StoreBe16(header + 10, Checksum(header, sizeof header));
    size_t word = random.Below(10) * 2;
    if (word == 10) continue;
    uint16_t before = LoadBe16(header + word), after = static_cast<uint16_t>(random());
    uint16_t patched = ChecksumUpdate(LoadBe16(header + 10), before, after);
    StoreBe16(header + word, after);
    StoreBe16(header + 10, patched);
    // Right to a receiver, whichever of the two zeros it is.
    REQUIRE(ChecksumSum(header, sizeof header) == 0xffff);
  }
}

TEST_CASE("checksum patch of a TTL decrement: every TTL with every checksum") {
  for (uint32_t ttl = 1; ttl <= 255; ttl++) {
    size_t wrong = 0;
    for (uint32_t field = 0; field <= 0xffff; field++) {
      // The other words of a header with this TTL and this checksum sum up to `rest`.
      auto with_ttl = static_cast<uint16_t>(ttl << 8);
      auto rest = static_cast<uint16_t>(~field);
      auto patched = ChecksumAfterTtlDecrement(static_cast<uint16_t>(field));
      auto updated =
          ChecksumUpdate(static_cast<uint16_t>(field), with_ttl, static_cast<uint16_t>(with_ttl - 0x100));
      uint32_t sum =
          rest + 0xffffu - 0x100 + patched;  // in one's complement: less one TTL, with the new field
      sum = (sum & 0xffff) + (sum >> 16);
      sum = (sum & 0xffff) + (sum >> 16);
      bool same =
          patched == updated || (patched == 0 && updated == 0xffff) || (patched == 0xffff && updated == 0);
      wrong += sum != 0xffff || !same;
    }
    REQUIRE(wrong == 0);
  }
}

TEST_CASE("checksum patch of a TTL decrement: the edge cases of flannel's proxy") {
  CHECK(ChecksumAfterTtlDecrement(0xfeff) == 0x0000);
  CHECK(ChecksumAfterTtlDecrement(0x7bb7) == 0x7cb7);
  CHECK(ChecksumAfterTtlDecrement(0xffff) == 0x0100);
  CHECK(ChecksumAfterTtlDecrement(0xff00) == 0x0001);
  CHECK(ChecksumAfterTtlDecrement(0x0000) == 0x0100);
  CHECK(ChecksumAfterTtlDecrement(0xfefe) == 0xfffe);
}

}  // namespace twill
