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
  std::span<const uint32_t> ended = numbers_.Recycle();
  if (!ended.empty() && on_numbers_end) on_numbers_end(ended);
  Apply(*next, behind_);
  behind_.assign(ops.begin(), ops.end());
  ApplyNew(*next, behind_);
  next->generation = now->generation + 1;
  current_.store(next, std::memory_order_seq_cst);
  return next->generation;
}

// A row keeps its number for as long as its subnet is in the table.
void Mailbox::ApplyNew(PeerTable& table, std::span<PeerOp> ops) {
  for (PeerOp& op : ops) {
    const Peer* old = table.Find(op.row.subnet);
    if (op.kind == PeerOp::Kind::kSet) {
      op.row.number = (old == nullptr ? numbers_.Take(op.row.subnet) : old->number) & (kPeerNumbers - 1);
    } else if (op.kind == PeerOp::Kind::kClear) {
      for (const Peer& row : table.places()) numbers_.Return(row.number);
    } else if (old != nullptr) {
      numbers_.Return(old->number);
    }
    Apply(table, {&op, 1});
  }
}

// A worker holds a table for one batch at most: microseconds.
void Mailbox::AwaitUnused(const PeerTable* table) const {
  for (size_t i = 0; i < workers_; i++) {
    while (in_use_[i].table.load(std::memory_order_seq_cst) == table) sched_yield();
  }
}

}  // namespace twill
