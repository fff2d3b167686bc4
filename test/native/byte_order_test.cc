#include "base/byte_order.h"

#include <doctest/doctest.h>

#include <array>

namespace twill {

TEST_CASE("the high byte stands first on the wire, whatever the processor does in its memory") {
  std::array<uint8_t, 4> bytes{};
  StoreBe16(bytes.data(), 0x1234);
  CHECK(bytes == std::array<uint8_t, 4>{0x12, 0x34, 0, 0});
  CHECK(LoadBe16(bytes.data()) == 0x1234);
  StoreBe32(bytes.data(), 0x12345678);
  CHECK(bytes == std::array<uint8_t, 4>{0x12, 0x34, 0x56, 0x78});
  CHECK(LoadBe32(bytes.data()) == 0x12345678);
  CHECK(LoadBe16(&bytes[1]) == 0x3456);
  Be32 be(0x12345678);
  std::memcpy(bytes.data(), &be, sizeof be);
  CHECK(bytes == std::array<uint8_t, 4>{0x12, 0x34, 0x56, 0x78});
  CHECK(be.host() == 0x12345678);
  CHECK(Be16::FromRaw(be.raw() & 0xffff) == Be16(std::endian::native == std::endian::big ? 0x5678 : 0x1234));
}

TEST_CASE("this processor keeps its memory in the order that the compiler was told") {
  volatile uint16_t one = 1;
  CHECK(*reinterpret_cast<volatile uint8_t*>(&one) == (std::endian::native == std::endian::big ? 0 : 1));
}

}  // namespace twill
