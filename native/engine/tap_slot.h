// Where workers find the tap, if one is open. Without one they pay a relaxed load for each batch. A tap that
// is taken away is destroyed only when no worker uses it any more.
#pragma once

#include <sched.h>

#include <atomic>
#include <memory>

#include "tap/tap.h"

namespace twill {

class TapSlot {
 public:
  explicit TapSlot(size_t workers) : workers_(workers), in_use_(new Use[workers]) {}

  // Worker side: the tap, or null; it stays until Leave.
  Tap* Enter(size_t worker) {
    Tap* tap = open_.load(std::memory_order_relaxed);
    if (tap == nullptr) return nullptr;
    in_use_[worker].tap.store(tap, std::memory_order_seq_cst);
    if (open_.load(std::memory_order_seq_cst) == tap) return tap;
    Leave(worker);  // closed just now: the next batch finds what there is then
    return nullptr;
  }
  void Leave(size_t worker) { in_use_[worker].tap.store(nullptr, std::memory_order_release); }

  // Control side, one thread. Replaces none: close the one before first.
  Tap* Open(std::unique_ptr<Tap> tap) {
    owned_ = std::move(tap);
    open_.store(owned_.get(), std::memory_order_seq_cst);
    return owned_.get();
  }
  void Close() {
    open_.store(nullptr, std::memory_order_seq_cst);
    // A worker holds it for one batch at most: microseconds.
    for (size_t i = 0; i < workers_; i++) {
      while (in_use_[i].tap.load(std::memory_order_seq_cst) != nullptr) sched_yield();
    }
    owned_.reset();
  }
  Tap* tap() { return owned_.get(); }

 private:
  struct alignas(64) Use {
    std::atomic<Tap*> tap{nullptr};
  };
  std::atomic<Tap*> open_{nullptr};
  size_t workers_;
  std::unique_ptr<Use[]> in_use_;
  std::unique_ptr<Tap> owned_;
};

}  // namespace twill
