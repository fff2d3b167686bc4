// Loops to time: what one call does, and how much of it. A file registers its own; main.cc runs them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace twill_bench {

struct Loop {
  std::string part;     // "micro" or "path"
  std::string name;     // what is done
  std::string variant;  // how: variants of one name are compared with the first of them
  std::string unit;     // of what `run` returns: "bytes", "packets"
  std::function<uint64_t()> run;
};

std::vector<Loop>& Loops();

// At namespace scope: `const Registered kChecksum(AddChecksum);`
struct Registered {
  explicit Registered(void (*add)(std::vector<Loop>&)) { add(Loops()); }
};

// The compiler must believe that somebody reads it.
template <typename T>
inline void Keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace twill_bench
