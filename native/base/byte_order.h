// Network byte order as types: a Be16 never meets a uint16_t by accident.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace twill {

template <typename T>
constexpr T SwapToBig(T v) {
  if constexpr (std::endian::native == std::endian::big) return v;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(v);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(v);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(v);
}

// An unsigned integer stored in network order, without alignment demands.
template <typename T>
class BigEndian {
 public:
  BigEndian() = default;
  constexpr explicit BigEndian(T host) : raw_(SwapToBig(host)) {}
  constexpr T host() const { return SwapToBig(raw_); }
  constexpr T raw() const { return raw_; }
  static constexpr BigEndian FromRaw(T raw) {
    BigEndian b;
    b.raw_ = raw;
    return b;
  }
  friend constexpr bool operator==(BigEndian a, BigEndian b) { return a.raw_ == b.raw_; }

 private:
  T raw_ = 0;
};

using Be16 = BigEndian<uint16_t>;
using Be32 = BigEndian<uint32_t>;

template <typename T>
inline T LoadRaw(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint16_t LoadBe16(const uint8_t* p) {
  return SwapToBig(LoadRaw<uint16_t>(p));
}
inline uint32_t LoadBe32(const uint8_t* p) {
  return SwapToBig(LoadRaw<uint32_t>(p));
}
inline void StoreBe16(uint8_t* p, uint16_t v) {
  v = SwapToBig(v);
  std::memcpy(p, &v, sizeof v);
}
inline void StoreBe32(uint8_t* p, uint32_t v) {
  v = SwapToBig(v);
  std::memcpy(p, &v, sizeof v);
}

}  // namespace twill
