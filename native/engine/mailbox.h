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
#include <memory>
#include <span>
#include <vector>

#include "engine/peer_ops.h"
#include "table/peer_table.h"

namespace twill {

class Mailbox {
 public:
  Mailbox(uint64_t seed, size_t workers)
      : tables_{PeerTable(seed), PeerTable(seed)}, workers_(workers), in_use_(new Slot[workers]) {}

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
  void Leave(size_t worker) { in_use_[worker].table.store(nullptr, std::memory_order_release); }

  // Control side, one thread. `ops` with cooked rows. Returns the new generation.
  uint64_t Publish(std::span<const PeerOp> ops);
  const PeerTable& current() const { return *current_.load(std::memory_order_acquire); }

 private:
  struct alignas(64) Slot {
    std::atomic<const PeerTable*> table{nullptr};
  };
  void AwaitUnused(const PeerTable* table) const;

  std::array<PeerTable, 2> tables_;
  std::atomic<PeerTable*> current_{&tables_[0]};
  std::vector<PeerOp> behind_;  // what the table that is not current lacks
  size_t workers_;
  std::unique_ptr<Slot[]> in_use_;
};

}  // namespace twill
