#include "encap/vxlan.h"

#include <doctest/doctest.h>

#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

using test::Exact;
using test::Hex;

constexpr Mac kOwn{0x12, 0x11, 0x22, 0x33, 0x44, 0x55}, kTheirs{0xc6, 0xd2, 0x32, 0x6f, 0x8f, 0x44};

// flannel's contract, worked out by hand: VNI 1, from kOwn to kTheirs.
const char* const kInner = "45000020 00014000 3f117cb7 0a054802 0a056309 03e807d0 000c0000 61626364";
const char* const kHeader = "08000000 00000100 c6d2326f8f44 121122334455 0800";

InnerPacket Parsed(const Packet& packet) {
  InnerPacket inner;
  REQUIRE(ParseInner(packet.data, packet.len, inner) == DropReason::kNone);
  return inner;
}

// What Pop at kTheirs makes of this payload.
DropReason Pop(std::span<const uint8_t> payload, uint32_t vni = 1) {
  Exact bytes(payload);
  Packet packet = bytes.AsPacket();
  uint8_t version = 0;
  DropReason reason = Vxlan(vni, kTheirs).Pop(packet, version);
  if (reason == DropReason::kNone) CHECK(packet.len == payload.size() - Vxlan::kHeaderBytes);
  return reason;
}

test::Bytes Payload() {
  test::Bytes payload = Hex(kHeader), inner = Hex(kInner);
  payload.insert(payload.end(), inner.begin(), inner.end());
  return payload;
}

}  // namespace

TEST_CASE("vxlan: the bytes of a packet to a peer, and back") {
  Vxlan ours(1, kOwn), theirs(1, kTheirs);
  Peer row;
  row.subnet = test::Prefix("10.5.99.0/24");
  ours.Cook(kTheirs, row);
  CHECK(test::Bytes(row.header.begin(), row.header.begin() + row.header_len) == Hex(kHeader));

  Exact bytes(Hex(kInner), Vxlan::kHeaderBytes);
  Packet packet = bytes.AsPacket();
  ours.Push(packet, Parsed(packet), row);
  CHECK(test::BytesOf(packet) == Payload());
  CHECK(packet.tos == 0);

  uint8_t version = 0;
  CHECK(theirs.Pop(packet, version) == DropReason::kNone);
  CHECK(version == 4);
  CHECK(test::BytesOf(packet) == Hex(kInner));
}

TEST_CASE("vxlan: an IPv6 row announces IPv6, and 24 bits of VNI are the network's") {
  Peer row;
  row.subnet = test::Prefix("fd00:5:0:2::/64");
  Vxlan(0xabcdef, kOwn).Cook(kTheirs, row);
  CHECK(test::Bytes(row.header.begin(), row.header.end()) ==
        Hex("08000000 abcdef00 c6d2326f8f44 121122334455 86dd"));
  test::Bytes payload(row.header.begin(), row.header.end());
  payload.resize(payload.size() + 40);
  Exact bytes(payload);
  Packet packet = bytes.AsPacket();
  uint8_t version = 0;
  CHECK(Vxlan(0xabcdef, kTheirs).Pop(packet, version) == DropReason::kNone);
  CHECK(version == 6);
}

TEST_CASE("vxlan: a VTEP may have a MAC for each family, and each frame wants its own") {
  constexpr Mac kOwnV6{0x12, 0x11, 0x22, 0x33, 0x44, 0x66};
  Vxlan ours(1, kOwn, kOwnV6);
  for (bool v6 : {false, true}) {
    Peer row;
    row.subnet = test::Prefix(v6 ? "fd00:5:0:2::/64" : "10.5.99.0/24");
    ours.Cook(kTheirs, row);
    CHECK(std::memcmp(row.header.data() + 14, (v6 ? kOwnV6 : kOwn).data(), 6) == 0);
    for (const Mac& to : {kOwn, kOwnV6}) {
      Vxlan(1, kTheirs).Cook(to, row);
      Exact bytes(row.header);
      Packet packet = bytes.AsPacket();
      uint8_t version = 0;
      DropReason wanted = (to == kOwnV6) == v6 ? DropReason::kNone : DropReason::kMacDestination;
      CHECK(ours.Pop(packet, version) == wanted);
    }
    // From our own MAC of that family: a clone of us.
    ours.Cook(v6 ? kOwnV6 : kOwn, row);
    Exact bytes(row.header);
    Packet packet = bytes.AsPacket();
    uint8_t version = 0;
    CHECK(ours.Pop(packet, version) == DropReason::kMacSource);
  }
}

TEST_CASE(
    "vxlan: each of the 39 reserved bits ends the packet, the VNI's 24 and the flag by their own names") {
  size_t reserved = 0, vni = 0, flag = 0;
  for (size_t bit = 0; bit < 64; bit++) {
    test::Bytes payload = Payload();
    payload[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
    switch (Pop(payload)) {
      case DropReason::kReservedBits:
        reserved++;
        break;
      case DropReason::kVni:
        vni++;
        break;
      case DropReason::kNoVniFlag:
        flag++;
        break;
      default:
        FAIL_CHECK("bit ", bit, " passed or has another name");
    }
  }
  CHECK(reserved == 39);
  CHECK(vni == 24);
  CHECK(flag == 1);
}

TEST_CASE("vxlan: every length cut short has its name, and nothing behind it is read") {
  test::Bytes payload = Payload();
  for (size_t len = 0; len < Vxlan::kHeaderBytes; len++) {
    CHECK(Pop(std::span(payload).first(len)) == DropReason::kShort);
  }
  CHECK(Pop(std::span(payload).first(Vxlan::kHeaderBytes)) == DropReason::kNone);
}

TEST_CASE("vxlan: MAC addresses and EtherTypes") {
  auto with = [](size_t at, const char* hex) {
    test::Bytes payload = Payload(), change = Hex(hex);
    std::copy(change.begin(), change.end(), payload.begin() + static_cast<ptrdiff_t>(at));
    return Pop(payload);
  };
  CHECK(with(14, "000000000000") == DropReason::kMacSource);
  CHECK(with(14, "01005e000001") == DropReason::kMacSource);
  CHECK(with(14, "ffffffffffff") == DropReason::kMacSource);
  CHECK(with(14, "c6d2326f8f44") == DropReason::kMacSource);  // our own: a cloned VTEP
  CHECK(with(14, "000000000001") == DropReason::kNone);
  CHECK(with(8, "ffffffffffff") == DropReason::kMacDestination);
  CHECK(with(8, "c6d2326f8f45") == DropReason::kMacDestination);
  for (const char* type : {"0806", "8100", "88a8", "8847", "8864", "6558", "0600", "0000", "ffff"}) {
    CHECK(with(20, type) == DropReason::kEtherType);
  }
}

TEST_CASE("vxlan: outer ECN of what leaves: DSCP 0, CE becomes ECT(0), as Linux") {
  constexpr uint8_t kOuter[4] = {0, 1, 2, 2};
  Peer row;
  for (unsigned tos = 0; tos < 256; tos++) {
    for (const char* source : {"10.5.2.9", "fd00::1"}) {
      test::Shape shape;
      shape.source = shape.destination = source;
      shape.tos = static_cast<uint8_t>(tos);
      Exact bytes(test::IpPacket(shape), Vxlan::kHeaderBytes);
      Packet packet = bytes.AsPacket();
      Vxlan(1, kOwn).Push(packet, Parsed(packet), row);
      REQUIRE(packet.tos == kOuter[tos & 3]);
      REQUIRE(bytes.bytes() == test::IpPacket(shape));  // the inner marks stay
    }
  }
}

TEST_CASE("vxlan: the 16 pairs of ECN marks of what arrives, as Linux's INET_ECN_decapsulate") {
  constexpr uint8_t kDrop = 0xff;
  // [outer][inner], each not-ECT, ECT(1), ECT(0), CE.
  constexpr uint8_t kInner4[4][4] = {
      {0, 1, 2, 3},
      {0, 1, 1, 3},
      {0, 1, 2, 3},
      {kDrop, 3, 3, 3},
  };
  for (unsigned outer = 0; outer < 256; outer++) {
    for (unsigned tos = 0; tos < 256; tos += outer % 64 < 4 ? 1 : 5) {
      for (const char* source : {"10.5.2.9", "fd00::1"}) {
        test::Shape shape;
        shape.source = shape.destination = source;
        shape.tos = static_cast<uint8_t>(tos);
        Exact bytes(test::IpPacket(shape));
        Packet packet = bytes.AsPacket();
        InnerPacket inner = Parsed(packet);
        DropReason reason = Vxlan(1, kOwn).CombineEcn(packet, inner, static_cast<uint8_t>(outer));
        uint8_t wanted = kInner4[outer & 3][tos & 3];
        REQUIRE(reason == (wanted == kDrop ? DropReason::kEcn : DropReason::kNone));
        if (wanted != kDrop) shape.tos = static_cast<uint8_t>((tos & 0xfc) | wanted);
        REQUIRE(bytes.bytes() == test::IpPacket(shape));  // checksum and DSCP too
      }
    }
  }
}

}  // namespace twill
