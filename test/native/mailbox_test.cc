#include "engine/mailbox.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

constexpr uint32_t kRows = 100;

IpPrefix SubnetOf(uint32_t n) {
  uint8_t bytes[4];
  StoreBe32(bytes, (10u << 24) + (n << 8));
  return {IpAddr::V4(bytes), 24};
}

PeerOp Set(uint32_t n, uint16_t port) {
  PeerOp op;
  op.kind = PeerOp::Kind::kSet;
  op.row.subnet = SubnetOf(n);
  op.row.endpoint = {SubnetOf(n).address, port};
  return op;
}
PeerOp Delete(uint32_t n) {
  PeerOp op;
  op.kind = PeerOp::Kind::kDelete;
  op.row.subnet = SubnetOf(n);
  return op;
}

// Every change set moves all rows to the port of its generation, in other ways.
std::vector<PeerOp> ChangeSet(test::Random& random, uint16_t port) {
  std::vector<PeerOp> ops;
  if (random.OneIn(3)) ops.push_back(PeerOp{});  // clear
  std::vector<uint32_t> order(kRows);
  for (uint32_t n = 0; n < kRows; n++) order[n] = n;
  for (uint32_t n = 0; n < kRows; n++) std::swap(order[n], order[random.Below(kRows)]);
  for (uint32_t n : order) {
    if (random.OneIn(3)) ops.push_back(Delete(n));
    ops.push_back(Set(n, port));
  }
  return ops;
}

// Whether the table is exactly that of its generation.
bool IsWhole(const PeerTable& table) {
  auto port = static_cast<uint16_t>(table.generation);
  if (table.generation == 0) return table.size() == 0;
  if (table.size() != kRows) return false;
  for (uint32_t n = 0; n < kRows; n++) {
    const Peer* peer = table.Lookup(SubnetOf(n).address);
    if (peer == nullptr || peer->endpoint.port != port || !table.IsEndpoint(SubnetOf(n).address))
      return false;
  }
  return true;
}

}  // namespace

TEST_CASE("mailbox: two readers see every table before or after a change set, never half" *
          doctest::test_suite("threads")) {
  TWILL_RANDOM(random);
  Mailbox mailbox(random(), 2);
  std::atomic<bool> done{false};
  struct Seen {
    size_t looks = 0, halves = 0, backwards = 0;
    uint64_t last = 0;
  } seen[2];
  auto read = [&](size_t worker) {
    Seen& mine = seen[worker];
    bool last_look;
    do {
      last_look = done.load(std::memory_order_acquire);
      const PeerTable& table = mailbox.Adopt(worker);
      mine.halves += !IsWhole(table);
      mine.backwards += table.generation < mine.last;
      mine.last = table.generation;
      // As a worker: it goes on to the next batch, or rests.
      if (++mine.looks % 3 != 0) continue;
      mailbox.Leave(worker);
      std::this_thread::yield();
    } while (!last_look);
    mailbox.Leave(worker);
  };
  std::thread readers[2] = {std::thread(read, 0), std::thread(read, 1)};
  const uint64_t changes = test::Times(500);
  size_t wrong = 0;
  for (uint64_t n = 1; n <= changes; n++) {
    wrong += mailbox.Publish(ChangeSet(random, static_cast<uint16_t>(n))) != n;
  }
  done.store(true, std::memory_order_release);
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
  for (const Seen& mine : seen) {
    CHECK(mine.halves == 0);
    CHECK(mine.backwards == 0);
    CHECK(mine.last == changes);  // the last look comes after the last change
  }
  CHECK(IsWhole(mailbox.current()));
}

TEST_CASE("mailbox: a worker that stays in a table keeps it as it is") {
  Mailbox mailbox(1, 1);
  mailbox.Publish(std::vector{Set(1, 1)});
  const PeerTable& table = mailbox.Adopt(0);
  mailbox.Publish(std::vector{Set(1, 2), Set(2, 2)});
  CHECK(table.generation == 1);
  CHECK(table.size() == 1);
  const PeerTable& next = mailbox.Adopt(0);
  CHECK(&next != &table);
  CHECK(next.size() == 2);
  CHECK(next.Lookup(SubnetOf(1).address)->endpoint.port == 2);
  mailbox.Leave(0);
  mailbox.Publish(std::vector{Delete(1)});  // both tables take part in turn
  CHECK(mailbox.Adopt(0).size() == 1);
  CHECK(mailbox.current().Lookup(SubnetOf(2).address)->endpoint.port == 2);
}

}  // namespace twill
