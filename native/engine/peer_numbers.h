// Gives each row of the peer table its number among the counters, the same in both tables of the mailbox.
//
// A number whose row went is not given to another at once: packets of a batch in hand may still be counted
// under it. By the next change no worker knows it any more; then its counts go to `departed`, it starts from
// zero, and may be given again.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/peer_counters.h"

namespace twill {

class PeerNumbers {
 public:
  // One set of counters for each worker.
  explicit PeerNumbers(std::span<PeerCounters> counters) : counters_(counters) {}

  // For the row of this subnet. kNoPeer where there are none left.
  uint32_t Take(const IpPrefix& subnet = {}) {
    uint32_t number = kNoPeer;
    if (!free_.empty()) {
      number = free_.back();
      free_.pop_back();
    } else if (unused_ < kPeerNumbers) {
      number = unused_++;
    }
    for (PeerCounters& of_worker : counters_) of_worker.Reserve(number);
    if (subnets_.size() <= number) subnets_.resize(number + 1);
    if (number != kNoPeer) subnets_[number] = subnet;
    return number;
  }
  void Return(uint32_t number) {
    if (number != kNoPeer) returned_.push_back(number);
  }
  // No worker uses a table from before the last change any more. Returns the numbers that may now go to other
  // peers, sorted; good until the next call.
  std::span<const uint32_t> Recycle() {
    for (uint32_t number : returned_) {
      AddTo(departed_, Read(number));
      for (PeerCounters& of_worker : counters_) of_worker.Reset(number);
    }
    free_.insert(free_.end(), returned_.rbegin(), returned_.rend());
    recycled_.clear();
    recycled_.swap(returned_);
    std::sort(recycled_.begin(), recycled_.end());
    return recycled_;
  }

  // The subnet whose row has this number, or had it last; family 0: none yet.
  IpPrefix SubnetOf(uint32_t number) const {
    return number < subnets_.size() ? subnets_[number] : IpPrefix{};
  }

  PeerTotals Read(uint32_t number) const {
    PeerTotals totals{};
    for (const PeerCounters& of_worker : counters_) AddTo(totals, of_worker.Read(number));
    return totals;
  }
  // Of everything that no row of the table accounts for now.
  PeerTotals ReadOthers() const {
    PeerTotals totals = departed_;
    AddTo(totals, Read(kNoPeer));
    for (uint32_t number : returned_) AddTo(totals, Read(number));
    return totals;
  }

 private:
  std::span<PeerCounters> counters_;
  uint32_t unused_ = kNoPeer + 1;
  std::vector<uint32_t> free_, returned_, recycled_;
  std::vector<IpPrefix> subnets_;  // by number
  PeerTotals departed_{};
};

}  // namespace twill
