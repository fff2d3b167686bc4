// The tap: its ring alone, and under an engine from memory to memory.
#include "tap/tap.h"

#include <doctest/doctest.h>

#include <deque>
#include <thread>

#include "engine/engine.h"
#include "support/path.h"
#include "support/user_ports.h"

namespace twill {

namespace {

struct Record {
  TapRecord head;
  test::Bytes bytes;
};

std::vector<Record> Parse(std::span<const uint8_t> bytes) {
  std::vector<Record> records;
  while (!bytes.empty()) {
    Record r;
    REQUIRE(bytes.size() >= sizeof r.head);
    std::memcpy(&r.head, bytes.data(), sizeof r.head);
    REQUIRE(r.head.record_bytes <= bytes.size());
    REQUIRE(r.head.record_bytes >= sizeof r.head + r.head.captured_bytes);
    auto data = bytes.subspan(sizeof r.head, r.head.captured_bytes);
    r.bytes.assign(data.begin(), data.end());
    records.push_back(std::move(r));
    bytes = bytes.subspan(records.back().head.record_bytes);
  }
  return records;
}

std::vector<Record> ReadAll(Engine& engine) {
  test::Bytes out(1 << 20);
  return Parse({out.data(), engine.ReadTap(out)});
}

std::unique_ptr<Engine> NewEngine(size_t workers) {
  auto engine = test::NewEngine(test::ConfigOf(workers));
  REQUIRE(engine->Publish(test::SetPeer(8472)).ok());
  return engine;
}

test::Bytes Outward(const char* destination) {
  test::Shape shape;
  shape.source = "10.5.1.9";
  shape.destination = destination;
  return test::IpPacket(shape);
}

const Endpoint kPeer{test::Address("192.0.2.2"), 40'000};

}  // namespace

TEST_CASE("tap ring: records come out whole and in order, however they lie") {
  TWILL_RANDOM(random);
  TapRing ring(4096);
  std::deque<test::Bytes> written, pending;
  size_t read = 0, refused = 0, withdrawn = 0;
  for (size_t round = 0; round < test::Times(20'000); round++) {
    for (size_t n = random.Below(4); n > 0; n--) {
      test::Bytes bytes = random.Bytes(random.Below(600));
      TapRecord* record = ring.Append(static_cast<uint32_t>(bytes.size()));
      if (record == nullptr) {
        refused++;
        continue;
      }
      std::copy(bytes.begin(), bytes.end(), TapRing::BytesOf(record));
      if (random.OneIn(5)) {
        TapRing::Skip(record);
      } else {
        pending.push_back(std::move(bytes));
      }
    }
    if (random.OneIn(6)) {
      ring.Withdraw();
      withdrawn += pending.size();
    } else {
      ring.Commit();
      written.insert(written.end(), pending.begin(), pending.end());
    }
    pending.clear();
    if (random.OneIn(3)) {
      test::Bytes out(random.Below(5000));
      for (const Record& r : Parse({out.data(), ring.Read(out)})) {
        REQUIRE(!written.empty());
        REQUIRE(r.bytes == written.front());
        written.pop_front();
        read++;
      }
    }
  }
  CHECK(read > 1000);
  CHECK(refused > 100);
  CHECK(withdrawn > 100);
}

TEST_CASE("tap ring: writer and reader at once" * doctest::test_suite("threads")) {
  TapRing ring(8192);
  const uint32_t count = static_cast<uint32_t>(test::Times(50'000));
  std::thread writer([&] {
    for (uint32_t i = 0; i < count;) {
      uint32_t size = 4 + i % 300;
      TapRecord* record = ring.Append(size);
      if (record == nullptr) {
        sched_yield();
        continue;
      }
      std::memset(TapRing::BytesOf(record), static_cast<int>(i & 255), size);
      std::memcpy(TapRing::BytesOf(record), &i, sizeof i);
      ring.Commit();
      i++;
    }
  });
  test::Bytes out(5000);
  uint32_t next = 0, wrong = 0;
  while (next < count) {
    for (const Record& r : Parse({out.data(), ring.Read(out)})) {
      uint32_t number = 0;
      std::memcpy(&number, r.bytes.data(), sizeof number);
      wrong += number != next || r.bytes.size() != 4 + next % 300 ||
               (r.bytes.size() > 4 && r.bytes.back() != (next & 255));
      next++;
    }
  }
  writer.join();
  CHECK(wrong == 0);
}

TEST_CASE("tap: what passed, as it was on the wire, with its fate") {
  auto engine = NewEngine(0);
  REQUIRE(test::Push(*engine, *engine->overlay_channel(), Outward("10.5.2.9")));
  engine->Step();
  test::Drain(*engine);
  REQUIRE(engine->OpenTap({}, 65'535, 1 << 20).ok());
  CHECK_FALSE(engine->OpenTap({}, 65'535, 1 << 20).ok());
  CHECK(ReadAll(*engine).empty());

  REQUIRE(test::Push(*engine, *engine->overlay_channel(), Outward("10.5.2.9")));
  REQUIRE(test::Push(*engine, *engine->overlay_channel(), Outward("10.9.9.9")));
  REQUIRE(test::Push(*engine, *engine->underlay_channel(), test::FromPeer(), kPeer, 2));
  REQUIRE(test::Push(*engine, *engine->underlay_channel(), test::Hex("0800"), kPeer));
  engine->Step();
  auto records = ReadAll(*engine);
  REQUIRE(records.size() == 4);
  const auto none = static_cast<uint8_t>(DropReason::kNone);

  CHECK(records[0].head.direction == TapDirection::kEncap);
  CHECK(records[0].head.drop == none);
  CHECK(records[0].head.encap_bytes == 22);
  CHECK(records[0].head.remote_port == 8472);
  CHECK(records[0].head.remote_family == 4);
  CHECK(records[0].head.payload_bytes == 22 + Outward("10.5.2.9").size());
  CHECK(test::Bytes(records[0].bytes.begin() + 22, records[0].bytes.end()) == Outward("10.5.2.9"));

  CHECK(records[1].head.drop == static_cast<uint8_t>(DropReason::kNoRoute));
  CHECK(records[1].head.remote_family == 0);
  CHECK(records[1].bytes == Outward("10.9.9.9"));

  CHECK(records[2].head.direction == TapDirection::kDecap);
  CHECK(records[2].head.drop == none);
  CHECK(records[2].head.remote_port == 40'000);
  CHECK(records[2].head.tos == 2);
  CHECK(records[2].bytes == test::FromPeer());
  CHECK(records[3].head.drop == static_cast<uint8_t>(DropReason::kShort));
  CHECK(records[3].bytes == test::Hex("0800"));
  CHECK(engine->CountTap().kept == 4);

  engine->CloseTap();
  engine->CloseTap();
  REQUIRE(test::Push(*engine, *engine->overlay_channel(), Outward("10.9.9.9")));
  engine->Step();
  CHECK(ReadAll(*engine).empty());
  CHECK(engine->OpenTap({}, 100, 1 << 16).ok());
  test::Drain(*engine);
}

TEST_CASE("tap: filters by peer, subnet, fate and turn; bytes beyond the snap length stay") {
  auto engine = NewEngine(0);
  auto passes = [&](const TapFilter& filter, uint32_t snap_bytes = 65'535) {
    REQUIRE(engine->OpenTap(filter, snap_bytes, 1 << 20).ok());
    for (const char* to : {"10.5.2.9", "10.5.2.200", "10.9.9.9"}) {
      REQUIRE(test::Push(*engine, *engine->overlay_channel(), Outward(to)));
    }
    REQUIRE(test::Push(*engine, *engine->underlay_channel(), test::FromPeer(), kPeer));
    REQUIRE(
        test::Push(*engine, *engine->underlay_channel(), test::FromPeer(), {test::Address("192.0.2.9"), 1}));
    engine->Step();
    test::Drain(*engine);
    auto records = ReadAll(*engine);
    CHECK(engine->CountTap().kept == records.size());
    engine->CloseTap();
    return records;
  };
  auto bit = [](DropReason reason) { return uint64_t{1} << static_cast<unsigned>(reason); };
  CHECK(passes({}).size() == 5);
  TapFilter filter;
  filter.peers = {test::Address("192.0.2.9"), test::Address("192.0.2.77")};
  CHECK(passes(filter).size() == 1);
  filter = {};
  filter.subnets = {test::Prefix("10.5.2.128/25")};
  CHECK(passes(filter).size() == 1);
  filter.subnets.push_back(test::Prefix("10.9.0.0/16"));
  CHECK(passes(filter).size() == 2);
  filter = {};
  filter.drops = bit(DropReason::kUnknownPeer);
  auto unknown = passes(filter);
  REQUIRE(unknown.size() == 1);
  CHECK(unknown[0].head.drop == static_cast<uint8_t>(DropReason::kUnknownPeer));
  filter.drops = ~bit(DropReason::kNone);
  CHECK(passes(filter).size() == 2);
  filter.drops = bit(DropReason::kNone);
  CHECK(passes(filter).size() == 3);
  filter = {};
  filter.every = 2;
  CHECK(passes(filter).size() == 2);
  for (const Record& r : passes({}, 30)) {
    CHECK(r.bytes.size() == 30);
    CHECK(r.head.payload_bytes > 30);
  }
}

TEST_CASE("tap: what does not fit is counted, and costs the traffic nothing") {
  auto engine = NewEngine(0);
  CHECK_FALSE(engine->OpenTap({}, 65'535, 1000).ok());
  CHECK_FALSE(engine->OpenTap({}, 65'535, (1 << 16) + 8).ok());
  REQUIRE(engine->OpenTap({}, 65'535, 1 << 16).ok());
  const size_t count = 2000;
  for (size_t i = 0; i < count; i++) {
    REQUIRE(test::Push(*engine, *engine->overlay_channel(), Outward("10.5.2.9")));
    engine->Step();
    test::Drain(*engine);
  }
  CHECK(engine->Stats().encap.delivered == count);
  TapCounts counts = engine->CountTap();
  CHECK(counts.lost > 0);
  CHECK(counts.kept + counts.lost == count);
  CHECK(ReadAll(*engine).size() == counts.kept);
}

TEST_CASE("tap: opened, read and closed amid traffic" * doctest::test_suite("threads")) {
  auto engine = NewEngine(2);
  std::atomic<bool> done{false};
  std::atomic<size_t> records{0}, rounds{0};
  size_t wrong = 0;
  std::thread control([&] {
    test::Bytes out(1 << 18);
    while (!done.load()) {
      wrong += !engine->OpenTap({}, 200, 1 << 16).ok();
      for (int i = 0; i < 20; i++) {
        for (const Record& r : Parse({out.data(), engine->ReadTap(out)})) {
          records++;
          wrong += r.head.captured_bytes > 200 || r.head.captured_bytes != r.bytes.size();
        }
        sched_yield();
      }
      engine->CloseTap();
      rounds++;
    }
  });
  size_t count = 0;
  // As long as it takes for the tap to have been open and closed a few times.
  for (size_t least = test::Times(20'000); count < least || rounds < 3 || records == 0; count++) {
    while (!test::Push(*engine, *engine->overlay_channel(), Outward(count % 3 ? "10.5.2.9" : "10.9.9.9")))
      test::Drain(*engine);
    while (!test::Push(*engine, *engine->underlay_channel(), test::FromPeer(), kPeer)) test::Drain(*engine);
    if (count % 50 == 0) test::Drain(*engine);
  }
  for (;;) {
    test::Drain(*engine);
    EngineStats stats = engine->Stats();
    if (stats.encap.received == count && stats.decap.received == count) break;
  }
  done.store(true);
  control.join();
  CHECK(wrong == 0);
  engine->Close();
  CHECK(engine->pool()->free() == 512);
}

}  // namespace twill
