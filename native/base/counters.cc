#include "base/counters.h"

namespace twill {

namespace {

struct ReasonText {
  const char* name;
  char direction;
};

constexpr ReasonText kTexts[] = {
#define E 'E'
#define D 'D'
#define B 'B'
#define DROP(enumerator, name, direction, meaning) {name, direction},
#include "base/drop_reasons.def"
#undef DROP
#undef E
#undef D
#undef B
};

}  // namespace

const char* DropReasonName(DropReason reason) {
  return reason == DropReason::kNone ? "none" : kTexts[static_cast<size_t>(reason)].name;
}

bool DropReasonIn(DropReason reason, char direction) {
  char own = kTexts[static_cast<size_t>(reason)].direction;
  return own == 'B' || own == direction;
}

void Tally::Add(const Tally& other) {
  received += other.received;
  received_bytes += other.received_bytes;
  delivered += other.delivered;
  delivered_bytes += other.delivered_bytes;
  icmp_sent += other.icmp_sent;
  icmp_suppressed += other.icmp_suppressed;
  for (size_t i = 0; i < kDropReasons; i++) drops[i] += other.drops[i];
  dropped = dropped || other.dropped;
}

uint64_t Tally::TotalDrops() const {
  uint64_t total = 0;
  for (uint64_t n : drops) total += n;
  return total;
}

void Counters::Publish(const Tally& tally) {
  uint64_t sequence = sequence_.load(std::memory_order_relaxed);
  sequence_.store(sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  auto add = [this](size_t i, uint64_t n) {
    if (n) values_[i].store(values_[i].load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  };
  add(0, tally.received);
  add(1, tally.received_bytes);
  add(2, tally.delivered);
  add(3, tally.delivered_bytes);
  add(4, tally.icmp_sent);
  add(5, tally.icmp_suppressed);
  if (tally.dropped) {
    for (size_t i = 0; i < kDropReasons; i++) add(kFixed + i, tally.drops[i]);
  }
  sequence_.store(sequence + 2, std::memory_order_release);
}

Tally Counters::Read() const {
  for (;;) {
    uint64_t before = sequence_.load(std::memory_order_acquire);
    if (before & 1) continue;
    Tally t;
    auto get = [this](size_t i) { return values_[i].load(std::memory_order_relaxed); };
    t.received = get(0);
    t.received_bytes = get(1);
    t.delivered = get(2);
    t.delivered_bytes = get(3);
    t.icmp_sent = get(4);
    t.icmp_suppressed = get(5);
    for (size_t i = 0; i < kDropReasons; i++) t.drops[i] = get(kFixed + i);
    t.dropped = true;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (sequence_.load(std::memory_order_relaxed) == before) return t;
  }
}

}  // namespace twill
