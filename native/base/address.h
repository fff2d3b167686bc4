// IP addresses, prefixes and endpoints as plain values.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/byte_order.h"

namespace twill {

// Either family. IPv4 uses the first four bytes; the rest is zero, so that
// equality is one comparison of the whole.
struct IpAddr {
  uint8_t family = 0;  // 4 or 6; 0: none
  std::array<uint8_t, 16> bytes{};

  static IpAddr V4(const uint8_t* p) {
    IpAddr a;
    a.family = 4;
    std::memcpy(a.bytes.data(), p, 4);
    return a;
  }
  static IpAddr V6(const uint8_t* p) {
    IpAddr a;
    a.family = 6;
    std::memcpy(a.bytes.data(), p, 16);
    return a;
  }
  size_t size() const { return family == 4 ? 4 : 16; }
  bool IsUnspecified() const { return bytes == std::array<uint8_t, 16>{}; }
  // Not memcmp: its wide reads would touch the cache line behind, in a table the next row's.
  friend bool operator==(const IpAddr& a, const IpAddr& b) {
    const uint8_t *x = a.bytes.data(), *y = b.bytes.data();
    return a.family == b.family && LoadRaw<uint64_t>(x) == LoadRaw<uint64_t>(y) &&
           LoadRaw<uint64_t>(x + 8) == LoadRaw<uint64_t>(y + 8);
  }
};

struct IpPrefix {
  IpAddr address;  // host bits are zero
  uint8_t length = 0;

  bool Contains(const IpAddr& a) const {
    if (a.family != address.family) return false;
    size_t whole = length / 8;
    if (std::memcmp(a.bytes.data(), address.bytes.data(), whole) != 0) return false;
    uint8_t rest = length % 8;
    if (rest == 0) return true;
    uint8_t mask = static_cast<uint8_t>(0xff00 >> rest);
    return ((a.bytes[whole] ^ address.bytes[whole]) & mask) == 0;
  }
  // The same with host bits cleared.
  IpPrefix Masked() const {
    IpPrefix out = *this;
    for (size_t i = 0; i < out.address.bytes.size(); i++) {
      size_t kept = length > i * 8 ? length - i * 8 : 0;
      if (kept < 8) out.address.bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
    }
    return out;
  }
  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

struct Endpoint {
  IpAddr address;
  uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

}  // namespace twill
