// Random tests: each run draws a new seed and a failure prints it. TWILL_TEST_SEED
// runs with that one, TWILL_TEST_SCALE does so many times the work.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

namespace twill::test {

inline uint64_t NewSeed() {
  const char* given = std::getenv("TWILL_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t operator()() { return engine_(); }
  size_t Below(size_t end) { return engine_() % end; }
  uint8_t Byte() { return static_cast<uint8_t>(engine_()); }
  bool OneIn(size_t n) { return Below(n) == 0; }
  std::vector<uint8_t> Bytes(size_t n) {
    std::vector<uint8_t> bytes(n);
    for (uint8_t& b : bytes) b = Byte();
    return bytes;
  }
  template <typename T, size_t N>
  const T& Of(const T (&choices)[N]) {
    return choices[Below(N)];
  }

 private:
  std::mt19937_64 engine_;
};

// How often to try: the sanitizers cost about a tenfold.
inline size_t Times(size_t n) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  n /= 10;
#endif
  const char* scale = std::getenv("TWILL_TEST_SCALE");
  return scale == nullptr ? n : static_cast<size_t>(static_cast<double>(n) * std::strtod(scale, nullptr));
}

}  // namespace twill::test

// Declares `random`, and has every failure below it print its seed.
#define TWILL_RANDOM(random)                      \
  const uint64_t random##_seed = test::NewSeed(); \
  INFO("TWILL_TEST_SEED=", random##_seed);        \
  test::Random random(random##_seed)
