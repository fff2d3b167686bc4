#include "encap/flannel_udp.h"

#include <doctest/doctest.h>

#include "support/packets.h"

namespace twill {

TEST_CASE("flannel udp: the payload is the packet; no mark is carried over; an empty datagram is too short") {
  FlannelUdp udp;
  Peer row;
  row.header_len = 9;
  udp.Cook(Mac{}, row);
  CHECK(unsigned{row.header_len} == 0);

  test::Shape shape;
  shape.tos = 3;
  test::Exact bytes(test::IpPacket(shape));
  Packet packet = bytes.AsPacket();
  packet.tos = 7;
  InnerPacket inner;
  REQUIRE(ParseInner(packet.data, packet.len, inner) == DropReason::kNone);
  udp.Push(packet, inner, row);
  CHECK(packet.tos == 0);
  uint8_t version = 0;
  CHECK(udp.Pop(packet, version) == DropReason::kNone);
  CHECK(version == 4);
  CHECK(udp.CombineEcn(packet, inner, 3) == DropReason::kNone);
  CHECK(test::BytesOf(packet) == test::IpPacket(shape));

  test::Exact nothing(std::span<const uint8_t>{});
  packet = nothing.AsPacket();
  CHECK(udp.Pop(packet, version) == DropReason::kShort);
}

}  // namespace twill
