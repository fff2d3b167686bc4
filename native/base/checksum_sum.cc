#include "base/checksum_sum.h"

#include <array>

#include "base/byte_order.h"

namespace twill {

// Adds 64-bit words with end-around carry.
uint64_t SumScalar(const uint8_t* data, size_t len) {
  uint64_t sum = 0;
  auto add = [&sum](uint64_t word) {
    sum += word;
    sum += sum < word;
  };
  while (len >= 32) {
    for (size_t i = 0; i < 32; i += 8) add(LoadRaw<uint64_t>(data + i));
    data += 32;
    len -= 32;
  }
  while (len >= 8) {
    add(LoadRaw<uint64_t>(data));
    data += 8;
    len -= 8;
  }
  if (len > 0) {
    uint64_t tail = 0;
    std::memcpy(&tail, data, len);
    add(tail);
  }
  return sum;
}

namespace {

uint64_t AddCarry(uint64_t a, uint64_t b) {
  uint64_t sum = a + b;
  return sum + (sum < b);
}

// Loaded at an offset this keeps the last so many bytes of a vector.
alignas(64) constexpr auto kKeepLast = [] {
  std::array<uint8_t, 128> bytes{};
  for (size_t i = 64; i < 128; i++) bytes[i] = 0xff;
  return bytes;
}();

// Adds 32-bit halves into 64-bit lanes: no carry is lost before 2^32 additions, and a packet has far fewer.
// What is left over goes to the plain loop. One source for every width: the compiler's vector types, not a
// processor's.
template <size_t kVectorBytes>
[[gnu::always_inline]] inline uint64_t SumWide(const uint8_t* data, size_t len) {
  using Vector [[gnu::vector_size(kVectorBytes)]] = uint64_t;
  Vector a{}, b{};
  size_t whole = len;
  while (len >= 2 * kVectorBytes) {
    Vector x, y;
    std::memcpy(&x, data, sizeof x);
    std::memcpy(&y, data + sizeof x, sizeof y);
    a += (x & 0xffffffff) + (x >> 32);
    b += (y & 0xffffffff) + (y >> 32);
    data += 2 * kVectorBytes;
    len -= 2 * kVectorBytes;
  }
  a += b;
  if (len >= kVectorBytes) {
    Vector x;
    std::memcpy(&x, data, sizeof x);
    a += (x & 0xffffffff) + (x >> 32);
    data += kVectorBytes;
    len -= kVectorBytes;
  }
  // An even rest: the last whole vector once more, without what was summed already. An odd one would fall out
  // of step.
  if (len > 0 && len % 2 == 0 && whole >= kVectorBytes) {
    Vector x, keep;
    std::memcpy(&x, data + len - sizeof x, sizeof x);
    std::memcpy(&keep, &kKeepLast[64 - kVectorBytes + len], sizeof keep);
    x &= keep;
    a += (x & 0xffffffff) + (x >> 32);
    len = 0;
  }
  uint64_t sum = SumScalar(data, len);
  uint64_t lanes[kVectorBytes / 8];
  std::memcpy(lanes, &a, sizeof lanes);
  for (uint64_t lane : lanes) sum = AddCarry(sum, lane);
  return sum;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) uint64_t SumAvx512(const uint8_t* data, size_t len) {
  return SumWide<64>(data, len);
}
__attribute__((target("avx2"))) uint64_t SumAvx2(const uint8_t* data, size_t len) {
  return SumWide<32>(data, len);
}
#elif defined(__aarch64__)
uint64_t SumNeon(const uint8_t* data, size_t len) {
  return SumWide<16>(data, len);
}
#endif

}  // namespace

WordSumChoice ChooseWordSum() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return {"avx512", SumAvx512};
  if (__builtin_cpu_supports("avx2")) return {"avx2", SumAvx2};
#elif defined(__aarch64__)
  return {"neon", SumNeon};
#endif
  return {"scalar", SumScalar};
}

}  // namespace twill
