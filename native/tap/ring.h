// A ring of records between one worker and one reader: fixed memory, no lock. Records that the writer has
// appended stay its own until it commits them, so it may still change or withdraw them.
//
//   writer   Append ... Append, Commit or Withdraw      reader   Read
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "tap/record.h"

namespace twill {

class TapRing {
 public:
  // `bytes` must be a power of two.
  explicit TapRing(size_t bytes) : size_(bytes), bytes_(new uint8_t[bytes]) {}

  // Room for a record with `captured` bytes behind it; null: there is none. Its header is set but for
  // lengths.
  TapRecord* Append(uint32_t captured) {
    uint64_t need = (sizeof(TapRecord) + captured + 7) & ~uint64_t{7};
    uint64_t to_end = size_ - (next_ & (size_ - 1));
    uint64_t skip = to_end < need ? to_end : 0;
    if (next_ + skip + need - read_.load(std::memory_order_acquire) > size_) return nullptr;
    if (skip != 0) {
      // A record lies in one piece: the rest of this round stays empty.
      Mark filler{static_cast<uint32_t>(skip), kSkipped};
      std::memcpy(At(next_), &filler, sizeof filler);
      next_ += skip;
    }
    auto* record = reinterpret_cast<TapRecord*>(At(next_));
    record->record_bytes = static_cast<uint32_t>(need);
    record->captured_bytes = captured;
    next_ += need;
    return record;
  }
  static uint8_t* BytesOf(TapRecord* record) { return reinterpret_cast<uint8_t*>(record + 1); }
  // The reader will pass over it.
  static void Skip(TapRecord* record) { record->captured_bytes = kSkipped; }
  void Commit() { written_.store(next_, std::memory_order_release); }
  // Forgets what was appended since the last Commit.
  void Withdraw() { next_ = written_.load(std::memory_order_relaxed); }

  // Copies whole records to `out`, as many as there are and fit; how many bytes that were.
  size_t Read(std::span<uint8_t> out) {
    uint64_t at = read_.load(std::memory_order_relaxed), end = written_.load(std::memory_order_acquire);
    size_t used = 0;
    while (at != end) {
      Mark mark;
      std::memcpy(&mark, At(at), sizeof mark);
      if (mark.captured != kSkipped) {
        if (used + mark.bytes > out.size()) break;
        std::memcpy(out.data() + used, At(at), mark.bytes);
        used += mark.bytes;
      }
      at += mark.bytes;
    }
    read_.store(at, std::memory_order_release);
    return used;
  }

 private:
  static constexpr uint32_t kSkipped = 0xffffffff;
  // The first fields of a record; of a filler there is nothing else.
  struct Mark {
    uint32_t bytes, captured;
  };
  uint8_t* At(uint64_t position) { return &bytes_[position & (size_ - 1)]; }

  const uint64_t size_;
  std::unique_ptr<uint8_t[]> bytes_;
  uint64_t next_ = 0;  // the writer's own
  alignas(64) std::atomic<uint64_t> written_{0};
  alignas(64) std::atomic<uint64_t> read_{0};
};

}  // namespace twill
