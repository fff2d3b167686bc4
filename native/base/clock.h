#pragma once

#include <cstdint>
#include <ctime>

namespace twill {

// Nanoseconds on the monotonic clock: wall-clock jumps never move a timer.
inline uint64_t MonotonicNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

// Nanoseconds since 1970, for people to read.
inline uint64_t WallNs() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace twill
