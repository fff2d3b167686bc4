#include "wire/icmp.h"

#include <doctest/doctest.h>

#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

using test::Exact;
using test::Shape;

InnerPacket Parsed(const Exact& bytes) {
  InnerPacket p;
  REQUIRE(ParseInner(bytes.data(), bytes.size(), p) == DropReason::kNone);
  return p;
}

bool May(const Shape& shape) {
  Exact bytes(test::IpPacket(shape));
  return MayAnswer(Parsed(bytes));
}

test::Bytes Answer(IcmpError error, std::span<const uint8_t> offender, const char* source, uint32_t mtu) {
  Exact bytes(offender);
  uint8_t* out = new uint8_t[kIcmpErrorMaxBytes];
  size_t length = BuildIcmpError(error, Parsed(bytes), test::Address(source), 8, mtu, out);
  test::Bytes answer(out, out + length);
  delete[] out;
  return answer;
}

constexpr IcmpError kErrors[] = {IcmpError::kNetUnreachable, IcmpError::kFragmentationNeeded,
                                 IcmpError::kTimeExceeded};

}  // namespace

TEST_CASE("icmp: net-unreachable, byte for byte as flannel writes it") {
  auto offender = test::Hex("45000020 00014000 40117bb7 0a054802 0a056309 03e807d0 000c0000 61626364");
  CHECK(Answer(IcmpError::kNetUnreachable, offender, "10.5.72.0", 1450) ==
        test::Hex("45000038 00000000 08010eba 0a054800 0a054802 0300f13b 00000000"
                  "45000020 00014000 40117bb7 0a054802 0a056309 03e807d0 000c0000"));
}

TEST_CASE("icmp: size, addresses, quote and checksums for every length of the offender") {
  for (bool four : {true, false}) {
    for (size_t len = 0; len <= 1500; len = len < 100 ? len + 1 : len + 61) {
      Shape shape;
      shape.source = four ? "10.5.2.9" : "fd00:5:0:2::9";
      shape.destination = four ? "10.5.9.9" : "fd00:5:0:9::9";
      shape.payload = test::Bytes(len, 0xa5);
      if (four) shape.options = test::Bytes(len % 11 * 4, 1);
      test::Bytes offender = test::IpPacket(shape);
      for (IcmpError error : kErrors) {
        test::Bytes a = Answer(error, offender, four ? "10.5.1.0" : "fd00:5:0:1::", 1450);
        size_t header = four ? 20 : 40;
        size_t quote = four ? std::min(offender.size(), 20 + shape.options.size() + 8)
                            : std::min(offender.size(), size_t{1280 - 48});
        REQUIRE(a.size() == header + 8 + quote);
        REQUIRE(std::equal(a.begin() + static_cast<ptrdiff_t>(header) + 8, a.end(), offender.begin()));
        Exact bytes(a);
        InnerPacket p = Parsed(bytes);
        REQUIRE(p.length == a.size());
        REQUIRE(p.DestinationAddress() == test::Address(shape.source));
        REQUIRE(p.SourceAddress() == test::Address(four ? "10.5.1.0" : "fd00:5:0:1::"));
        REQUIRE(p.ttl() == 8);
        const uint8_t* icmp = a.data() + header;
        auto icmp_len = static_cast<uint32_t>(8 + quote);
        if (four) {
          REQUIRE(ChecksumSum(a.data(), 20) == 0xffff);
          REQUIRE(ChecksumSum(icmp, icmp_len) == 0xffff);
        } else {
          REQUIRE(ChecksumSum(icmp, icmp_len, ChecksumSum(a.data() + 8, 32) + icmp_len + 58) == 0xffff);
        }
        bool cut = error == IcmpError::kFragmentationNeeded;
        REQUIRE(LoadBe32(icmp + 4) == (cut ? 1450u : 0u));
        REQUIRE_FALSE(MayAnswer(p));  // no error is ever about an error
      }
    }
  }
}

TEST_CASE("icmp: an MTU beyond 16 bits is cut to what the field can say") {
  auto a = Answer(IcmpError::kFragmentationNeeded, test::IpPacket({}), "10.5.1.0", 100'000);
  CHECK(LoadBe32(&a[24]) == 0xffff);
  Shape six;
  six.source = six.destination = "fd00::1";
  a = Answer(IcmpError::kFragmentationNeeded, test::IpPacket(six), "fd00::2", 100'000);
  CHECK(LoadBe32(&a[44]) == 100'000);
}

TEST_CASE("icmp: about what an error may be sent") {
  CHECK(May({}));
  for (unsigned type = 0; type < 256; type++) {
    Shape icmp;
    icmp.protocol = kProtocolIcmp;
    icmp.payload = test::Bytes(8);
    icmp.payload[0] = static_cast<uint8_t>(type);
    bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    CHECK(May(icmp) == !error);
    icmp.source = icmp.destination = "fd00::1";
    icmp.protocol = kProtocolIcmpV6;
    CHECK(May(icmp) == (type >= 128));
  }
  Shape empty;
  empty.protocol = kProtocolIcmp;
  empty.payload.clear();
  CHECK_FALSE(May(empty));
  for (const char* source : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
    Shape shape;
    shape.source = source;
    CHECK_FALSE(May(shape));
  }
  for (const char* destination : {"224.0.0.1", "239.255.255.255", "255.255.255.255"}) {
    Shape shape;
    shape.destination = destination;
    CHECK_FALSE(May(shape));
  }
  Exact later(test::IpPacket({}));
  StoreBe16(later.data() + 6, 1);
  CHECK_FALSE(MayAnswer(Parsed(later)));
  StoreBe16(later.data() + 6, 0x2000);  // the first one
  CHECK(MayAnswer(Parsed(later)));
}

TEST_CASE("icmp: behind IPv6 extension headers") {
  auto may = [](uint8_t next, const char* rest) {
    Shape shape;
    shape.source = shape.destination = "fd00::1";
    shape.protocol = next;
    shape.payload = test::Hex(rest);
    return May(shape);
  };
  CHECK(may(0, "11000000 00000000 03e807d0"));
  CHECK(may(60, "3a000000 00000000 80000000"));           // an echo request
  CHECK_FALSE(may(60, "3a000000 00000000 01000000"));     // an error
  CHECK_FALSE(may(51, "3a010000 00000000 00000000 01"));  // behind authentication: units of 4 bytes
  CHECK(may(51, "3a010000 00000000 00000000 80"));
  CHECK(may(44, "11000001 00000000 03e807d0"));        // the first fragment
  CHECK_FALSE(may(44, "11000008 00000000 03e807d0"));  // a later one
  CHECK_FALSE(may(58, ""));
  CHECK_FALSE(may(0, "3aff0000 00000000"));  // leads out of the packet
  CHECK_FALSE(may(0, "110000"));
  // More headers than anybody has.
  test::Bytes chain;
  for (int n = 0; n < 9; n++) chain.insert(chain.end(), 8, 0);
  Shape shape;
  shape.source = shape.destination = "fd00::1";
  shape.protocol = 0;
  shape.payload = chain;
  CHECK_FALSE(May(shape));
}

TEST_CASE(
    "icmp: random chains of headers are walked within the packet, and any offender is quoted within it") {
  TWILL_RANDOM(random);
  constexpr uint8_t kHeaders[] = {0, 43, 44, 51, 60, 58, 17, 59};
  size_t answered = 0;
  for (size_t i = 0; i < test::Times(200'000); i++) {
    Shape shape;
    bool four = random.OneIn(3);
    shape.source = four ? "10.5.2.9" : "fd00::1";
    shape.destination = four ? "10.5.9.9" : "fd00::2";
    shape.protocol = four ? static_cast<uint8_t>(random.Below(3)) : random.Of(kHeaders);
    shape.payload = random.Bytes(random.OneIn(50) ? random.Below(1500) : random.Below(100));
    for (size_t at = 0; !four && at + 1 < shape.payload.size(); at += 8) {
      shape.payload[at] = random.Of(kHeaders);
      if (!random.OneIn(4)) shape.payload[at + 1] = static_cast<uint8_t>(random.Below(2));
    }
    test::Bytes packet = test::IpPacket(shape);
    if (four && random.OneIn(2)) StoreBe16(&packet[6], static_cast<uint16_t>(random()));
    Exact bytes(packet);
    if (!MayAnswer(Parsed(bytes))) continue;
    answered++;
    test::Bytes a = Answer(random.Of(kErrors), packet, four ? "10.5.1.0" : "fd00::", 1450);
    REQUIRE(a.size() <= kIcmpErrorMaxBytes);
  }
  CHECK(answered > 1000);
}

}  // namespace twill
