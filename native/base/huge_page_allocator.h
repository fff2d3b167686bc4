// Memory of large arrays in huge pages where the kernel gives them (transparent huge pages, `madvise`): a
// table read at random then costs far fewer misses of the translation cache. Small arrays come from the heap
// as ever.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace twill {

template <typename T>
struct HugePageAllocator {
  using value_type = T;
  static constexpr size_t kHugePage = size_t{2} << 20;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT: an allocator converts

  T* allocate(size_t count) {
    size_t bytes = count * sizeof(T);
    auto* memory = static_cast<T*>(::operator new(bytes, Alignment(bytes)));
    if (bytes >= kHugePage)
      madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // refused: small pages
    return memory;
  }
  void deallocate(T* memory, size_t count) { ::operator delete(memory, Alignment(count * sizeof(T))); }

  friend bool operator==(HugePageAllocator, HugePageAllocator) { return true; }

 private:
  static std::align_val_t Alignment(size_t bytes) {
    return std::align_val_t{bytes >= kHugePage ? kHugePage : alignof(T)};
  }
};

}  // namespace twill
