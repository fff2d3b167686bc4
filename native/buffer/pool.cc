#include "buffer/pool.h"

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace twill {

namespace {

constexpr size_t kSlotAlign = 64;  // cache line

// In the sanitized build nobody may touch a slot that nobody holds.
void Forbid([[maybe_unused]] uint8_t* start, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(start, bytes);
#endif
}
void Allow([[maybe_unused]] uint8_t* start, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(start, bytes);
#endif
}

}  // namespace

Result<std::unique_ptr<Pool>> Pool::Open(uint32_t slots, size_t packet_bytes) {
  size_t stride = (kHeadroomBytes + packet_bytes + kSlotAlign - 1) / kSlotAlign * kSlotAlign;
  void* slab = mmap(nullptr, slots * stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (slab == MAP_FAILED) {
    return Error::System("ERR_TWILL_POOL", "mmap", errno,
                         "cannot map a buffer pool of " + std::to_string(slots * stride) + " bytes");
  }
  return std::unique_ptr<Pool>(new Pool(static_cast<uint8_t*>(slab), slots, stride, packet_bytes));
}

Pool::Pool(uint8_t* slab, uint32_t slots, size_t stride, size_t packet_bytes)
    : slab_(slab),
      slots_(slots),
      stride_(stride),
      packet_bytes_(packet_bytes),
      free_(new uint32_t[slots]),
      free_count_(slots) {
  for (uint32_t i = 0; i < slots; i++) free_[i] = slots - 1 - i;
  Forbid(slab_, slab_bytes());
}

Pool::~Pool() {
  Allow(slab_, slab_bytes());
  munmap(slab_, slab_bytes());
}

size_t Pool::Take(uint32_t* out, size_t want) {
  Lock();
  uint32_t have = free_count_.load(std::memory_order_relaxed);
  size_t taken = want < have ? want : have;
  for (size_t i = 0; i < taken; i++) out[i] = free_[have - 1 - i];
  free_count_.store(have - static_cast<uint32_t>(taken), std::memory_order_relaxed);
  Unlock();
  for (size_t i = 0; i < taken; i++) Allow(Slot(out[i]), stride_);
  return taken;
}

void Pool::Give(const uint32_t* slots, size_t count) {
  if (count == 0) return;
  for (size_t i = 0; i < count; i++) Forbid(Slot(slots[i]), stride_);
  Lock();
  uint32_t have = free_count_.load(std::memory_order_relaxed);
  // The first given back is the next taken: a batch that took more than it used leaves its warm slots on top.
  for (size_t i = 0; i < count; i++) free_[have + i] = slots[count - 1 - i];
  uint32_t now = have + static_cast<uint32_t>(count);
  free_count_.store(now, std::memory_order_relaxed);
  bool was_awaited = awaited_ != 0 && now >= awaited_;
  if (was_awaited) awaited_ = 0;
  Unlock();
  if (was_awaited && on_free) on_free();
}

bool Pool::AwaitFree(uint32_t count) {
  Lock();
  bool is_free = free_count_.load(std::memory_order_relaxed) >= count;
  awaited_ = is_free ? 0 : count;
  Unlock();
  return is_free;
}

}  // namespace twill
