#include "path/decap_path.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "encap/vxlan.h"
#include "support/path.h"

namespace twill {

namespace {

using test::Exact;
using test::Node;

const char* const kSenders[] = {"192.0.2.2", "192.0.2.2", "192.0.2.3", "2001:db8::2", "203.0.113.9"};

struct Datagram {
  test::Bytes payload;
  Endpoint remote;
  uint8_t tos = 0;
  bool truncated = false;
};

Datagram AnyDatagram(test::Random& random, bool is_vxlan) {
  Datagram d;
  d.payload = test::AnyPacket(random);
  if (random.OneIn(2)) {  // what a peer may send
    test::Shape shape;
    shape.tos = random.Byte();
    d.payload = test::IpPacket(shape);
  }
  if (is_vxlan) {
    Peer row;
    row.subnet.address.family = !d.payload.empty() && d.payload[0] >> 4 == 6 ? 6 : 4;
    Vxlan(1, test::kPeerMac).Cook(test::kOwnMac, row);
    if (random.OneIn(5)) row.header[random.Below(kCookedBytes)] = random.Byte();
    d.payload.insert(d.payload.begin(), row.header.begin(), row.header.end());
    if (random.OneIn(10)) d.payload.resize(random.Below(42));
  }
  d.remote = {test::Address(random.Of(kSenders)), 40'000};
  d.tos = random.OneIn(2) ? random.Byte() : 0;
  d.truncated = random.OneIn(40);
  return d;
}

void Mark(Packet& p, const Datagram& d) {
  p.remote = d.remote;
  p.tos = d.tos;
  p.truncated = d.truncated;
}

std::unique_ptr<Pool> NewPool(uint32_t slots) {
  auto pool = Pool::Open(slots, 2048);
  REQUIRE(pool.ok());
  return std::move(*pool);
}

void Fill(Batch& batch, const std::vector<Datagram>& datagrams) {
  REQUIRE(batch.Grow(datagrams.size()) == datagrams.size());
  for (size_t i = 0; i < datagrams.size(); i++) {
    std::copy(datagrams[i].payload.begin(), datagrams[i].payload.end(), batch[i].data);
    batch[i].len = static_cast<uint32_t>(datagrams[i].payload.size());
    Mark(batch[i], datagrams[i]);
  }
}

std::vector<Datagram> Draw(test::Random& random, bool is_vxlan, size_t count) {
  std::vector<Datagram> datagrams(count);
  for (Datagram& d : datagrams) d = AnyDatagram(random, is_vxlan);
  return datagrams;
}

}  // namespace

TEST_CASE("decap path: whatever comes, all datagrams are accounted for, in order, and every slot returns") {
  TWILL_RANDOM(random);
  for (const char* encap : {"udp", "vxlan"}) {
    for (bool source_check : {true, false}) {
      CAPTURE(std::string(encap));
      CAPTURE(source_check);
      Node node(encap, source_check);
      auto pool = NewPool(kBatchMax);
      auto path = node.tunnel->NewDecapPath(node.identity);
      Tally all;
      size_t delivered = 0;
      for (size_t round = 0; round < test::Times(3000); round++) {
        auto datagrams = Draw(random, node.is_vxlan, random.Below(kBatchMax + 1));
        Batch batch(*pool);
        Fill(batch, datagrams);
        std::vector<uint32_t> slots;
        for (const Packet& p : batch) slots.push_back(p.slot);
        path->Run(node.table, batch, all);
        delivered += batch.size();
        REQUIRE(pool->free() == pool->slots() - batch.size());
        size_t at = 0;
        for (const Packet& p : batch) {
          while (at < slots.size() && slots[at] != p.slot) at++;
          REQUIRE(at < slots.size());
          REQUIRE_FALSE(p.truncated);
          const uint8_t* start = pool->PacketStart(p.slot);
          REQUIRE(p.data >= start);
          REQUIRE(p.data + p.len <= start + datagrams[at].payload.size());
          InnerPacket inner;
          REQUIRE(ParseInner(p.data, p.len, inner) == DropReason::kNone);
          REQUIRE(inner.length == p.len);  // padding is off
          if (p.csum_start != 0) REQUIRE(p.csum_start + p.csum_offset + 2u <= p.len);
          if (!source_check) continue;
          REQUIRE(node.identity.Owns(inner.family, inner.destination()));
          REQUIRE_FALSE(node.identity.Owns(inner.family, inner.source()));
        }
      }
      CHECK(delivered > 100);
      size_t met = 0;
      for (uint64_t n : all.drops) met += n > 0;
      CHECK(met >= (node.is_vxlan ? 9 : 5));
    }
  }
}

TEST_CASE("decap path: no byte outside the datagram is touched") {
  TWILL_RANDOM(random);
  for (const char* encap : {"udp", "vxlan"}) {
    for (bool source_check : {true, false}) {
      Node node(encap, source_check);
      auto pool = NewPool(1);
      auto path = node.tunnel->NewDecapPath(node.identity);
      for (size_t round = 0; round < test::Times(3000); round++) {
        auto datagrams = Draw(random, node.is_vxlan, random.Below(kBatchMax + 1));
        std::vector<Exact> memory;
        Batch batch(*pool);
        for (const Datagram& d : datagrams) {
          memory.emplace_back(d.payload);
          Packet p = memory.back().AsPacket();
          Mark(p, d);
          batch.Adopt(p);
        }
        Tally tally;
        path->Run(node.table, batch, tally);
        REQUIRE(batch.size() + tally.TotalDrops() == datagrams.size());
      }
    }
  }
}

TEST_CASE("decap path: the same datagrams have the same fate, alone or in a batch") {
  TWILL_RANDOM(random);
  for (const char* encap : {"udp", "vxlan"}) {
    Node node(encap);
    auto pool = NewPool(2 * kBatchMax);
    auto path = node.tunnel->NewDecapPath(node.identity);
    for (size_t round = 0; round < test::Times(200); round++) {
      auto datagrams = Draw(random, node.is_vxlan, kBatchMax);
      Batch together(*pool);
      Fill(together, datagrams);
      Tally tally, sum;
      path->Run(node.table, together, tally);
      size_t at = 0;
      for (const Datagram& d : datagrams) {
        Batch alone(*pool);
        Fill(alone, {d});
        path->Run(node.table, alone, sum);
        if (alone.empty()) continue;
        REQUIRE(at < together.size());
        REQUIRE(test::BytesOf(alone[0]) == test::BytesOf(together[at]));
        REQUIRE(alone[0].csum_start == together[at].csum_start);
        at++;
      }
      REQUIRE(at == together.size());
      REQUIRE(sum.drops == tally.drops);
    }
  }
}

TEST_CASE("decap path: an unknown sender is named first, whatever it sends") {
  TWILL_RANDOM(random);
  Node node("vxlan");
  auto pool = NewPool(kBatchMax);
  auto path = node.tunnel->NewDecapPath(node.identity);
  for (int round = 0; round < 100; round++) {
    auto datagrams = Draw(random, true, kBatchMax);
    size_t truncated = 0;
    for (Datagram& d : datagrams) {
      d.remote.address = test::Address("203.0.113.9");
      truncated += d.truncated;
    }
    Batch batch(*pool);
    Fill(batch, datagrams);
    Tally tally;
    path->Run(node.table, batch, tally);
    REQUIRE(tally.drops[static_cast<size_t>(DropReason::kUnknownPeer)] == kBatchMax - truncated);
    REQUIRE(tally.drops[static_cast<size_t>(DropReason::kTruncated)] == truncated);
  }
}

TEST_CASE("decap path: a node may send from its own address, if it is a peer's") {
  Node node("vxlan");
  auto pool = NewPool(1);
  auto path = node.tunnel->NewDecapPath(node.identity);
  auto fate = [&](const char* source, const char* remote) {
    test::Shape shape;
    shape.source = source;
    Peer row;
    row.subnet.address.family = 4;
    Vxlan(1, test::kPeerMac).Cook(test::kOwnMac, row);
    Datagram d{test::IpPacket(shape), {test::Address(remote), 1}};
    d.payload.insert(d.payload.begin(), row.header.begin(), row.header.end());
    Batch batch(*pool);
    Fill(batch, {d});
    Tally tally;
    path->Run(node.table, batch, tally);
    for (size_t i = 0; i < kDropReasons; i++) {
      if (tally.drops[i] != 0) return static_cast<DropReason>(i);
    }
    return DropReason::kNone;
  };
  CHECK(fate("10.5.2.9", "192.0.2.2") == DropReason::kNone);
  CHECK(fate("10.5.2.200", "192.0.2.3") == DropReason::kNone);
  CHECK(fate("10.5.2.200", "192.0.2.2") == DropReason::kSourceMismatch);  // the longer prefix is another's
  CHECK(fate("192.0.2.3", "192.0.2.3") == DropReason::kNone);  // in 192.0.2.0/28, which is another's
  CHECK(fate("192.0.2.3", "192.0.2.2") == DropReason::kNone);  // and so that one may use it
  CHECK(fate("192.0.2.2", "192.0.2.3") == DropReason::kSourceMismatch);
  CHECK(fate("203.0.113.9", "203.0.113.9") == DropReason::kUnknownPeer);
}

}  // namespace twill
