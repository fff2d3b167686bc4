#include "buffer/pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "support/random.h"

namespace twill {

namespace {

std::shared_ptr<Pool> NewPool(uint32_t slots, size_t packet_bytes) {
  auto pool = Pool::Open(slots, packet_bytes);
  REQUIRE(pool.ok());
  return std::move(*pool);
}

}  // namespace

TEST_CASE("pool: take and give in any order never hand one slot out twice, and an empty pool says so") {
  TWILL_RANDOM(random);
  auto pool = NewPool(200, 100);
  std::vector<bool> held(pool->slots());
  std::vector<uint32_t> mine;
  size_t wrong = 0, exhausted = 0;
  for (size_t i = 0; i < 20'000; i++) {
    uint32_t out[64];
    size_t want = random.Below(65);
    if (random.OneIn(2)) {
      size_t free = pool->free(), taken = pool->Take(out, want);
      wrong += taken != std::min(want, free);
      exhausted += taken < want;
      for (size_t n = 0; n < taken; n++) {
        wrong += out[n] >= held.size() || held[out[n]];
        held[out[n]] = true;
        mine.push_back(out[n]);
      }
    } else {
      size_t count = std::min(want, mine.size());
      for (size_t n = 0; n < count; n++) {
        std::swap(mine[random.Below(mine.size())], mine.back());
        out[n] = mine.back();
        held[out[n]] = false;
        mine.pop_back();
      }
      pool->Give(out, count);
    }
    REQUIRE(wrong == 0);
    REQUIRE(pool->free() + mine.size() == pool->slots());
  }
  CHECK(exhausted > 0);
}

TEST_CASE("pool: every slot, written to its last byte, keeps what was written") {
  for (size_t packet_bytes : {1, 63, 64, 100, 65'557}) {
    auto pool = NewPool(17, packet_bytes);
    uint32_t slots[17];
    REQUIRE(pool->Take(slots, 17) == 17);
    REQUIRE(pool->Take(slots, 1) == 0);
    for (uint32_t s : slots) {
      CHECK(pool->PacketStart(s) - pool->Slot(s) == kHeadroomBytes);
      CHECK(pool->PacketStart(s) + packet_bytes <= pool->Slot(s) + pool->stride());
      std::memset(pool->Slot(s), static_cast<int>(s), kHeadroomBytes + packet_bytes);
    }
    size_t wrong = 0;
    for (uint32_t s : slots) {
      const uint8_t* start = pool->Slot(s);
      wrong += static_cast<size_t>(std::count_if(start, start + kHeadroomBytes + packet_bytes,
                                                 [s](uint8_t b) { return b != static_cast<uint8_t>(s); }));
    }
    CHECK(wrong == 0);
    pool->Give(slots, 17);
    CHECK(pool->free() == 17);
  }
}

TEST_CASE("pool: a size that no memory can hold is an error") {
  auto pool = Pool::Open(0xffffffff, size_t{1} << 46);
  REQUIRE(!pool.ok());
  CHECK(std::string(pool.error().code) == "ERR_TWILL_POOL");
}

TEST_CASE("pool: threads that take and give at once never share a slot" * doctest::test_suite("threads")) {
  auto pool = NewPool(96, 64);
  std::atomic<size_t> wrong{0};
  auto work = [&](uint8_t mark) {
    uint32_t out[48];
    for (size_t i = 0; i < test::Times(20'000); i++) {
      size_t taken = pool->Take(out, 48);
      for (size_t n = 0; n < taken; n++) std::memset(pool->PacketStart(out[n]), mark, 64);
      for (size_t n = 0; n < taken; n++) {
        const uint8_t* bytes = pool->PacketStart(out[n]);
        if (!std::all_of(bytes, bytes + 64, [mark](uint8_t b) { return b == mark; })) wrong++;
      }
      pool->Give(out, taken);
    }
  };
  std::thread threads[3] = {std::thread(work, 1), std::thread(work, 2), std::thread(work, 3)};
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(pool->free() == 96);
}

}  // namespace twill
