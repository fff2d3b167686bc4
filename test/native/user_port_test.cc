#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <thread>

#include "port/user.h"
#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

std::unique_ptr<Pool> NewPool(uint32_t slots) {
  auto pool = Pool::Open(slots, 2048);
  REQUIRE(pool.ok());
  return std::move(*pool);
}

// A packet of the program's with this mark, or none where the pool is empty.
bool TakeOne(Pool& pool, uint32_t mark, Packet& p) {
  p = Packet{};
  if (pool.Take(&p.slot, 1) == 0) return false;
  p.data = pool.PacketStart(p.slot);
  p.len = 20;
  p.flow_hash = mark;
  return true;
}

bool Readable(const Port& port) {
  pollfd fd{port.poll_fd(), POLLIN, 0};
  return poll(&fd, 1, 0) == 1;
}

}  // namespace

TEST_CASE("user port: packets cross in order, a full queue gives them back, and closing returns the rest") {
  auto pool = NewPool(3000);
  {
    auto channel = std::make_shared<UserChannel>(*pool);
    UserPort port(channel, DropReason::kDeviceBusy);
    CHECK_FALSE(Readable(port));
    uint32_t pushed = 0;
    for (Packet p; TakeOne(*pool, pushed, p); pushed++) {
      if (channel->Push(p)) continue;
      pool->Give(&p.slot, 1);
      break;
    }
    CHECK(pushed == UserChannel::kCapacity);
    CHECK(Readable(port));
    Batch batch(*pool);
    CHECK(port.Recv(batch) == kBatchMax);
    CHECK(port.Recv(batch) == 0);  // no room
    for (uint32_t i = 0; i < kBatchMax; i++) CHECK(batch[i].flow_hash == i);
    CHECK(Readable(port));  // more is there
  }
  CHECK(pool->free() == 3000);
}

TEST_CASE("user port: what the program is sent, it owns; what it has no room for is marked") {
  auto pool = NewPool(3000);
  auto channel = std::make_shared<UserChannel>(*pool);
  size_t calls = 0;
  channel->on_readable = [&calls] { calls++; };
  UserPort port(channel, DropReason::kDeviceBusy);
  uint32_t sent = 0, refused = 0;
  while (refused == 0) {
    Batch batch(*pool);
    batch.Grow(kBatchMax);
    for (Packet& p : batch) p.flow_hash = sent++;
    port.Send(batch);
    for (Packet& p : batch) {
      CHECK((p.slot == kNoSlot) == (p.drop == DropReason::kNone));
      refused += p.drop == DropReason::kDeviceBusy;
    }
  }
  CHECK(sent - refused == UserChannel::kCapacity);
  CHECK(calls == UserChannel::kCapacity / kBatchMax);  // once a batch
  CHECK(pool->free() == 3000 - UserChannel::kCapacity);
  Packet out[100];
  uint32_t next = 0;
  while (size_t n = channel->Pull(out, 100)) {
    for (size_t i = 0; i < n; i++) {
      CHECK(out[i].flow_hash == next++);
      pool->Give(&out[i].slot, 1);
    }
  }
  CHECK(next == UserChannel::kCapacity);
  CHECK(pool->free() == 3000);
}

TEST_CASE("user port: views of a common buffer get buffers of their own, as far as there are") {
  auto pool = NewPool(6);
  {
    auto channel = std::make_shared<UserChannel>(*pool);
    UserPort port(channel, DropReason::kDeviceBusy);
    Batch batch(*pool);
    batch.Grow(2);  // packets, the first and the last; between them the views
    uint32_t common;
    REQUIRE(pool->Take(&common, 1) == 1);
    Packet last = batch[1];
    batch[1].slot = kNoSlot;
    batch.Truncate(1);
    batch.Hold(common);
    for (uint8_t mark = 1; mark <= 5; mark++) {
      Packet view;
      view.slot = kNoSlot;
      view.data = pool->PacketStart(common) + 100 * mark;
      view.len = 100;
      std::fill_n(view.data, view.len, mark);
      batch.Adopt(view);
    }
    last.len = 1;
    batch.Adopt(last);
    port.Send(batch);
    // Three of six slots were free: two views found none, what stands behind them goes all the same.
    Packet out[8];
    REQUIRE(channel->Pull(out, 8) == 5);
    for (uint8_t mark = 1; mark <= 3; mark++) {
      CHECK(out[mark].slot != common);
      CHECK(out[mark].data == pool->PacketStart(out[mark].slot));
      CHECK(std::count(out[mark].data, out[mark].data + 100, mark) == 100);
    }
    CHECK(out[4].slot == last.slot);
    for (size_t i = 0; i < batch.size(); i++) {
      bool is_lost = i == 4 || i == 5;
      CHECK(batch[i].drop == (is_lost ? DropReason::kDeviceBusy : DropReason::kNone));
    }
    for (size_t i = 0; i < 5; i++) pool->Give(&out[i].slot, 1);
  }
  CHECK(pool->free() == 6);
}

TEST_CASE("user port: a checksum left to the device is finished on the way to the program") {
  auto pool = NewPool(1);
  auto channel = std::make_shared<UserChannel>(*pool);
  UserPort port(channel, DropReason::kDeviceBusy);
  test::Bytes bytes = test::IpPacket({});
  Batch batch(*pool);
  batch.Grow(1);
  std::copy(bytes.begin(), bytes.end(), batch[0].data);
  batch[0].len = static_cast<uint32_t>(bytes.size());
  batch[0].csum_start = 20;
  batch[0].csum_offset = 6;
  port.Send(batch);
  Packet out;
  REQUIRE(channel->Pull(&out, 1) == 1);
  CHECK(out.csum_start == 0);
  CHECK(ChecksumSum(out.data + 20, out.len - 20) == 0xffff);
  pool->Give(&out.slot, 1);
}

TEST_CASE("user port: no wake-up is lost between a program and a worker that sleeps when idle" *
          doctest::test_suite("threads")) {
  auto pool = NewPool(256);
  auto channel = std::make_shared<UserChannel>(*pool);
  const uint32_t count = test::Times(100'000);
  uint32_t wrong = 0, got = 0;
  std::thread worker([&] {
    UserPort port(channel, DropReason::kDeviceBusy);
    while (got < count) {
      Batch batch(*pool);
      if (port.Recv(batch) == 0) {
        pollfd fd{port.poll_fd(), POLLIN, 0};
        poll(&fd, 1, -1);
      }
      for (Packet& p : batch) wrong += p.flow_hash != got++;
    }
  });
  Packet p;
  for (uint32_t i = 0; i < count; i++) {
    while (!TakeOne(*pool, i, p)) std::this_thread::yield();
    while (!channel->Push(p)) std::this_thread::yield();
  }
  worker.join();
  CHECK(wrong == 0);
  CHECK(pool->free() == 256);
}

}  // namespace twill
