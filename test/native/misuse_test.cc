// What programs do wrong where threads are involved: closing amid traffic, buffers that outlive their engine,
// waiting for what others hold.
#include <doctest/doctest.h>
#include <poll.h>

#include <thread>

#include "engine/engine.h"
#include "support/packets.h"
#include "support/path.h"
#include "support/random.h"
#include "support/user_ports.h"

namespace twill {

namespace {

constexpr uint32_t kSlots = 512;

// What goes to its peer comes out of the underlay.
std::unique_ptr<Engine> NewEngine(size_t workers, std::function<void(UserEvent)> on_event) {
  EngineConfig config = test::ConfigOf(workers, kSlots);
  config.on_user_event = std::move(on_event);
  auto engine = test::NewEngine(std::move(config));
  REQUIRE(engine->Publish(test::SetPeer(8472)).ok());
  return engine;
}

// Waits for it as long as a busy machine may take.
bool Comes(const std::atomic<size_t>& count, size_t wanted) {
  for (int i = 0; i < 20'000; i++) {
    if (count.load() >= wanted) return true;
    if (i < 1000) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return false;
}

}  // namespace

TEST_CASE("misuse: closed amid traffic: no event from a worker afterwards, and every slot is back" *
          doctest::test_suite("threads")) {
  TWILL_RANDOM(random);
  test::Shape shape;
  shape.source = "10.5.1.9";
  shape.destination = "10.5.2.9";
  const test::Bytes out = test::IpPacket(shape);
  for (size_t round = 0; round < test::Times(100); round++) {
    std::atomic<bool> is_closed{false};
    std::atomic<size_t> late{0}, own{0};
    const auto self = std::this_thread::get_id();
    auto engine = NewEngine(1 + round % 2, [&](UserEvent) {
      if (std::this_thread::get_id() == self) {
        own++;
      } else if (is_closed.load()) {
        late++;
      }
    });
    auto pool = engine->pool();
    // What the program holds when it closes, and what it waits for.
    uint32_t held[10];
    REQUIRE(pool->Take(held, 10) == 10);
    CHECK_FALSE(pool->AwaitFree(kSlots));
    for (size_t i = random.Below(600); i > 0; i--) {
      test::Push(*engine, *engine->overlay_channel(), out);
      if (random.OneIn(40)) test::Drain(*engine);
      if (random.OneIn(20)) engine->overlay_channel()->to_engine().AwaitRoom(1024);
    }
    engine->Close();
    is_closed = true;
    CHECK(pool->free() == kSlots - 10);
    engine.reset();
    // The pool outlives its engine, with whoever holds buffers of it.
    size_t before = own.load();
    pool->Give(held, 10);
    CHECK(own.load() == before + 1);
    CHECK(pool->free() == kSlots);
    CHECK(late.load() == 0);
  }
}

TEST_CASE("misuse: who waits for room is told once each time, and finds it" *
          doctest::test_suite("threads")) {
  TWILL_RANDOM(random);
  auto pool = Pool::Open(2048, 64);
  REQUIRE(pool.ok());
  auto channel = std::make_shared<UserChannel>(**pool);
  std::atomic<size_t> told{0};
  channel->to_engine().on_room = [&told] { told++; };
  std::atomic<bool> done{false};
  std::thread worker([&] {
    UserPort port(channel, DropReason::kDeviceBusy);
    while (!done.load()) {
      Batch batch(**pool);
      if (port.Recv(batch) > 0) continue;
      pollfd fd{port.poll_fd(), POLLIN, 0};
      poll(&fd, 1, 10);
    }
  });
  auto push = [&] {
    Packet p;
    if ((*pool)->Take(&p.slot, 1) == 0) return false;
    p.data = (*pool)->PacketStart(p.slot);
    if (channel->Push(p)) return true;
    (*pool)->Give(&p.slot, 1);
    return false;
  };
  size_t waited = 0, wrong = 0;
  for (size_t i = 0; i < test::Times(2000); i++) {
    for (size_t n = 0; n < 2 * UserChannel::kCapacity && push(); n++) {
    }
    size_t count = 1 + random.Below(UserChannel::kCapacity);
    if (!channel->to_engine().AwaitRoom(count)) {
      waited++;
      wrong += !Comes(told, waited);
    }
    // Nobody else pushes: what was said is so.
    wrong += !channel->to_engine().AwaitRoom(count);
    wrong += told.load() != waited;
  }
  done = true;
  worker.join();
  CHECK(wrong == 0);
  CHECK(waited > 0);
}

TEST_CASE("misuse: who waits for buffers that another thread holds is told once each time" *
          doctest::test_suite("threads")) {
  auto opened = Pool::Open(96, 64);
  REQUIRE(opened.ok());
  Pool& pool = **opened;
  std::atomic<size_t> told{0};
  pool.on_free = [&told] { told++; };
  std::atomic<bool> done{false};
  std::thread holder([&] {
    uint32_t out[96];
    while (!done.load()) {
      size_t taken = pool.Take(out, 96);
      std::this_thread::yield();
      pool.Give(out, taken);
      std::this_thread::yield();
    }
  });
  size_t waited = 0, wrong = 0;
  for (size_t i = 0; waited < test::Times(500) && wrong == 0; i++) {
    if (pool.AwaitFree(96)) {
      std::this_thread::yield();
      continue;
    }
    waited++;
    wrong += !Comes(told, waited);
    wrong += told.load() != waited;
  }
  done = true;
  holder.join();
  CHECK(wrong == 0);
  CHECK(pool.free() == 96);
}

}  // namespace twill
