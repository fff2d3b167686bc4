// A 64-bit running hash of a byte stream, the same however the stream was cut into pieces.
//
// It shows accidents (a byte changed, lost, doubled or moved), not malice, and must cost next to nothing
// beside the copy of the data: eight lanes of one 64-bit word each, every step a bijection of the lane, so
// that no single changed word can go unseen. Words are taken as the machine stores them: both ends of a test
// run on one machine.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace twill::traffic {

class StreamHash {
 public:
  void Update(const uint8_t* data, size_t len) {
    total_ += len;
    if (held_ > 0) {
      size_t part = std::min(kBlockBytes - held_, len);
      std::memcpy(block_.data() + held_, data, part);
      held_ += part;
      data += part;
      len -= part;
      if (held_ < kBlockBytes) return;
      Mix(block_.data(), kBlockBytes);
      held_ = 0;
    }
    size_t whole = len - len % kBlockBytes;
    Mix(data, whole);
    held_ = len - whole;
    if (held_ > 0) std::memcpy(block_.data(), data + whole, held_);
  }

  // Of all bytes so far; more may follow.
  uint64_t Digest() const {
    uint64_t h = total_ * kPrime;
    for (uint64_t lane : lanes_) h = Step(h, lane);
    for (size_t i = 0; i < held_; i++) h = Step(h, block_[i] + 1u);
    h ^= h >> 33;
    h *= kPrime;
    return h ^ (h >> 29);
  }

 private:
  static constexpr size_t kLanes = 8;
  static constexpr size_t kBlockBytes = kLanes * sizeof(uint64_t);
  static constexpr uint64_t kPrime = 0x9e3779b97f4a7c15;  // odd: multiplying loses nothing

  static uint64_t Step(uint64_t h, uint64_t word) { return std::rotl((h ^ word) * kPrime, 31); }

  void Mix(const uint8_t* data, size_t len) {
    std::array<uint64_t, kLanes> lanes = lanes_;
    for (const uint8_t* end = data + len; data != end; data += kBlockBytes) {
      for (size_t i = 0; i < kLanes; i++) {
        uint64_t word;
        std::memcpy(&word, data + i * sizeof word, sizeof word);
        lanes[i] = Step(lanes[i], word);
      }
    }
    lanes_ = lanes;
  }

  std::array<uint64_t, kLanes> lanes_{1, 2, 3, 4, 5, 6, 7, 8};
  std::array<uint8_t, kBlockBytes> block_{};
  size_t held_ = 0;
  uint64_t total_ = 0;
};

}  // namespace twill::traffic
