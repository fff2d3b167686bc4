// Hands new peer tables to the workers without a lock on the packet path.
//
// There are two tables. Workers read the current one; a change is applied to the
// other, which then becomes current; the changes are kept and applied to the old
// one when it is next needed ("left-right"). So a change costs what changed, never
// the size of the table, and a worker sees all of it or nothing.
//
//   worker   Adopt(): marks the current table as in use, until Leave()
//   control  Publish(): waits until nobody uses the other table, brings it up to
//            date, applies the change, makes it current
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/peer_numbers.h"
#include "engine/peer_ops.h"
#include "table/peer_table.h"

namespace twill {

class Mailbox {
 public:
  Mailbox(uint64_t seed, size_t workers)
      : tables_{PeerTable(seed), PeerTable(seed)},
        workers_(workers),
        in_use_(new Slot[workers]),
        counters_(new PeerCounters[workers]),
        numbers_({counters_.get(), workers}) {}

  // Worker side. Cheap when nothing changed: two loads.
  const PeerTable& Adopt(size_t worker) {
    auto& mine = in_use_[worker].table;
    for (;;) {
      PeerTable* current = current_.load(std::memory_order_acquire);
      if (mine.load(std::memory_order_relaxed) == current) return *current;
      mine.store(current, std::memory_order_seq_cst);
      if (current_.load(std::memory_order_seq_cst) == current) return *current;
    }
  }
  // For the peers of every table that this worker adopts.
  PeerCounters& counters(size_t worker) { return counters_[worker]; }
  void Leave(size_t worker) { in_use_[worker].table.store(nullptr, std::memory_order_release); }

  // Control side, one thread. `ops` with cooked rows; their numbers are given here. Returns the new
  // generation.
  uint64_t Publish(std::span<const PeerOp> ops);
  const PeerTable& current() const { return *current_.load(std::memory_order_acquire); }
  const PeerNumbers& numbers() const { return numbers_; }

  // Called with numbers (sorted) of peers that went, before another peer may get one: no worker knows them
  // any more, but packets that have left the workers may still carry them. Set before the first Publish.
  std::function<void(std::span<const uint32_t>)> on_numbers_end;

 private:
  struct alignas(64) Slot {
    std::atomic<const PeerTable*> table{nullptr};
  };
  void AwaitUnused(const PeerTable* table) const;
  void ApplyNew(PeerTable& table, std::span<PeerOp> ops);

  std::array<PeerTable, 2> tables_;
  std::atomic<PeerTable*> current_{&tables_[0]};
  std::vector<PeerOp> behind_;  // what the table that is not current lacks
  size_t workers_;
  std::unique_ptr<Slot[]> in_use_;
  std::unique_ptr<PeerCounters[]> counters_;  // one for each worker
  PeerNumbers numbers_;
};

}  // namespace twill
