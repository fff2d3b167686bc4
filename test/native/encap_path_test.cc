#include "path/encap_path.h"

#include <doctest/doctest.h>

#include <vector>

#include "support/path.h"
#include "wire/icmp.h"

namespace twill {

namespace {

using test::Exact;
using test::Node;

constexpr uint64_t kSecond = 1'000'000'000;

std::unique_ptr<Pool> NewPool(uint32_t slots) {
  auto pool = Pool::Open(slots, 2048);
  REQUIRE(pool.ok());
  return std::move(*pool);
}

void Fill(Batch& batch, const std::vector<test::Bytes>& packets) {
  REQUIRE(batch.Grow(packets.size()) == packets.size());
  for (size_t i = 0; i < packets.size(); i++) {
    std::copy(packets[i].begin(), packets[i].end(), batch[i].data);
    batch[i].len = static_cast<uint32_t>(packets[i].size());
  }
}

}  // namespace

TEST_CASE("encap path: whatever comes, all packets are accounted for, in order, and every slot returns") {
  TWILL_RANDOM(random);
  for (const char* encap : {"udp", "vxlan"}) {
    CAPTURE(std::string(encap));
    Node node(encap);
    auto pool = NewPool(2 * kBatchMax);
    auto path = node.tunnel->NewEncapPath(node.identity, 1);
    Tally all;
    for (size_t round = 0; round < test::Times(4000); round++) {
      std::vector<test::Bytes> packets(random.Below(kBatchMax + 1));
      for (test::Bytes& p : packets) p = test::AnyPacket(random);
      Batch batch(*pool), answers(*pool);
      Fill(batch, packets);
      std::vector<uint32_t> slots;
      for (const Packet& p : batch) slots.push_back(p.slot);
      Tally tally;
      path->Run(node.table, batch, answers, round * kSecond / 1000, tally);
      REQUIRE(packets.size() == batch.size() + tally.TotalDrops());
      REQUIRE(answers.size() == tally.icmp_sent);
      REQUIRE(pool->free() == pool->slots() - batch.size() - answers.size());
      size_t at = 0;
      for (const Packet& p : batch) {
        while (at < slots.size() && slots[at] != p.slot) at++;
        REQUIRE(at < slots.size());  // in their order
        REQUIRE(p.data >= pool->Slot(p.slot));
        REQUIRE(p.data + p.len <= pool->Slot(p.slot) + pool->stride());
        REQUIRE(p.remote.port == node.identity.cluster_port);
        REQUIRE(p.len <= test::kInnerMtu + (node.is_vxlan ? 22 : 0));
      }
      for (const Packet& p : answers) {
        InnerPacket answer;
        REQUIRE(ParseInner(p.data, p.len, answer) == DropReason::kNone);
        REQUIRE(answer.length == p.len);
        REQUIRE(node.identity.Owns(answer.family, answer.source()));
        REQUIRE_FALSE(MayAnswer(answer));
      }
      all.Add(tally);
    }
    // The generator reaches behind the first checks.
    for (DropReason reason : {DropReason::kInnerShort, DropReason::kInnerVersion, DropReason::kInnerLength,
                              DropReason::kNoRoute, DropReason::kLoop, DropReason::kTooBig}) {
      CHECK_MESSAGE(all.drops[static_cast<size_t>(reason)] > 0, DropReasonName(reason));
    }
    CHECK(all.icmp_sent > 0);
    CHECK(all.icmp_suppressed > 0);
    CHECK(pool->free() == pool->slots());
  }
}

TEST_CASE("encap path: no byte outside the packet and its headroom is touched") {
  TWILL_RANDOM(random);
  for (const char* encap : {"udp", "vxlan"}) {
    CAPTURE(std::string(encap));
    Node node(encap);
    auto pool = NewPool(kBatchMax);
    auto path = node.tunnel->NewEncapPath(node.identity, 1);
    const size_t headroom = node.is_vxlan ? kCookedBytes : 0;
    for (size_t round = 0; round < test::Times(4000); round++) {
      std::vector<Exact> packets;
      Batch batch(*pool), answers(*pool);
      for (size_t n = random.Below(kBatchMax + 1); n > 0; n--) {
        packets.emplace_back(test::AnyPacket(random), headroom);
        batch.Adopt(packets.back().AsPacket());
      }
      Tally tally;
      path->Run(node.table, batch, answers, round * kSecond, tally);
      size_t at = 0;
      for (const Packet& p : batch) {
        while (at < packets.size() && p.data != packets[at].data() - headroom) at++;
        REQUIRE(at < packets.size());
        REQUIRE(p.len <= packets[at].size() + headroom);
      }
    }
  }
}

TEST_CASE("encap path: the same packets have the same fate, alone or in a batch") {
  TWILL_RANDOM(random);
  for (const char* encap : {"udp", "vxlan"}) {
    Node node(encap);
    auto pool = NewPool(4 * kBatchMax);
    for (size_t round = 0; round < test::Times(200); round++) {
      std::vector<test::Bytes> packets(kBatchMax);
      for (test::Bytes& p : packets) p = test::AnyPacket(random);
      auto path = node.tunnel->NewEncapPath(node.identity, 1);
      Batch together(*pool), answers(*pool);
      Fill(together, packets);
      Tally tally;
      path->Run(node.table, together, answers, 0, tally);
      Tally sum;
      size_t at = 0;
      for (const test::Bytes& bytes : packets) {
        Batch alone(*pool), answer(*pool);
        Fill(alone, {bytes});
        path->Run(node.table, alone, answer, 100 * kSecond, sum);
        if (alone.empty()) continue;
        REQUIRE(at < together.size());
        REQUIRE(test::BytesOf(alone[0]) == test::BytesOf(together[at]));
        REQUIRE(alone[0].flow_hash == together[at].flow_hash);
        REQUIRE(alone[0].remote == together[at].remote);
        REQUIRE(alone[0].tos == together[at].tos);
        at++;
      }
      REQUIRE(at == together.size());
      REQUIRE(sum.drops == tally.drops);
    }
  }
}

TEST_CASE("encap path: without a slot for it an ICMP error is held back, and counted") {
  Node node("vxlan");
  auto pool = NewPool(1);
  auto path = node.tunnel->NewEncapPath(node.identity, 1);
  test::Shape lost;
  lost.destination = "10.5.9.9";
  Batch batch(*pool), answers(*pool);
  Fill(batch, {test::IpPacket(lost)});
  Tally tally;
  path->Run(node.table, batch, answers, 0, tally);
  CHECK(tally.icmp_sent == 0);
  CHECK(tally.icmp_suppressed == 1);
  CHECK(tally.drops[static_cast<size_t>(DropReason::kNoRoute)] == 1);
  CHECK(pool->free() == 1);
}

TEST_CASE("encap path: ICMP errors: 100 a second to one source, 1,000 to all") {
  Node node("vxlan");
  auto pool = NewPool(2 * kBatchMax);
  auto path = node.tunnel->NewEncapPath(node.identity, 1);
  auto flood = [&](size_t count, uint64_t now_ns, auto source) {
    Tally tally;
    for (size_t i = 0; i < count; i++) {
      test::Shape lost;
      lost.source = source(i);
      lost.destination = "10.5.9.9";
      Batch batch(*pool), answers(*pool);
      Fill(batch, {test::IpPacket(lost)});
      path->Run(node.table, batch, answers, now_ns, tally);
    }
    return tally;
  };
  auto one = [](size_t) { return std::string("10.5.1.9"); };
  auto many = [](size_t i) { return "10.6." + std::to_string(i / 250) + "." + std::to_string(i % 250); };
  Tally tally = flood(150, 5 * kSecond, one);
  CHECK(tally.icmp_sent == 100);
  CHECK(tally.icmp_suppressed == 50);
  CHECK(flood(1, 6 * kSecond - 1, one).icmp_sent == 0);
  CHECK(flood(1, 6 * kSecond, one).icmp_sent == 1);  // the next second
  tally = flood(3000, 8 * kSecond, many);
  CHECK(tally.icmp_sent == 1000);
  CHECK(tally.icmp_suppressed == 2000);
}

TEST_CASE("encap path: a trace says what a packet would meet") {
  Node vxlan("vxlan"), udp("udp");
  auto trace = [](Node& node, const char* destination) {
    const Peer* peer = nullptr;
    DropReason reason =
        node.tunnel->NewEncapPath(node.identity, 1)->Trace(node.table, test::Address(destination), peer);
    REQUIRE((peer != nullptr) == (reason == DropReason::kNone));
    return reason;
  };
  CHECK(trace(vxlan, "10.5.2.9") == DropReason::kNone);
  CHECK(trace(vxlan, "10.5.9.9") == DropReason::kNoRoute);
  CHECK(trace(vxlan, "fd00:5:0:2::9") == DropReason::kNone);
  CHECK(trace(udp, "fd00:5:0:2::9") == DropReason::kFamily);
}

}  // namespace twill
