// The fixed memory of the packet path: one mmap'd slab cut into equal slots.
//
//   slab   | slot 0 | slot 1 | ...                              | slot n-1 |
//   slot   | headroom (kHeadroomBytes) | packet bytes ... tailroom          |
//
// Nothing is allocated after Open. A slot is a number; who holds the number owns
// the bytes. Batches (batch.h) take and return slots in groups, so the lock here
// is taken once per batch, and is uncontended unless an embedder shares the pool.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace twill {

// Room in front of each packet for what encapsulation adds: VXLAN and inner
// Ethernet are 22 bytes; the rest is for a virtio header and what may come.
inline constexpr size_t kHeadroomBytes = 64;

class Pool {
 public:
  // `slots` slots that hold a packet of up to `packet_bytes` each.
  static Result<std::unique_ptr<Pool>> Open(uint32_t slots, size_t packet_bytes);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Takes up to `want` slots into `out`; returns how many there were.
  size_t Take(uint32_t* out, size_t want);
  void Give(const uint32_t* slots, size_t count);

  // Whether so many slots are free now. If not, the Give after which they are calls `on_free`, once.
  bool AwaitFree(uint32_t count);
  // Set before the pool is shared. Called from the thread that gives.
  std::function<void()> on_free;

  uint8_t* Slot(uint32_t slot) const { return slab_ + slot * stride_; }
  uint8_t* PacketStart(uint32_t slot) const { return Slot(slot) + kHeadroomBytes; }
  size_t packet_bytes() const { return packet_bytes_; }
  size_t stride() const { return stride_; }
  uint32_t slots() const { return slots_; }
  uint32_t free() const { return free_count_.load(std::memory_order_relaxed); }
  uint8_t* slab() const { return slab_; }
  size_t slab_bytes() const { return slots_ * stride_; }

 private:
  Pool(uint8_t* slab, uint32_t slots, size_t stride, size_t packet_bytes);
  void Lock() {
    while (locked_.test_and_set(std::memory_order_acquire)) {
    }
  }
  void Unlock() { locked_.clear(std::memory_order_release); }

  uint8_t* slab_;
  uint32_t slots_;
  size_t stride_;
  size_t packet_bytes_;
  std::unique_ptr<uint32_t[]> free_;  // a stack: the slot used last is the warmest
  std::atomic<uint32_t> free_count_;
  uint32_t awaited_ = 0;  // free slots that somebody waits for
  std::atomic_flag locked_;
};

}  // namespace twill
