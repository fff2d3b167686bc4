// Whole engines from memory to memory: two user ports, no privilege.
#include "engine/engine.h"

#include <doctest/doctest.h>

#include <thread>

#include "support/path.h"
#include "support/user_ports.h"

namespace twill {

namespace {

bool Holds(const Tally& tally) {
  return tally.received == tally.delivered + tally.TotalDrops();
}

}  // namespace

TEST_CASE("engine: a packet out and a packet in, stepped by the caller") {
  auto engine = test::NewEngine(test::ConfigOf(0));
  REQUIRE(engine->Publish(test::SetPeer(8472)).ok());
  test::Shape out;
  out.source = "10.5.1.9";
  out.destination = "10.5.2.9";
  REQUIRE(test::Push(*engine, *engine->overlay_channel(), test::IpPacket(out)));
  REQUIRE(test::Push(*engine, *engine->underlay_channel(), test::FromPeer(),
                     {test::Address("192.0.2.2"), 40'000}));
  CHECK(engine->Step() == 2);
  Packet sent, delivered;
  REQUIRE(engine->underlay_channel()->Pull(&sent, 1) == 1);
  CHECK(sent.remote == Endpoint{test::Address("192.0.2.2"), 8472});
  CHECK(sent.len == kCookedBytes + test::IpPacket(out).size());
  REQUIRE(engine->overlay_channel()->Pull(&delivered, 1) == 1);
  CHECK(test::BytesOf(delivered) == test::IpPacket({}));
  engine->pool()->Give(&sent.slot, 1);
  engine->pool()->Give(&delivered.slot, 1);
  CHECK(engine->Stats().pool_free == 512);
}

TEST_CASE("engine: a caller may publish as often as it likes between two steps") {
  auto engine = test::NewEngine(test::ConfigOf(0));
  REQUIRE(engine->Publish(test::SetPeer(1)).ok());
  REQUIRE(test::Push(*engine, *engine->overlay_channel(), test::IpPacket({})));
  CHECK(engine->Step() == 1);
  for (uint16_t port = 2; port < 6; port++) CHECK(*engine->Publish(test::SetPeer(port)) == port);
  CHECK(engine->Trace(test::Address("10.5.2.1")).peer.endpoint.port == 5);
}

TEST_CASE("engine: workers, program and control side at once: nothing is lost or counted wrong" *
          doctest::test_suite("threads")) {
  TWILL_RANDOM(random);
  for (size_t workers : {1, 2}) {
    CAPTURE(workers);
    EngineConfig config = test::ConfigOf(workers);
    std::atomic<size_t> calls{0};
    config.on_user_event = [&calls](UserEvent) { calls++; };
    auto engine = test::NewEngine(std::move(config));
    REQUIRE(engine->Publish(test::SetPeer(1)).ok());
    const size_t count = test::Times(40'000);
    size_t encap = 0, decap = 0;  // pushed
    std::atomic<bool> pushed_all{false}, done{false};
    size_t wrong = 0, changes = 0;
    std::thread control([&] {
      for (;;) {
        bool last = pushed_all.load();
        wrong += !engine->Publish(test::SetPeer(static_cast<uint16_t>(++changes % 60'000 + 1))).ok();
        EngineStats stats = engine->Stats();
        wrong += !Holds(stats.encap) || !Holds(stats.decap);
        if (last && stats.encap.received == encap && stats.decap.received == decap) break;
      }
      done.store(true);
    });
    size_t pulled = 0;
    auto drain = [&] {
      Packet out[kBatchMax];
      for (UserChannel* channel : {engine->overlay_channel(), engine->underlay_channel()}) {
        while (size_t n = channel->Pull(out, kBatchMax)) {
          for (size_t i = 0; i < n; i++) engine->pool()->Give(&out[i].slot, 1);
          pulled += n;
        }
      }
    };
    for (size_t i = 0; i < count; i++) {
      bool outward = random.OneIn(2);
      test::Bytes bytes = random.OneIn(3) ? test::AnyPacket(random)
                          : outward       ? test::IpPacket({})
                                          : test::FromPeer();
      UserChannel& channel = outward ? *engine->overlay_channel() : *engine->underlay_channel();
      while (!test::Push(*engine, channel, bytes, {test::Address("192.0.2.2"), 40'000})) drain();
      (outward ? encap : decap)++;
      if (i % 50 == 0) drain();
    }
    pushed_all.store(true);
    while (!done.load()) drain();
    control.join();
    engine->Close();
    EngineStats stats = engine->Stats();
    CHECK(wrong == 0);
    CHECK(Holds(stats.encap));
    CHECK(Holds(stats.decap));
    CHECK(stats.encap.received == encap);
    CHECK(stats.decap.received == decap);
    CHECK(calls > 0);
    CHECK(pulled > 0);
    CHECK(engine->pool()->free() == 512);  // what nobody pulled went with the ports
  }
}

TEST_CASE("engine: a worker that is stuck does not turn, and turns again when it goes on" *
          doctest::test_suite("threads")) {
  EngineConfig config = test::ConfigOf(2);
  std::atomic<bool> is_stuck{false}, may_go{false};
  config.on_user_event = [&](UserEvent event) {
    if (event != UserEvent::kUnderlayReadable) return;
    is_stuck = true;
    while (!may_go) std::this_thread::yield();
  };
  auto engine = test::NewEngine(std::move(config));
  REQUIRE(engine->Publish(test::SetPeer(1)).ok());
  // Whether all turn within the time that a busy machine may take.
  auto turns = [&engine](int milliseconds) {
    engine->Turning();
    for (int i = 0; i < milliseconds; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (engine->Turning()) return true;
    }
    return false;
  };
  for (int i = 0; i < 3; i++) CHECK(turns(10'000));
  test::Shape out;
  out.source = "10.5.1.9";
  out.destination = "10.5.2.9";
  REQUIRE(test::Push(*engine, *engine->overlay_channel(), test::IpPacket(out)));
  while (!is_stuck) std::this_thread::yield();
  CHECK(!turns(50));
  may_go = true;
  CHECK(turns(10'000));
  engine->Close();
  CHECK(engine->Turning());
}

TEST_CASE("engine: closed, it answers still and moves nothing" * doctest::test_suite("threads")) {
  auto engine = test::NewEngine(test::ConfigOf(2));
  REQUIRE(engine->Publish(test::SetPeer(9)).ok());
  engine->Close();
  engine->Close();
  CHECK(engine->closed());
  CHECK(engine->Step() == 0);
  CHECK(engine->overlay_channel() == nullptr);
  CHECK(engine->Stats().peers == 1);
  CHECK(engine->Publish(test::SetPeer(10)).ok());
  CHECK(engine->Publish(test::SetPeer(11)).ok());
  CHECK(engine->Trace(test::Address("10.5.2.1")).peer.endpoint.port == 11);
  auto wrong = engine->Publish(test::Bytes(47));
  REQUIRE_FALSE(wrong.ok());
  CHECK(std::string(wrong.error().code) == "ERR_TWILL_ARGUMENT");
}

TEST_CASE("engine: an unknown encapsulation is an error") {
  EngineConfig config = test::ConfigOf(0);
  config.encap = "gre";
  auto engine = Engine::Open(std::move(config));
  REQUIRE_FALSE(engine.ok());
  CHECK(std::string(engine.error().code) == "ERR_TWILL_ARGUMENT");
}

}  // namespace twill
