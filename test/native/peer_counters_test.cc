#include <doctest/doctest.h>

#include <map>
#include <thread>

#include "encap/vxlan.h"
#include "engine/accounting.h"
#include "engine/engine.h"
#include "support/path.h"
#include "support/user_ports.h"

namespace twill {

namespace {

constexpr uint32_t kRows = 40;

IpPrefix SubnetOf(uint32_t n) {
  uint8_t bytes[4];
  StoreBe32(bytes, (10u << 24) + (n << 8));
  return {IpAddr::V4(bytes), 24};
}
// Two rows share each endpoint, as the two families of a node do.
IpAddr EndpointOf(uint32_t n) {
  uint8_t bytes[4];
  StoreBe32(bytes, 0xc0000200u + n / 2 + 1);
  return IpAddr::V4(bytes);
}

test::Bytes Op(PeerOp::Kind kind, uint32_t n, uint16_t port = 8472) {
  test::Bytes op(kPeerOpBytes);
  op[0] = static_cast<uint8_t>(kind);
  op[1] = op[3] = 4;
  op[2] = 24;
  StoreBe16(&op[4], port);
  std::memcpy(&op[6], test::kPeerMac.data(), 6);
  std::memcpy(&op[16], SubnetOf(n).address.bytes.data(), 4);
  std::memcpy(&op[32], EndpointOf(n).bytes.data(), 4);
  return op;
}

std::string Text(uint32_t n, uint8_t host) {
  return "10.0." + std::to_string(n) + "." + std::to_string(host);
}

std::unique_ptr<Engine> NewEngine(size_t workers, bool source_check = true) {
  EngineConfig config = test::ConfigOf(workers, 2048);
  config.node.source_check = source_check;
  config.node.inner_mtu_bytes = test::kInnerMtu;
  return test::NewEngine(std::move(config));
}

test::Bytes Framed(const test::Bytes& inner) {
  Peer row;
  row.subnet.address.family = !inner.empty() && inner[0] >> 4 == 6 ? 6 : 4;
  Vxlan(1, test::kPeerMac).Cook(test::kOwnMac, row);
  test::Bytes payload(kCookedBytes + inner.size());
  std::copy(row.header.begin(), row.header.end(), payload.begin());
  std::copy(inner.begin(), inner.end(), payload.begin() + kCookedBytes);
  return payload;
}

// Something for a peer or from one, or to nobody, or nonsense.
void PushAny(Engine& engine, test::Random& random) {
  auto n = static_cast<uint32_t>(random.Below(kRows + 5));
  test::Shape shape;
  shape.payload = test::Bytes(random.OneIn(10) ? 290 : 8 + random.Below(200));
  if (random.OneIn(2)) {
    shape.source = "10.5.1.9";
    shape.destination = Text(n, random.Byte());
    test::Push(engine, *engine.overlay_channel(),
               random.OneIn(8) ? test::AnyPacket(random) : test::IpPacket(shape));
  } else {
    shape.source = Text(random.OneIn(8) ? static_cast<uint32_t>(random.Below(kRows)) : n, random.Byte());
    if (random.OneIn(10)) shape.source = "192.0.2.3";  // a peer's own address
    test::Bytes inner = random.OneIn(8) ? test::AnyPacket(random) : test::IpPacket(shape);
    test::Push(engine, *engine.underlay_channel(), Framed(inner), {EndpointOf(n), 40'000});
  }
}

PeerTotals Sum(const Engine& engine) {
  PeerTotals sum = engine.ReadNoPeer();
  for (uint32_t n = 0; n < kRows + 5; n++) {
    PeerTotals one;
    if (engine.ReadPeer(SubnetOf(n), one)) AddTo(sum, one);
  }
  return sum;
}

uint64_t At(const PeerTotals& totals, PeerCount count) {
  return totals[static_cast<size_t>(count)];
}

void CheckAddsUp(const Engine& engine) {
  EngineStats stats = engine.Stats();
  PeerTotals sum = Sum(engine);
  CHECK(At(sum, PeerCount::kEncapPackets) == stats.encap.delivered);
  CHECK(At(sum, PeerCount::kEncapBytes) == stats.encap.delivered_bytes);
  CHECK(At(sum, PeerCount::kEncapDrops) == stats.encap.TotalDrops());
  CHECK(At(sum, PeerCount::kDecapPackets) == stats.decap.delivered);
  CHECK(At(sum, PeerCount::kDecapBytes) == stats.decap.delivered_bytes);
  CHECK(At(sum, PeerCount::kDecapDrops) == stats.decap.TotalDrops());
}

}  // namespace

TEST_CASE("peer counters: one packet each way is counted under its peer, a drop under whom it names") {
  auto engine = NewEngine(0);
  test::Bytes ops = Op(PeerOp::Kind::kSet, 7), more = Op(PeerOp::Kind::kSet, 8);
  ops.insert(ops.end(), more.begin(), more.end());
  REQUIRE(engine->Publish(ops).ok());
  test::Shape out, in, foreign;
  out.source = in.destination = "10.5.1.9";
  out.destination = in.source = Text(7, 9);
  foreign.source = Text(8, 9);
  foreign.destination = "10.5.1.9";
  REQUIRE(test::Push(*engine, *engine->overlay_channel(), test::IpPacket(out)));
  REQUIRE(
      test::Push(*engine, *engine->underlay_channel(), Framed(test::IpPacket(in)), {EndpointOf(7), 40'000}));
  REQUIRE(test::Push(*engine, *engine->underlay_channel(), Framed(test::IpPacket(foreign)),
                     {EndpointOf(7), 40'000}));
  while (engine->Step() > 0) test::Drain(*engine);
  PeerTotals seven, eight, none;
  REQUIRE(engine->ReadPeer(SubnetOf(7), seven));
  REQUIRE(engine->ReadPeer(SubnetOf(8), eight));
  REQUIRE_FALSE(engine->ReadPeer(SubnetOf(9), none));
  uint64_t bytes = test::IpPacket(in).size();
  CHECK(At(seven, PeerCount::kEncapPackets) == 1);
  CHECK(At(seven, PeerCount::kEncapBytes) == bytes);
  CHECK(At(seven, PeerCount::kDecapPackets) == 1);
  CHECK(At(seven, PeerCount::kDecapBytes) == bytes);
  CHECK(At(seven, PeerCount::kDecapDrops) == 1);  // by the outer address, not by what the inside claims
  CHECK(At(seven, PeerCount::kDecapLastNs) > 0);
  CHECK(eight == PeerTotals{});
}

TEST_CASE("peer counters: peers, those gone and those unknown add up to the totals of each direction") {
  TWILL_RANDOM(random);
  for (bool source_check : {true, false}) {
    CAPTURE(source_check);
    auto engine = NewEngine(0, source_check);
    size_t named = 0;
    for (size_t round = 0; round < test::Times(400); round++) {
      test::Bytes ops;
      for (size_t changes = random.Below(4); changes > 0; changes--) {
        auto kind = random.OneIn(20)  ? PeerOp::Kind::kClear
                    : random.OneIn(3) ? PeerOp::Kind::kDelete
                                      : PeerOp::Kind::kSet;
        test::Bytes op = Op(kind, static_cast<uint32_t>(random.Below(kRows)), random.Byte() + 1);
        ops.insert(ops.end(), op.begin(), op.end());
      }
      if (!ops.empty()) REQUIRE(engine->Publish(ops).ok());
      for (size_t n = random.Below(150); n > 0; n--) PushAny(*engine, random);
      while (engine->Step() > 0) test::Drain(*engine);
      if (round % 40 == 0) CheckAddsUp(*engine);
      for (uint32_t n = 0; n < kRows; n++) {
        PeerTotals one{};
        engine->ReadPeer(SubnetOf(n), one);
        named += At(one, PeerCount::kEncapPackets) > 0 && At(one, PeerCount::kDecapPackets) > 0;
      }
    }
    CheckAddsUp(*engine);
    CHECK(named > 0);
  }
}

TEST_CASE("peer counters: a peer that comes anew starts from zero, one that only moves goes on") {
  auto engine = NewEngine(0);
  test::Shape out;
  out.source = "10.5.1.9";
  out.destination = Text(7, 9);
  auto send = [&] {
    REQUIRE(test::Push(*engine, *engine->overlay_channel(), test::IpPacket(out)));
    while (engine->Step() > 0) test::Drain(*engine);
    PeerTotals totals{};
    engine->ReadPeer(SubnetOf(7), totals);
    return At(totals, PeerCount::kEncapPackets);
  };
  REQUIRE(engine->Publish(Op(PeerOp::Kind::kSet, 7)).ok());
  CHECK(send() == 1);
  REQUIRE(engine->Publish(Op(PeerOp::Kind::kSet, 7, 9000)).ok());
  CHECK(send() == 2);
  REQUIRE(engine->Publish(Op(PeerOp::Kind::kDelete, 7)).ok());
  CHECK(send() == 0);  // no route
  REQUIRE(engine->Publish(Op(PeerOp::Kind::kSet, 7)).ok());
  CHECK(send() == 1);
  CheckAddsUp(*engine);
  // A newcomer gets none of what was counted under a number before.
  REQUIRE(engine->Publish(Op(PeerOp::Kind::kDelete, 7)).ok());
  for (uint32_t n = 20; n < 30; n++) {
    REQUIRE(engine->Publish(Op(PeerOp::Kind::kSet, n)).ok());
    PeerTotals totals;
    REQUIRE(engine->ReadPeer(SubnetOf(n), totals));
    CHECK(totals == PeerTotals{});
  }
  CheckAddsUp(*engine);
}

TEST_CASE("peer counters: the segments of a super-packet count as packets, the lost ones as drops") {
  auto pool = Pool::Open(4, 2048);
  REQUIRE(pool.ok());
  Batch batch(**pool);
  REQUIRE(batch.Grow(2) == 2);
  batch[0].peer_number = batch[1].peer_number = 3;
  batch[0].len = 1040;
  batch[0].segments = 10;
  batch[0].segment_bytes = 100;
  batch[0].header_bytes = 40;
  batch[0].Fail(DropReason::kSendNoBuffer, 4);
  batch[1].len = 60;
  auto counters = std::make_unique<PeerCounters>();
  counters->Reserve(3);
  Tally tally;
  tally.peers = counters.get();
  CountSent(batch, tally);
  CountPeers(batch, *counters, Direction::kEncap, 1);
  PeerTotals totals = counters->Read(3);
  CHECK(At(totals, PeerCount::kEncapPackets) == 7);
  CHECK(At(totals, PeerCount::kEncapPackets) == tally.delivered);
  CHECK(At(totals, PeerCount::kEncapBytes) == tally.delivered_bytes);
  CHECK(At(totals, PeerCount::kEncapDrops) == 4);
}

TEST_CASE("peer counters: with workers at work and peers that come and go, all is counted once" *
          doctest::test_suite("threads")) {
  TWILL_RANDOM(random);
  auto engine = NewEngine(2);
  std::atomic<bool> done{false};
  size_t wrong = 0;
  std::thread control([&] {
    test::Random own(random_seed + 1);
    while (!done.load()) {
      auto kind = own.OneIn(3) ? PeerOp::Kind::kDelete : PeerOp::Kind::kSet;
      wrong += !engine->Publish(Op(kind, static_cast<uint32_t>(own.Below(kRows)))).ok();
      // Peers first, totals later: never more than in all. Departed ones are read with the others.
      PeerTotals sum = Sum(*engine);
      EngineStats stats = engine->Stats();
      wrong += At(sum, PeerCount::kEncapPackets) > stats.encap.delivered;
      wrong += At(sum, PeerCount::kDecapPackets) > stats.decap.delivered;
    }
  });
  for (size_t i = 0; i < test::Times(60'000); i++) {
    PushAny(*engine, random);
    if (i % 30 == 0) test::Drain(*engine);
  }
  done.store(true);
  control.join();
  engine->Close();
  CHECK(wrong == 0);
  CheckAddsUp(*engine);
  CHECK(engine->Stats().encap.delivered > 0);
  CHECK(engine->Stats().decap.delivered > 0);
}

}  // namespace twill
