// Segmentation and coalescing against packets built the slow way, and against each other.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "offload/coalesce.h"
#include "offload/segment.h"
#include "offload/virtio.h"
#include "transport_packets.h"
#include "wire/ip.h"

using namespace twill;
using namespace twill_test;

namespace {

uint32_t Seed() {
  const char* given = std::getenv("TWILL_TEST_SEED");
  return given ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t Below(uint32_t n) { return engine_() % n; }
  bool Chance(uint32_t percent) { return Below(100) < percent; }
  Bytes Some(size_t n) {
    Bytes b(n);
    for (uint8_t& x : b) x = static_cast<uint8_t>(engine_());
    return b;
  }
  Shape AnyShape() {
    Shape s;
    s.four = Chance(50);
    s.tcp = Chance(60);
    s.id = static_cast<uint16_t>(engine_());
    s.df = Chance(50);
    s.sequence = engine_();
    s.tos = static_cast<uint8_t>(Below(4));
    s.options = s.tcp && Chance(70) ? Some(Below(11) * 4) : Bytes{};
    return s;
  }

 private:
  std::mt19937 engine_;
};

// A packet whose bytes end exactly where an allocation ends, so that a sanitizer sees one byte too far.
struct Held {
  Bytes bytes;
  Packet packet;
  explicit Held(Bytes b) : bytes(std::move(b)) {
    bytes.shrink_to_fit();
    packet.data = bytes.data();
    packet.len = static_cast<uint32_t>(bytes.size());
    packet.slot = kNoSlot;
  }
};

VirtioHeader HeaderOf(const Shape& s, uint16_t segment_bytes) {
  VirtioHeader h;
  h.flags = kVirtioNeedsChecksum;
  h.gso_type = !s.tcp ? kGsoUdp : s.four ? kGsoTcp4 : kGsoTcp6;
  h.gso_size = segment_bytes;
  h.hdr_len = static_cast<uint16_t>(HeaderBytes(s));
  h.csum_start = static_cast<uint16_t>(TransportAt(s));
  h.csum_offset = s.tcp ? 16 : 6;
  return h;
}

// The segments of a super-packet, as its sender would have sent them one by one.
std::vector<Bytes> SlowSegments(const Shape& super, size_t segment_bytes) {
  std::vector<Bytes> out;
  size_t count = (super.payload.size() + segment_bytes - 1) / segment_bytes;
  for (size_t i = 0; i < count; i++) {
    Shape s = super;
    size_t from = i * segment_bytes, to = std::min(from + segment_bytes, super.payload.size());
    s.payload.assign(super.payload.begin() + static_cast<long>(from),
                     super.payload.begin() + static_cast<long>(to));
    s.id = static_cast<uint16_t>(super.id + i);
    s.sequence = super.sequence + static_cast<uint32_t>(from);
    if (i + 1 < count) s.flags &= static_cast<uint8_t>(~0x09);  // FIN, PSH
    if (i > 0) s.flags &= 0x7f;                                 // CWR
    out.push_back(Build(s));
  }
  return out;
}

std::vector<Bytes> Segments(const Packet& super) {
  std::vector<Bytes> out;
  Segmenter segmenter(super);
  for (size_t i = 0; i < segmenter.count(); i++) {
    Bytes b(segmenter.header_bytes());
    auto payload = segmenter.Write(i, b.data());
    b.insert(b.end(), payload.begin(), payload.end());
    out.push_back(b);
  }
  return out;
}

// What the kernel makes of a group that it is handed as one super-packet.
std::vector<Bytes> AsTheKernelCuts(const Coalescer& coalescer, const Coalescer::Group& group,
                                   const Batch& batch) {
  Bytes super(kInnerHeadersMax);
  VirtioHeader header = WriteGroupHeaders(group, batch[group.first], super.data());
  super.resize(group.header_bytes);
  uint8_t member = group.first;
  for (size_t i = 0; i < group.count; i++, member = coalescer.next(member)) {
    const Packet& p = batch[member];
    super.insert(super.end(), p.data + group.header_bytes, p.data + p.len);
  }
  Held held(super);
  REQUIRE(ApplyVirtioHeader(header, held.packet) == DropReason::kNone);
  REQUIRE(held.packet.segments == group.count);
  return Segments(held.packet);
}

// Version, protocol, addresses, ports: by the bytes, since a flipped bit may have made it another flow.
Bytes FlowOf(const Bytes& b) {
  bool four = b[0] >> 4 == 4;
  size_t transport = four ? 20 : 40;
  Bytes flow;
  flow.push_back(b[0] >> 4);
  flow.push_back(four ? b[9] : b[6]);
  for (size_t i = four ? 12 : 8; i < transport + 4 && i < b.size(); i++) flow.push_back(b[i]);
  return flow;
}

std::unique_ptr<Pool> SmallPool() {
  return std::move(*Pool::Open(256, 2048));
}

}  // namespace

TEST_CASE("a super-packet is cut as its sender would have sent it, and comes together again as it was") {
  uint32_t seed = Seed();
  CAPTURE(seed);
  Random random(seed);
  auto pool = SmallPool();
  for (int round = 0; round < 2000; round++) {
    Shape s = random.AnyShape();
    s.flags = static_cast<uint8_t>(0x10 | (random.Chance(30) ? 0x08 : 0) | (random.Chance(10) ? 0x01 : 0) |
                                   (random.Chance(5) ? 0x80 : 0));
    uint16_t size = static_cast<uint16_t>(1 + random.Below(1460));
    size_t most = std::min<size_t>(65535 - HeaderBytes(s), size * 60u);
    s.payload = random.Some(size + 1 + random.Below(static_cast<uint32_t>(most - size)));
    Held held(Build(s, true));
    REQUIRE(ApplyVirtioHeader(HeaderOf(s, size), held.packet) == DropReason::kNone);
    std::vector<Bytes> wanted = SlowSegments(s, size);
    REQUIRE(held.packet.segments == wanted.size());
    REQUIRE(Segments(held.packet) == wanted);

    Batch batch(*pool);
    std::vector<Held> parts;
    parts.reserve(wanted.size());
    for (const Bytes& b : wanted) {
      parts.emplace_back(b);
      parts.back().packet.data = parts.back().bytes.data();
      batch.Adopt(parts.back().packet);
    }
    Coalescer coalescer;
    auto groups = coalescer.Run(batch, {});
    bool cwr = s.tcp && (s.flags & 0x80);
    if (cwr) {
      CHECK(groups[0].count == 1);  // the first alone carries CWR: not merged
      continue;
    }
    REQUIRE(groups.size() == 1);
    REQUIRE(AsTheKernelCuts(coalescer, groups[0], batch) == wanted);
  }
}

TEST_CASE("whatever comes in a batch, each flow goes on in its order and its packets byte for byte") {
  uint32_t seed = Seed();
  CAPTURE(seed);
  Random random(seed);
  auto pool = SmallPool();
  size_t merged = 0, alone = 0;
  for (int round = 0; round < 3000; round++) {
    std::vector<Shape> flows;
    for (uint32_t i = 0; i < 1 + random.Below(4); i++) {
      Shape s = random.AnyShape();
      s.host = static_cast<uint8_t>(1 + random.Below(2));
      s.port = static_cast<uint16_t>(1000 + random.Below(2));
      flows.push_back(s);
    }
    std::vector<Held> held;
    size_t size = 1 + random.Below(200);
    size_t count = 2 + random.Below(kBatchMax - 2);
    held.reserve(count);
    for (size_t i = 0; i < count; i++) {
      Shape& flow = flows[random.Below(static_cast<uint32_t>(flows.size()))];
      Shape s = flow;
      s.payload = random.Some(random.Chance(90) ? size : random.Below(250));
      if (random.Chance(3)) s.flags |= static_cast<uint8_t>(1u << random.Below(8));
      if (random.Chance(2)) s.ttl--;
      if (random.Chance(2)) s.tos ^= 1;
      if (random.Chance(2)) s.window++;
      if (random.Chance(2)) s.acknowledgement++;
      if (random.Chance(2)) s.sequence += 5;
      if (random.Chance(2)) s.id += 3;
      if (random.Chance(1)) s.df = !s.df;
      flow.sequence = s.sequence + static_cast<uint32_t>(s.payload.size());
      if (!s.df || random.Chance(50)) flow.id = static_cast<uint16_t>(s.id + 1);
      Bytes b = Build(s);
      if (random.Chance(4))
        b[random.Below(static_cast<uint32_t>(b.size() - 1)) | 1] ^= 0x10;  // a flipped bit
      InnerPacket inner;
      if (ParseInner(b.data(), b.size(), inner) != DropReason::kNone || inner.length != b.size()) continue;
      held.emplace_back(b);
    }
    Batch batch(*pool);
    for (Held& h : held) {
      h.packet.data = h.bytes.data();
      batch.Adopt(h.packet);
    }
    Coalescer coalescer;
    std::vector<size_t> order;
    for (const auto& group : coalescer.Run(batch, {})) {
      uint8_t member = group.first;
      std::vector<Bytes> cut;
      if (group.count > 1) cut = AsTheKernelCuts(coalescer, group, batch);
      (group.count > 1 ? merged : alone) += group.count;
      for (size_t i = 0; i < group.count; i++, member = coalescer.next(member)) {
        order.push_back(member);
        if (group.count == 1) continue;
        Bytes wanted = held[member].bytes;
        // With DF the kernel may number atomic datagrams that came with one number (RFC 6864).
        bool atomic = wanted[0] >> 4 == 4 && (wanted[6] & 0x40);
        if (atomic) {
          for (size_t at : {4, 5, 10, 11}) wanted[at] = cut[i][at] = 0;
        }
        REQUIRE(cut[i] == wanted);
      }
    }
    REQUIRE(order.size() == held.size());
    // Every packet once, and those of one flow in the order in which they came.
    std::map<size_t, bool> seen;
    for (size_t i = 0; i < order.size(); i++) {
      REQUIRE(!seen[order[i]]);
      seen[order[i]] = true;
      for (size_t k = i + 1; k < order.size(); k++) {
        if (order[k] < order[i]) REQUIRE(FlowOf(held[order[k]].bytes) != FlowOf(held[order[i]].bytes));
      }
    }
  }
  CHECK(merged > 10000);
  CHECK(alone > 10000);
}

TEST_CASE(
    "a flipped bit costs only its own packet: the others still go together, it goes alone and stays wrong") {
  auto pool = SmallPool();
  std::vector<Held> held;
  held.reserve(10);
  Shape s;
  s.payload = Bytes(100, 1);
  for (int i = 0; i < 10; i++) {
    Bytes b = Build(s);
    if (i == 4) b[90] ^= 1;
    held.emplace_back(b);
    s.sequence += 100;
    s.id++;
  }
  Batch batch(*pool);
  for (Held& h : held) {
    h.packet.data = h.bytes.data();
    batch.Adopt(h.packet);
  }
  Coalescer coalescer;
  auto groups = coalescer.Run(batch, {});
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].count == 4);
  CHECK(groups[1].count == 1);
  CHECK(groups[1].first == 4);
  CHECK(groups[2].count == 5);
}

TEST_CASE("a fragment hides its flow: nothing passes it") {
  auto pool = SmallPool();
  Shape s;
  s.payload = Bytes(100, 1);
  Bytes first = Build(s), second, fragment = Build(s);
  s.sequence += 100;
  s.id++;
  second = Build(s);
  fragment[6] = 0x20;
  Held a(first), f(fragment), b(second);
  Batch batch(*pool);
  for (Held* h : {&a, &f, &b}) {
    h->packet.data = h->bytes.data();
    batch.Adopt(h->packet);
  }
  Coalescer coalescer;
  CHECK(coalescer.Run(batch, {}).size() == 3);
}

TEST_CASE("limits: each protocol by itself") {
  auto pool = SmallPool();
  for (bool tcp : {true, false}) {
    Shape s;
    s.tcp = tcp;
    s.payload = Bytes(100, 1);
    Bytes first = Build(s);
    s.sequence += 100;
    s.id++;
    Held a(first), b(Build(s));
    Batch batch(*pool);
    for (Held* h : {&a, &b}) {
      h->packet.data = h->bytes.data();
      batch.Adopt(h->packet);
    }
    Coalescer coalescer;
    CHECK(coalescer.Run(batch, {tcp, !tcp}).size() == 1);
    CHECK(coalescer.Run(batch, {!tcp, tcp}).size() == 2);
  }
}

TEST_CASE("any virtio header in front of any packet: refused, or what it says holds") {
  uint32_t seed = Seed();
  CAPTURE(seed);
  Random random(seed);
  size_t taken = 0;
  for (int round = 0; round < 200000; round++) {
    Shape s = random.AnyShape();
    s.payload = random.Some(random.Below(300));
    Bytes bytes = Build(s, true);
    if (random.Chance(30))
      bytes[random.Below(static_cast<uint32_t>(bytes.size()))] ^= static_cast<uint8_t>(1 + random.Below(255));
    if (random.Chance(10)) bytes.resize(random.Below(static_cast<uint32_t>(bytes.size())) + 1);
    VirtioHeader h = HeaderOf(s, static_cast<uint16_t>(random.Below(200)));
    if (random.Chance(20)) h.flags = static_cast<uint8_t>(random.Below(256));
    if (random.Chance(20)) h.gso_type = static_cast<uint8_t>(random.Below(256));
    if (random.Chance(20))
      h.csum_start = static_cast<uint16_t>(random.Below(random.Chance(50) ? 400 : 65536));
    if (random.Chance(20))
      h.csum_offset = static_cast<uint16_t>(random.Below(random.Chance(50) ? 40 : 65536));
    Held held(bytes);
    if (ApplyVirtioHeader(h, held.packet) != DropReason::kNone || !held.packet.IsSuper()) continue;
    taken++;
    size_t sum = 0;
    for (const Bytes& segment : Segments(held.packet)) {
      InnerPacket inner;
      REQUIRE(ParseInner(segment.data(), segment.size(), inner) == DropReason::kNone);
      REQUIRE(inner.length == segment.size());
      sum += segment.size() - held.packet.header_bytes;
    }
    REQUIRE(sum == held.packet.len - held.packet.header_bytes);
  }
  CHECK(taken > 1000);
}
