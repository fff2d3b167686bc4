#pragma once

namespace twill {

// Starts loading the cache line at `address`. The empty asm is an effect: GCC drops calls of functions that
// only prefetch.
inline void PrefetchLine(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");
}

}  // namespace twill
