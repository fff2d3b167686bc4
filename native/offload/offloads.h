// Which offloads are wanted, which work. Probed when ports open; one that is refused later is switched off
// for good, what was refused is sent again without it. Shared by the workers of an engine.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace twill {

enum class Offload : uint8_t {
#define OFFLOAD(enumerator, name, meaning) enumerator,
#include "offload/offloads.def"
#undef OFFLOAD
  kCount,
};

inline constexpr size_t kOffloads = static_cast<size_t>(Offload::kCount);

constexpr uint32_t OffloadBit(Offload offload) {
  return 1u << static_cast<unsigned>(offload);
}
inline constexpr uint32_t kAllOffloads = (1u << kOffloads) - 1;

const char* OffloadName(Offload offload);

class Offloads {
 public:
  explicit Offloads(uint32_t wanted = 0) : wanted_(wanted), active_(wanted) {}

  bool wanted(Offload o) const { return wanted_ & OffloadBit(o); }
  bool active(Offload o) const { return active_.load(std::memory_order_relaxed) & OffloadBit(o); }
  // Called where the kernel said no: at the probe, or about a packet. Counts, and switches it off.
  void Refuse(Offload o) {
    active_.fetch_and(~OffloadBit(o), std::memory_order_relaxed);
    Resent(o);
  }
  // The kernel refused one send or write that used it (this path cannot); it went out without.
  void Resent(Offload o) { refused_[static_cast<size_t>(o)].fetch_add(1, std::memory_order_relaxed); }
  uint64_t refused(Offload o) const {
    return refused_[static_cast<size_t>(o)].load(std::memory_order_relaxed);
  }

 private:
  uint32_t wanted_;
  std::atomic<uint32_t> active_;
  std::array<std::atomic<uint64_t>, kOffloads> refused_{};
};

}  // namespace twill
