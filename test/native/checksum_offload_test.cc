#include "wire/checksum_offload.h"

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

struct Transport {
  uint8_t protocol;
  uint16_t offset;  // of the checksum
  size_t least_bytes;
};
constexpr Transport kTransports[] = {{kProtocolTcp, 16, 20}, {kProtocolUdp, 6, 8}};

// A packet of this transport with a checksum of zero, and the sum of its pseudo-header.
struct Fresh {
  test::Bytes packet;
  size_t header;
  uint16_t pseudo;
};
Fresh Draw(test::Random& random, const Transport& t) {
  Shape shape;
  bool four = random.OneIn(2);
  shape.source = four ? "10.5.2.9" : "fd00:5:0:2::9";
  shape.destination = four ? "10.5.1.9" : "fd00:5:0:1::9";
  shape.protocol = t.protocol;
  shape.payload = random.Bytes(t.least_bytes + (random.OneIn(20) ? random.Below(60'000) : random.Below(100)));
  if (four) shape.options = random.Bytes(random.Below(11) * 4);
  StoreBe16(&shape.payload[t.offset], 0);
  Fresh fresh{test::IpPacket(shape), four ? 20 + shape.options.size() : 40, 0};
  test::Bytes header(fresh.packet.begin() + (four ? 12 : 8), fresh.packet.begin() + (four ? 20 : 40));
  header.push_back(0);
  header.push_back(t.protocol);
  header.push_back(static_cast<uint8_t>(shape.payload.size() >> 8));
  header.push_back(static_cast<uint8_t>(shape.payload.size()));
  fresh.pseudo = ChecksumSum(header.data(), header.size());
  return fresh;
}

}  // namespace

TEST_CASE("unfinished checksums: exactly the pseudo-header's sum is recognised, and finished rightly") {
  TWILL_RANDOM(random);
  for (size_t i = 0; i < test::Times(20'000); i++) {
    const Transport& t = random.Of(kTransports);
    Fresh fresh = Draw(random, t);
    uint8_t* field = &fresh.packet[fresh.header + t.offset];
    StoreBe16(field, fresh.pseudo);
    Exact bytes(fresh.packet);
    PartialChecksum found = FindPartialChecksum(Parsed(bytes));
    // One in 65,535 is right as it stands.
    if (ChecksumSum(bytes.data() + fresh.header, bytes.size() - fresh.header, fresh.pseudo) == 0xffff) {
      REQUIRE(found.start == 0);
      continue;
    }
    REQUIRE(found.start == fresh.header);
    REQUIRE(found.offset == t.offset);
    FinishChecksum(bytes.data(), static_cast<uint32_t>(bytes.size()), found);
    // To the receiver: all of it and the pseudo-header sum up to nothing.
    REQUIRE(ChecksumSum(bytes.data() + fresh.header, bytes.size() - fresh.header, fresh.pseudo) == 0xffff);
    REQUIRE(LoadBe16(bytes.data() + fresh.header + t.offset) != 0);  // to UDP that would be none
    REQUIRE(FindPartialChecksum(Parsed(bytes)).start == 0);

    // Neither a right checksum nor a wrong one, nor none.
    uint16_t wrong = static_cast<uint16_t>(random());
    for (uint16_t value :
         {uint16_t{0}, wrong, static_cast<uint16_t>(fresh.pseudo ^ (1u << random.Below(16)))}) {
      if (value == fresh.pseudo) continue;
      StoreBe16(field, value);
      Exact other(fresh.packet);
      REQUIRE(FindPartialChecksum(Parsed(other)).start == 0);
    }
  }
}

TEST_CASE("unfinished checksums: not in fragments, in what is too short, or in other protocols") {
  TWILL_RANDOM(random);
  for (size_t i = 0; i < test::Times(20'000); i++) {
    const Transport& t = random.Of(kTransports);
    Fresh fresh = Draw(random, t);
    StoreBe16(&fresh.packet[fresh.header + t.offset], fresh.pseudo);
    bool four = fresh.packet[0] >> 4 == 4;
    switch (random.Below(3)) {
      case 0:
        if (!four) continue;
        StoreBe16(&fresh.packet[6], static_cast<uint16_t>(1u << random.Below(14)));
        break;
      case 1: {
        fresh.packet.resize(fresh.header + random.Below(t.least_bytes));
        auto size = static_cast<uint16_t>(four ? fresh.packet.size() : fresh.packet.size() - 40);
        StoreBe16(&fresh.packet[four ? 2 : 4], size);
        break;
      }
      default:
        fresh.packet[four ? 9 : 6] = static_cast<uint8_t>(18 + random.Below(200));
    }
    Exact bytes(fresh.packet);
    REQUIRE(FindPartialChecksum(Parsed(bytes)).start == 0);
  }
}

TEST_CASE("unfinished checksums: of random bytes nothing is read too far") {
  TWILL_RANDOM(random);
  for (size_t i = 0; i < test::Times(50'000); i++) {
    test::Bytes packet = Draw(random, random.Of(kTransports)).packet;
    for (size_t n = random.Below(6); n > 0; n--)
      packet[random.Below(std::min<size_t>(packet.size(), 60))] = random.Byte();
    Exact bytes(packet);
    InnerPacket p;
    if (ParseInner(bytes.data(), bytes.size(), p) != DropReason::kNone) continue;
    Exact claimed{std::span(packet).first(p.length)};
    REQUIRE(ParseInner(claimed.data(), claimed.size(), p) == DropReason::kNone);
    FinishChecksum(claimed.data(), p.length, FindPartialChecksum(p));
  }
}

}  // namespace twill
