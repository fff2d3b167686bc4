// A tap copies what passes the workers into rings, for somebody to read. It never makes a worker wait: what
// does not fit is counted. All of its memory is taken when it opens.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "buffer/batch.h"
#include "tap/filter.h"
#include "tap/ring.h"

namespace twill {

struct TapConfig {
  TapFilter filter;
  uint32_t snap_bytes = 0;  // most of a payload that is kept
  size_t ring_bytes = 0;    // of each worker; a power of two
  // Of the encapsulation's header in front of an inner packet that was received.
  uint8_t encap_bytes = 0;
};

struct TapCounts {
  uint64_t kept = 0, lost = 0;  // packets that the filter wants
};

class Tap {
 public:
  static constexpr size_t kRingBytesMin = 64 * 1024, kRingBytesMax = 256 * 1024 * 1024;

  Tap(TapConfig config, size_t workers) : config_(std::move(config)) {
    for (size_t i = 0; i < workers; i++) lanes_.push_back(std::make_unique<Lane>(config_.ring_bytes));
  }

  // One reader at a time. Whole records, one worker's after the other's.
  size_t Read(std::span<uint8_t> out) {
    size_t used = 0;
    for (auto& lane : lanes_) used += lane->ring.Read(out.subspan(used));
    return used;
  }
  TapCounts Counts() const {
    TapCounts sum;
    for (const auto& lane : lanes_) {
      sum.kept += lane->kept.load(std::memory_order_relaxed);
      sum.lost += lane->lost.load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  friend class TapSweep;
  // What one worker writes.
  struct Lane {
    explicit Lane(size_t ring_bytes) : ring(ring_bytes) {}
    TapRing ring;
    uint32_t passed = 0;
    std::atomic<uint64_t> kept{0}, lost{0};
  };

  TapConfig config_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

// One batch under a tap, in a worker's hands:
//
//   Copy     a record for each packet, while its bytes are those on the wire
//   Judged   the path has spoken; what is dropped is about to leave the batch
//   Sent     the fate of all is known: the reader gets them
//
// Without a tap all of it does nothing.
class TapSweep {
 public:
  TapSweep(Tap* tap, size_t worker, TapDirection direction, uint64_t time_ns)
      : tap_(tap),
        lane_(tap == nullptr ? nullptr : tap->lanes_[worker].get()),
        direction_(direction),
        time_ns_(time_ns) {}

  explicit operator bool() const { return tap_ != nullptr; }
  // `local_port`: that a packet leaves from.
  template <typename LocalPort>
  void Copy(const Batch& batch, LocalPort local_port) {
    for (size_t i = 0; tap_ != nullptr && i < batch.size(); i++) CopyOne(batch[i], local_port(batch[i]));
  }
  void Judged(const Batch& batch);
  void Sent(const Batch& batch);

 private:
  // Wanted by the filter, so far; without a record there was no room.
  struct Entry {
    bool wanted;
    DropReason drop;
    TapRecord* record;
  };
  void CopyOne(const Packet& packet, uint16_t local_port);

  Tap* tap_;
  Tap::Lane* lane_;
  TapDirection direction_;
  uint64_t time_ns_;
  size_t count_ = 0, going_count_ = 0;
  // Unions: without a tap nobody asks for these.
  union {
    std::array<Entry, kBatchMax> entries_;
  };
  // Which of them are still in the batch, in its order.
  union {
    std::array<uint8_t, kBatchMax> going_;
  };
};

}  // namespace twill
