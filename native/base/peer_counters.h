// What each peer sent and got, counted by one worker: a row for each peer, found by the number that its row
// of the peer table carries. A row is one cache line, and no other worker writes to it.
//
// Rows come in blocks that stay where they are, so that a reader never meets memory on the move. The thread
// that publishes peers makes room for a number before any worker can see it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace twill {

// Of packets that are no one peer's: of no row of the table, or of rows that share an endpoint.
inline constexpr uint32_t kNoPeer = 0;
inline constexpr uint32_t kPeerNumbers = 1 << 24;

enum class PeerCount : uint8_t {
  kEncapPackets,
  kEncapBytes,
  kEncapDrops,
  kUnused,
  kDecapPackets,
  kDecapBytes,
  kDecapDrops,
  kDecapLastNs,  // when the last packet was delivered, on the monotonic clock
  kCount,
};
inline constexpr size_t kPeerCounts = static_cast<size_t>(PeerCount::kCount);

using PeerTotals = std::array<uint64_t, kPeerCounts>;

inline void AddTo(PeerTotals& totals, const PeerTotals& more) {
  constexpr auto last = static_cast<size_t>(PeerCount::kDecapLastNs);
  for (size_t i = 0; i < last; i++) totals[i] += more[i];
  if (more[last] > totals[last]) totals[last] = more[last];
}

// Written by one worker; `Reserve` and `Reset` by the thread that publishes, `Read` by any.
class PeerCounters {
 public:
  PeerCounters() : blocks_(new std::atomic<Block*>[kPeerNumbers / kBlockRows] {}) { Reserve(kNoPeer); }
  ~PeerCounters() {
    for (size_t i = 0; i < kPeerNumbers / kBlockRows; i++) delete blocks_[i].load(std::memory_order_relaxed);
  }
  PeerCounters(const PeerCounters&) = delete;
  PeerCounters& operator=(const PeerCounters&) = delete;

  void Reserve(uint32_t number) {
    auto& block = blocks_[number / kBlockRows];
    if (block.load(std::memory_order_relaxed) == nullptr) block.store(new Block{}, std::memory_order_release);
  }
  // While no worker uses a table with this number.
  void Reset(uint32_t number) {
    for (auto& value : RowOf(number)) value.store(0, std::memory_order_relaxed);
  }

  void Prefetch(uint32_t number) const { __builtin_prefetch(&RowOf(number), 1); }
  // One writer: no locked instruction. Release: who sees these sees what the worker published before.
  void Add(uint32_t number, PeerCount count, uint64_t n) {
    auto& value = RowOf(number)[static_cast<size_t>(count)];
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_release);
  }
  void Set(uint32_t number, PeerCount count, uint64_t n) {
    RowOf(number)[static_cast<size_t>(count)].store(n, std::memory_order_relaxed);
  }

  PeerTotals Read(uint32_t number) const {
    PeerTotals totals{};
    const Block* block = blocks_[number / kBlockRows].load(std::memory_order_acquire);
    if (block == nullptr) return totals;
    const Row& row = block->rows[number % kBlockRows];
    for (size_t i = 0; i < kPeerCounts; i++) totals[i] = row[i].load(std::memory_order_acquire);
    return totals;
  }

 private:
  static constexpr uint32_t kBlockRows = 1024;  // 64 kB
  using Row = std::array<std::atomic<uint64_t>, kPeerCounts>;
  struct alignas(64) Block {
    std::array<Row, kBlockRows> rows{};
  };
  static_assert(sizeof(Row) == 64, "a row is one cache line");

  Row& RowOf(uint32_t number) const {
    return blocks_[number / kBlockRows].load(std::memory_order_relaxed)->rows[number % kBlockRows];
  }

  std::unique_ptr<std::atomic<Block*>[]> blocks_;
};

}  // namespace twill
