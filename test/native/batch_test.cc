#include "buffer/batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "support/random.h"

namespace twill {

namespace {

std::unique_ptr<Pool> NewPool(uint32_t slots) {
  auto pool = Pool::Open(slots, 256);
  REQUIRE(pool.ok());
  return std::move(*pool);
}

}  // namespace

TEST_CASE("batch: fresh packets stand at the start of their slots, empty and without a mark") {
  auto pool = NewPool(kBatchMax + 36);
  Batch batch(*pool);
  REQUIRE(batch.Grow(1000) == kBatchMax);
  for (const Packet& p : batch) {
    CHECK(p.data == pool->PacketStart(p.slot));
    CHECK(p.len == 0);
    CHECK(p.drop == DropReason::kNone);
    CHECK_FALSE(p.truncated);
    CHECK(p.csum_start == 0);
  }
  CHECK(batch.room() == 0);
  CHECK(batch.Grow(1) == 0);
  Batch other(*pool);
  CHECK(other.Grow(64) == 36);  // what the pool still had
  CHECK(pool->free() == 0);
}

TEST_CASE("batch: destruction, Clear and Truncate return the slots") {
  auto pool = NewPool(100);
  {
    Batch batch(*pool);
    batch.Grow(50);
    CHECK(pool->free() == 50);
    batch.Truncate(50);
    CHECK(pool->free() == 50);
    uint32_t first = batch[0].slot;
    batch.Truncate(20);
    CHECK(pool->free() == 80);
    CHECK(batch.size() == 20);
    CHECK(batch[0].slot == first);
    batch.Clear();
    CHECK(batch.empty());
    CHECK(pool->free() == 100);
    batch.Grow(3);
  }
  CHECK(pool->free() == 100);
}

TEST_CASE("batch: a slot that went elsewhere (kNoSlot) is not returned, by none of the three ways") {
  auto pool = NewPool(10);
  uint32_t gone[3];
  {
    Batch batch(*pool);
    batch.Grow(6);
    for (size_t i = 0; i < 3; i++) {
      gone[i] = batch[i * 2].slot;
      batch[i * 2].slot = kNoSlot;
    }
    batch.Truncate(4);  // one of each kind leaves
    CHECK(pool->free() == 5);
    Tally tally;
    batch[0].drop = batch[1].drop = DropReason::kDeviceBusy;
    batch.RemoveDropped(tally);
    CHECK(tally.TotalDrops() == 2);
    CHECK(batch.size() == 2);
    CHECK(pool->free() == 6);
  }
  CHECK(pool->free() == 7);
  pool->Give(gone, 3);
  CHECK(pool->free() == 10);
}

TEST_CASE("batch: RemoveDropped counts each reason and keeps the order of the others") {
  TWILL_RANDOM(random);
  auto pool = NewPool(kBatchMax);
  for (int round = 0; round < 2000; round++) {
    Batch batch(*pool);
    batch.Grow(random.Below(kBatchMax + 1));
    std::vector<uint32_t> kept;
    std::array<uint64_t, kDropReasons> drops{};
    for (uint32_t i = 0; i < batch.size(); i++) {
      batch[i].flow_hash = i;
      if (random.OneIn(2)) {
        batch[i].drop = static_cast<DropReason>(random.Below(kDropReasons));
        drops[static_cast<size_t>(batch[i].drop)]++;
      } else {
        kept.push_back(i);
      }
    }
    Tally tally;
    batch.RemoveDropped(tally);
    REQUIRE(tally.drops == drops);
    REQUIRE(batch.size() == kept.size());
    for (size_t i = 0; i < kept.size(); i++) REQUIRE(batch[i].flow_hash == kept[i]);
    REQUIRE(pool->free() == kBatchMax - kept.size());
  }
  CHECK(pool->free() == kBatchMax);
}

TEST_CASE("batch: an adopted packet belongs to it; headers go in front and come off again") {
  auto pool = NewPool(2);
  uint32_t slot;
  REQUIRE(pool->Take(&slot, 1) == 1);
  {
    Batch batch(*pool);
    Packet p;
    p.slot = slot;
    p.data = pool->PacketStart(slot);
    p.len = 10;
    batch.Adopt(p);
    batch[0].PushFront(kHeadroomBytes);
    CHECK(batch[0].data == pool->Slot(slot));
    CHECK(batch[0].bytes().size() == 10 + kHeadroomBytes);
    batch[0].PopFront(kHeadroomBytes + 1);
    CHECK(batch[0].len == 9);
    CHECK(batch[0].data == pool->PacketStart(slot) + 1);
  }
  CHECK(pool->free() == 2);
}

}  // namespace twill
