#include "engine/mailbox.h"

#include <sched.h>

namespace twill {

namespace {

void Apply(PeerTable& table, std::span<const PeerOp> ops) {
  for (const PeerOp& op : ops) {
    switch (op.kind) {
      case PeerOp::Kind::kSet:
        table.Set(op.row);
        break;
      case PeerOp::Kind::kDelete:
        table.Delete(op.row.subnet);
        break;
      case PeerOp::Kind::kClear:
        table.Clear();
        break;
    }
  }
}

}  // namespace

uint64_t Mailbox::Publish(std::span<const PeerOp> ops) {
  PeerTable* now = current_.load(std::memory_order_relaxed);
  PeerTable* next = now == &tables_[0] ? &tables_[1] : &tables_[0];
  AwaitUnused(next);
  Apply(*next, behind_);
  Apply(*next, ops);
  next->generation = now->generation + 1;
  behind_.assign(ops.begin(), ops.end());
  current_.store(next, std::memory_order_seq_cst);
  return next->generation;
}

// A worker holds a table for one batch at most: microseconds.
void Mailbox::AwaitUnused(const PeerTable* table) const {
  for (size_t i = 0; i < workers_; i++) {
    while (in_use_[i].table.load(std::memory_order_seq_cst) == table) sched_yield();
  }
}

}  // namespace twill
