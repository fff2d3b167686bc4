#include "traffic/flannel_rules.h"

#include <doctest/doctest.h>

#include <string>

namespace {

using namespace twill;
using namespace twill::traffic;

std::vector<uint8_t> Hex(const std::string& text) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return out;
}

std::string ToHex(const uint8_t* data, size_t len) {
  std::string out;
  char digits[3];
  for (size_t i = 0; i < len; i++) {
    std::snprintf(digits, sizeof digits, "%02x", data[i]);
    out += digits;
  }
  return out;
}

uint32_t Address(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  uint8_t bytes[4] = {a, b, c, d};
  return LoadRaw<uint32_t>(bytes);
}

// 10.5.72.2 to 10.5.99.9, UDP, TTL 64.
const std::string kPayload = "0a0548020a05630903e807d0000c000061626364";
const std::string kPacket = "450000200001400040117bb7" + kPayload;

}  // namespace

TEST_CASE("flannel's loop: each side takes one off the TTL and mends the checksum") {
  auto packet = Hex(kPacket);
  REQUIRE(FlannelDecrementTtl(packet.data()));
  CHECK(ToHex(packet.data(), packet.size()) == "45000020000140003f117cb7" + kPayload);
  REQUIRE(FlannelDecrementTtl(packet.data()));
  CHECK(ToHex(packet.data(), packet.size()) == "45000020000140003e117db7" + kPayload);
  packet[8] = 1;
  CHECK_FALSE(FlannelDecrementTtl(packet.data()));
  packet[8] = 0;
  CHECK(FlannelDecrementTtl(packet.data()));
  CHECK(packet[8] == 255);
}

TEST_CASE("flannel's loop: net unreachable where no route leads, and its silences") {
  uint8_t out[kFlannelUnreachableMaxBytes];
  auto packet = Hex(kPacket);
  size_t n = FlannelUnreachable(packet, Address(10, 5, 72, 0), out);
  CHECK(ToHex(out, n) == "450000380000000008010eba0a0548000a0548020300f13b00000000450000200001400040117bb7" +
                             kPayload.substr(0, 32));
  auto icmp = packet;
  icmp[9] = IPPROTO_ICMP;
  CHECK(FlannelUnreachable(icmp, 0, out) == 0);
  auto fragment = packet;
  fragment[7] = 1;
  CHECK(FlannelUnreachable(fragment, 0, out) == 0);
  auto options = packet;
  options[0] = 0x4f;
  CHECK(FlannelUnreachable(options, 0, out) == 0);
  // Cut short behind its header: nothing beyond the packet is read.
  CHECK(FlannelUnreachable({packet.data(), 20}, 0, out) == 56);
  CHECK(ToHex(out + 48, 8) == "0000000000000000");
}

TEST_CASE("flannel's loop: the route found moves to the front") {
  FlannelRoutes routes;
  for (uint8_t i = 0; i < 4; i++) {
    sockaddr_in hop{};
    hop.sin_port = i;
    routes.Add({Address(10, 5, i, 0), Address(255, 255, 255, 0), hop});
  }
  const sockaddr_in* found = routes.Find(Address(10, 5, 2, 7));
  REQUIRE(found != nullptr);
  CHECK(found->sin_port == 2);
  const sockaddr_in* again = routes.Find(Address(10, 5, 0, 7));
  REQUIRE(again != nullptr);
  CHECK(again->sin_port == 0);
  CHECK(again == found);
  CHECK(routes.Find(Address(10, 6, 0, 7)) == nullptr);
}
