#include "base/counters.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <thread>

#include "support/random.h"

namespace twill {

TEST_CASE("counters: received = delivered + sum of drops, for two readers at every moment" *
          doctest::test_suite("threads")) {
  TWILL_RANDOM(random);
  auto counters = std::make_unique<Counters>();
  std::atomic<bool> done{false};
  struct Seen {
    size_t reads = 0, wrong = 0;
  } seen[2];
  auto read = [&](Seen& mine) {
    Tally last;
    do {
      Tally now = counters->Read();
      bool holds =
          now.received == now.delivered + now.TotalDrops() && now.received_bytes == 60 * now.received;
      mine.wrong += !holds || now.received < last.received;
      last = now;
      mine.reads++;
    } while (!done.load(std::memory_order_acquire));
  };
  std::thread readers[2] = {std::thread(read, std::ref(seen[0])), std::thread(read, std::ref(seen[1]))};
  Tally total;
  for (size_t i = 0; i < test::Times(300'000); i++) {
    Tally batch;
    batch.received = random.Below(64);
    batch.received_bytes = batch.received * 60;
    for (uint64_t n = 0; n < batch.received; n++) {
      if (random.OneIn(3)) {
        batch.Drop(static_cast<DropReason>(random.Below(kDropReasons)));
      } else {
        batch.delivered++;
      }
    }
    counters->Publish(batch);
    total.Add(batch);
  }
  done.store(true, std::memory_order_release);
  for (std::thread& reader : readers) reader.join();
  for (const Seen& mine : seen) {
    CHECK(mine.reads > 0);
    CHECK(mine.wrong == 0);
  }
  Tally last = counters->Read();
  CHECK(last.received == total.received);
  CHECK(last.delivered == total.delivered);
  CHECK(last.drops == total.drops);
}

TEST_CASE("counters: every drop reason has a name of its own and a direction") {
  std::set<std::string> names;
  for (size_t i = 0; i < kDropReasons; i++) {
    auto reason = static_cast<DropReason>(i);
    names.insert(DropReasonName(reason));
    CHECK((DropReasonIn(reason, 'E') || DropReasonIn(reason, 'D')));
  }
  CHECK(names.size() == kDropReasons);
  CHECK(std::string(DropReasonName(DropReason::kNone)) == "none");
}

}  // namespace twill
