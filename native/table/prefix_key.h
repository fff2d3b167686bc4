// An address as an integer in host order, with what a prefix table needs of it.
#pragma once

#include <array>
#include <cstdint>

#include "base/byte_order.h"

namespace twill {

struct KeyV4 {
  static constexpr unsigned kBits = 32;
  uint32_t value = 0;

  static KeyV4 Load(const uint8_t* p) { return {LoadBe32(p)}; }
  static constexpr KeyV4 Mask(unsigned length) { return {length == 0 ? 0 : 0xffffffffu << (32 - length)}; }
  uint64_t Mix(uint64_t seed) const { return (value ^ seed) * 0x9e3779b97f4a7c15u; }
  friend KeyV4 operator&(KeyV4 a, KeyV4 b) { return {a.value & b.value}; }
  friend bool operator==(KeyV4, KeyV4) = default;
};

struct KeyV6 {
  static constexpr unsigned kBits = 128;
  uint64_t high = 0, low = 0;

  static KeyV6 Load(const uint8_t* p) {
    return {SwapToBig(LoadRaw<uint64_t>(p)), SwapToBig(LoadRaw<uint64_t>(p + 8))};
  }
  static constexpr KeyV6 Mask(unsigned length) {
    if (length == 0) return {0, 0};
    if (length <= 64) return {~uint64_t{0} << (64 - length), 0};
    return {~uint64_t{0}, ~uint64_t{0} << (128 - length)};
  }
  uint64_t Mix(uint64_t seed) const {
    uint64_t h = (high ^ seed) * 0x9e3779b97f4a7c15u;
    return (h ^ (h >> 29) ^ low) * 0xbf58476d1ce4e5b9u;
  }
  friend KeyV6 operator&(KeyV6 a, KeyV6 b) { return {a.high & b.high, a.low & b.low}; }
  friend bool operator==(KeyV6, KeyV6) = default;
};

// Masks by prefix length, without branches.
template <typename Key>
inline constexpr auto kMasks = [] {
  std::array<Key, Key::kBits + 1> masks;
  for (unsigned length = 0; length <= Key::kBits; length++) masks[length] = Key::Mask(length);
  return masks;
}();

}  // namespace twill
