#include "wire/ip.h"

#include <doctest/doctest.h>

#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

using test::Exact;
using test::Shape;

// What a packet of this many bytes must be, by the words of the RFCs.
DropReason Verdict(std::span<const uint8_t> p) {
  if (p.empty()) return DropReason::kInnerShort;
  unsigned version = p[0] >> 4;
  if (version != 4 && version != 6) return DropReason::kInnerVersion;
  size_t least = version == 4 ? 20 : 40;
  if (p.size() < least) return DropReason::kInnerShort;
  size_t header = version == 4 ? (p[0] & 15) * 4u : 40;
  size_t total = version == 4 ? p[2] * 256u + p[3] : 40 + p[4] * 256u + p[5];
  bool fits = header >= least && header <= p.size() && total >= header && total <= p.size();
  return fits ? DropReason::kNone : DropReason::kInnerLength;
}

// Everything that reads a parsed packet, so that the sanitizer sees a byte too far.
void ReadAll(const InnerPacket& p) {
  uint32_t sum = p.protocol() + p.ttl() + p.tos() + p.LaterFragment() + p.Fragment() + IsMartianSource(p) +
                 AsksForSourceRoute(p) + FlowHash(p, 1) + p.SourceAddress().bytes[0] +
                 p.DestinationAddress().bytes[0];
  asm volatile("" ::"r"(sum));
}

void CheckParse(std::span<const uint8_t> bytes) {
  Exact exact(bytes);
  InnerPacket p;
  DropReason verdict = ParseInner(exact.data(), exact.size(), p);
  REQUIRE(verdict == Verdict(bytes));
  if (verdict != DropReason::kNone) return;
  REQUIRE(p.length <= exact.size());
  REQUIRE(p.header_len <= p.length);
  // Only what the header claims is the packet: the rest must not be read either.
  Exact claimed(bytes.first(p.length));
  REQUIRE(ParseInner(claimed.data(), claimed.size(), p) == DropReason::kNone);
  ReadAll(p);
}

std::vector<test::Bytes> ValidPackets() {
  std::vector<test::Bytes> packets;
  for (const char* address : {"10.5.2.9", "fd00::1"}) {
    for (uint8_t protocol : {0, 1, 6, 17, 43, 44, 50, 51, 58, 60}) {
      Shape shape;
      shape.source = shape.destination = address;
      shape.protocol = protocol;
      shape.payload = test::Bytes(64);
      packets.push_back(test::IpPacket(shape));
    }
  }
  for (size_t n = 4; n <= 40; n += 4) {
    Shape shape;
    shape.options = test::Bytes(n, 1);
    packets.push_back(test::IpPacket(shape));
  }
  return packets;
}

InnerPacket Parsed(const Exact& bytes) {
  InnerPacket p;
  REQUIRE(ParseInner(bytes.data(), bytes.size(), p) == DropReason::kNone);
  return p;
}

}  // namespace

TEST_CASE("ip: every length of a valid packet cut short or padded") {
  for (const test::Bytes& packet : ValidPackets()) {
    for (size_t len = 0; len <= packet.size(); len++) CheckParse(std::span(packet).first(len));
    test::Bytes padded = packet;
    padded.resize(packet.size() + 18);
    CheckParse(padded);
  }
}

TEST_CASE("ip: every value of each of the first 64 bytes") {
  for (test::Bytes packet : ValidPackets()) {
    for (size_t at = 0; at < std::min<size_t>(64, packet.size()); at++) {
      uint8_t before = packet[at];
      for (unsigned value = 0; value < 256; value++) {
        packet[at] = static_cast<uint8_t>(value);
        CheckParse(packet);
      }
      packet[at] = before;
    }
  }
}

TEST_CASE("ip: random bytes, and packets with random changes") {
  TWILL_RANDOM(random);
  auto valid = ValidPackets();
  for (size_t i = 0; i < test::Times(200'000); i++) {
    test::Bytes bytes = random.OneIn(4) ? random.Bytes(random.Below(120)) : valid[random.Below(valid.size())];
    for (size_t n = random.Below(5); n > 0 && !bytes.empty(); n--)
      bytes[random.Below(bytes.size())] = random.Byte();
    bytes.resize(bytes.size() - std::min(bytes.size(), random.OneIn(2) ? random.Below(60) : 0));
    CheckParse(bytes);
  }
}

TEST_CASE("ip: a lowered TTL and changed ECN bits leave all else, and a right checksum right") {
  TWILL_RANDOM(random);
  for (const char* address : {"10.5.2.9", "fd00::1"}) {
    for (int i = 0; i < 5000; i++) {
      Shape shape;
      shape.source = shape.destination = address;
      shape.ttl = static_cast<uint8_t>(1 + random.Below(255));
      shape.tos = random.Byte();
      shape.payload = random.Bytes(random.Below(20));
      if (shape.source[0] == '1') shape.options = random.Bytes(random.Below(3) * 4);
      Exact bytes(test::IpPacket(shape));
      InnerPacket p = Parsed(bytes);
      auto ecn = static_cast<uint8_t>(random.Below(4));
      if (random.OneIn(2)) {
        DecrementTtl(p, bytes.data());
        shape.ttl--;
      } else {
        SetEcn(p, bytes.data(), ecn);
        shape.tos = static_cast<uint8_t>((shape.tos & 0xfc) | ecn);
      }
      test::Bytes wanted = test::IpPacket(shape);
      if (shape.source[0] == '1') {
        // 0x0000 and 0xffff are the same checksum: whichever the patch arrives at.
        REQUIRE(ChecksumSum(bytes.data(), p.header_len) == 0xffff);
        std::memcpy(&wanted[10], bytes.data() + 10, 2);
      }
      REQUIRE(bytes.bytes() == wanted);
    }
  }
}

TEST_CASE("ip: source routes, wherever they stand among the options") {
  auto asks = [](const char* options) {
    Shape shape;
    shape.options = test::Hex(options);
    Exact bytes(test::IpPacket(shape));
    return AsksForSourceRoute(Parsed(bytes));
  };
  CHECK(asks("83070400 00000000"));
  CHECK(asks("89070400 00000000"));
  CHECK(asks("01018303"));
  CHECK(asks("07040000 83000000"));
  CHECK(asks("83000000"));                    // a broken one too
  CHECK(asks("00000083") == false);           // behind the end of options
  CHECK(asks("07080083 00000000") == false);  // inside another option
  CHECK(asks("07ff0083") == false);
  CHECK(asks("07008300") == false);  // a length that leads nowhere
  CHECK(asks("01010107") == false);  // a type without a length
  CHECK(asks("") == false);
}

TEST_CASE("ip: routing headers of type 0, behind which options") {
  auto asks = [](uint8_t next, const char* rest) {
    Shape shape;
    shape.source = shape.destination = "fd00::1";
    shape.protocol = next;
    shape.payload = test::Hex(rest);
    Exact bytes(test::IpPacket(shape));
    return AsksForSourceRoute(Parsed(bytes));
  };
  CHECK(asks(43, "3b000001 00000000"));
  CHECK(asks(0, "2b000000 00000000 3b000001 00000000"));
  CHECK(asks(60, "2b010000 00000000 00000000 00000000 3b000000 00000000"));
  CHECK(asks(43, "3b000201 00000000") == false);  // type 2: mobile IPv6
  CHECK(asks(43, "3b0000") == false);             // cut short
  CHECK(asks(0, "2bff0000 00000000") == false);   // leads out of the packet
  CHECK(asks(17, "2b000000 00000000") == false);
}

TEST_CASE("ip: chains of random options and extension headers are walked within the packet") {
  TWILL_RANDOM(random);
  constexpr uint8_t kOptions[] = {0, 1, 7, 68, 131, 137, 148};
  constexpr uint8_t kHeaders[] = {0, 43, 44, 51, 60, 58, 17};
  size_t asked = 0;
  for (size_t i = 0; i < test::Times(200'000); i++) {
    Shape shape;
    if (random.OneIn(2)) {
      shape.options = random.Bytes(random.Below(11) * 4);
      for (uint8_t& b : shape.options)
        b = random.OneIn(2) ? random.Of(kOptions) : static_cast<uint8_t>(b % 12);
      shape.payload.clear();
    } else {
      shape.source = shape.destination = "fd00::1";
      shape.protocol = random.Of(kHeaders);
      shape.payload = random.Bytes(random.Below(100));
      for (size_t at = 0; at + 1 < shape.payload.size(); at += 8) {
        shape.payload[at] = random.Of(kHeaders);
        if (!random.OneIn(4)) shape.payload[at + 1] = static_cast<uint8_t>(random.Below(2));
      }
    }
    Exact bytes(test::IpPacket(shape));
    asked += AsksForSourceRoute(Parsed(bytes));
  }
  CHECK(asked > 0);
}

TEST_CASE("ip: sources that can be nobody's") {
  auto martian = [](const char* source) {
    Shape shape;
    shape.source = shape.destination = source;
    Exact bytes(test::IpPacket(shape));
    return IsMartianSource(Parsed(bytes));
  };
  for (const char* source :
       {"0.0.0.0", "0.255.255.255", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::ffff:10.5.2.9", "ff02::1"}) {
    CHECK_MESSAGE(martian(source), source);
  }
  for (const char* source : {"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "10.5.2.9", "::2",
                             "::fffe:a05:209", "fe80::1", "fd00::1", "64:ff9b::a05:209"}) {
    CHECK_MESSAGE(!martian(source), source);
  }
}

TEST_CASE("ip: a flow has one hash, whatever changes from packet to packet; flows spread") {
  TWILL_RANDOM(random);
  auto hash = [](const Shape& shape, uint32_t seed) {
    Exact bytes(test::IpPacket(shape));
    return FlowHash(Parsed(bytes), seed);
  };
  Shape a, b;
  b.ttl = 3;
  b.tos = 0xb8;
  b.payload.resize(500, 9);
  CHECK(hash(a, 1) == hash(b, 1));
  CHECK(hash(a, 1) != hash(a, 2));  // nobody outside can aim
  size_t buckets[16] = {};
  for (uint16_t port = 0; port < 1600; port++) {
    StoreBe16(a.payload.data(), port);
    buckets[(uint64_t{hash(a, static_cast<uint32_t>(random_seed))} * 16) >> 32]++;
  }
  for (size_t n : buckets) CHECK(n > 40);
  // Later fragments have no ports: the whole datagram must stay together.
  Shape first;
  Exact one(test::IpPacket(first));
  StoreBe16(one.data() + 6, 0x2000);
  StoreBe16(first.payload.data(), 0xffff);
  Exact two(test::IpPacket(first));
  StoreBe16(two.data() + 6, 0x0010);
  CHECK(FlowHash(Parsed(one), 1) == FlowHash(Parsed(two), 1));
}

}  // namespace twill
