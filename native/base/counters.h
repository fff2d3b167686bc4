// Counters with an identity that holds for every reader at every moment:
//
//     received = delivered + sum of drops          (per direction, per worker)
//
// A worker tallies a batch in plain integers and publishes the whole tally at
// once under a sequence lock; a reader that meets a half-published tally reads
// again. Packets in flight inside a batch are therefore in no counter yet.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/peer_counters.h"

namespace twill {

enum class DropReason : uint8_t {
#define DROP(enumerator, name, direction, meaning) enumerator,
#include "base/drop_reasons.def"
#undef DROP
  kCount,
  kNone = kCount,  // the packet goes on
};

inline constexpr size_t kDropReasons = static_cast<size_t>(DropReason::kCount);

const char* DropReasonName(DropReason reason);
bool DropReasonIn(DropReason reason, char direction);  // direction 'E' or 'D'

// What one batch did in one direction.
struct Tally {
  uint64_t received = 0;
  uint64_t received_bytes = 0;
  uint64_t delivered = 0;
  uint64_t delivered_bytes = 0;
  uint64_t icmp_sent = 0;
  uint64_t icmp_suppressed = 0;
  std::array<uint64_t, kDropReasons> drops{};
  bool dropped = false;  // whether `drops` holds anything, to skip the sweep
  // Where drops are counted by peer too, and as what; null: nowhere.
  PeerCounters* peers = nullptr;
  PeerCount peer_drops = PeerCount::kEncapDrops;

  void Drop(DropReason reason, uint64_t n = 1, uint32_t peer_number = kNoPeer) {
    drops[static_cast<size_t>(reason)] += n;
    dropped = true;
    if (peers != nullptr) peers->Add(peer_number, peer_drops, n);
  }
  void Add(const Tally& other);
  uint64_t TotalDrops() const;
};

// One writer (the worker), any number of readers.
class alignas(64) Counters {
 public:
  void Publish(const Tally& tally);
  Tally Read() const;

 private:
  static constexpr size_t kFixed = 6;
  std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kFixed + kDropReasons> values_{};
};

}  // namespace twill
