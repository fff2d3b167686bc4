// How often ICMP errors may be sent: so many a second in all, and so many to each
// source. Time comes in from outside.
#pragma once

#include <array>
#include <cstdint>

#include "wire/ip.h"

namespace twill {

class SecondBudget {
 public:
  // Whether one more fits into the `per_second` of the present second.
  bool Take(uint64_t now_ns, uint32_t per_second) {
    if (now_ns - since_ns_ >= kSecondNs) {
      since_ns_ = now_ns;
      taken_ = 0;
    }
    if (taken_ >= per_second) return false;
    taken_++;
    return true;
  }

 private:
  static constexpr uint64_t kSecondNs = 1'000'000'000;
  uint64_t since_ns_ = 0;
  uint32_t taken_ = 0;
};

class IcmpLimiter {
 public:
  static constexpr uint32_t kPerSecond = 1000;
  static constexpr uint32_t kPerSourcePerSecond = 100;

  bool Allow(const InnerPacket& offender, uint64_t now_ns) {
    SecondBudget& own = sources_[Slot(offender)];
    return own.Take(now_ns, kPerSourcePerSecond) && all_.Take(now_ns, kPerSecond);
  }

 private:
  // Sources share buckets by hash: a fixed size, whatever arrives.
  static constexpr size_t kBuckets = 256;
  static size_t Slot(const InnerPacket& p) {
    uint64_t h = 0;
    for (size_t i = 0; i < (p.family == 4 ? 4u : 16u); i += 4) {
      h = (h ^ LoadRaw<uint32_t>(p.source() + i)) * 0x9e3779b97f4a7c15u;
    }
    return h >> 56;
  }

  SecondBudget all_;
  std::array<SecondBudget, kBuckets> sources_;
};

}  // namespace twill
