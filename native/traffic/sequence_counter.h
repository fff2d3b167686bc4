// Counts what a numbered flow went through: received, duplicated, reordered, and so lost.
//
// One bit per number in a ring of the last kWindow numbers. Reordered means: arrived after a higher number
// had (RFC 4737 section 3). A number older than the ring cannot be known as a duplicate and counts as
// reordered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace twill::traffic {

class SequenceCounter {
 public:
  void Add(uint64_t number) {
    if (next_ == 0 || number >= next_) {
      Advance(number + 1);
    } else if (next_ - number <= kWindow && Bit(number)) {
      duplicated_++;
      return;
    } else {
      reordered_++;
    }
    Bit(number) = true;
    received_++;
  }

  // Different numbers seen.
  uint64_t received() const { return received_; }
  uint64_t duplicated() const { return duplicated_; }
  uint64_t reordered() const { return reordered_; }
  // One above the highest number seen.
  uint64_t next() const { return next_; }
  // Missing among the numbers 0 .. `sent` - 1.
  uint64_t Lost(uint64_t sent) const { return sent > received_ ? sent - received_ : 0; }

 private:
  static constexpr uint64_t kWindow = 1 << 20;

  std::vector<bool>::reference Bit(uint64_t number) { return seen_[number % kWindow]; }

  void Advance(uint64_t next) {
    // Numbers skipped may still come: their bits must not speak of numbers one ring ago.
    uint64_t fresh = std::min(next - next_, kWindow);
    for (uint64_t i = next - fresh; i < next; i++) Bit(i) = false;
    next_ = next;
  }

  std::vector<bool> seen_ = std::vector<bool>(kWindow);
  uint64_t next_ = 0;
  uint64_t received_ = 0;
  uint64_t duplicated_ = 0;
  uint64_t reordered_ = 0;
};

}  // namespace twill::traffic
