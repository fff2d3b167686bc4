// Rows by prefix, IPv4 and IPv6: found by the longest prefix that holds an address,
// or by the prefix itself. A row is anything with a member `IpPrefix subnet`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/huge_page_allocator.h"
#include "table/prefix_index.h"

namespace twill {

template <typename Row>
class PrefixTable {
 public:
  static constexpr uint32_t kNone = PrefixIndex<KeyV4>::kNone;

  explicit PrefixTable(uint64_t seed) : v4_(seed), v6_(seed) {}

  size_t size() const { return v4_.size() + v6_.size(); }
  size_t bytes() const { return v4_.bytes() + v6_.bytes() + rows_.capacity() * sizeof(Row); }

  // Inserts, or replaces the row with the same subnet. A row's place stays the same until it is erased;
  // false: there are 16 million rows.
  bool Set(const Row& row) {
    uint32_t place = Place(row.subnet);
    bool is_new = place == kNone;
    if (is_new) place = NewPlace();
    if (place == kNone) return false;
    rows_[place] = row;
    rows_[place].subnet = row.subnet.Masked();
    if (!is_new) return true;
    if (row.subnet.address.family == 4) {
      v4_.Insert(rows_.data(), place);
    } else {
      v6_.Insert(rows_.data(), place);
    }
    return true;
  }

  // The row with exactly this subnet.
  const Row* Find(const IpPrefix& subnet) const { return At(Place(subnet)); }

  // In no order; where no row is, the subnet's family is 0.
  std::span<const Row> places() const { return rows_; }

  // Returns whether there was such a row.
  bool Erase(const IpPrefix& subnet) {
    uint32_t place = Place(subnet);
    if (place == kNone) return false;
    if (subnet.address.family == 4) {
      v4_.Erase(rows_.data(), place);
    } else {
      v6_.Erase(rows_.data(), place);
    }
    rows_[place] = Row{};
    unused_.push_back(place);
    return true;
  }

  // The row with the longest prefix that holds this address; null: none does.
  const Row* Lookup(uint8_t family, const uint8_t* address) const {
    return At(family == 4 ? v4_.Lookup(rows_.data(), KeyV4::Load(address))
                          : v6_.Lookup(rows_.data(), KeyV6::Load(address)));
  }

  // The same in three steps that hide the latency of memory: each for a whole batch before the next. What
  // Guess returns is for Confirm; the table must not change in between.
  void Prefetch(uint8_t family, const uint8_t* address) const {
    if (family == 4) {
      v4_.Prefetch(KeyV4::Load(address));
    } else {
      v6_.Prefetch(KeyV6::Load(address));
    }
  }
  uint32_t Guess(uint8_t family, const uint8_t* address) const {
    return family == 4 ? v4_.Guess(rows_.data(), KeyV4::Load(address))
                       : v6_.Guess(rows_.data(), KeyV6::Load(address));
  }
  const Row* Confirm(uint8_t family, const uint8_t* address, uint32_t guess) const {
    return At(family == 4 ? v4_.Confirm(rows_.data(), KeyV4::Load(address), guess)
                          : v6_.Confirm(rows_.data(), KeyV6::Load(address), guess));
  }

 private:
  const Row* At(uint32_t place) const { return place == kNone ? nullptr : &rows_[place]; }
  uint32_t Place(const IpPrefix& subnet) const {
    const uint8_t* a = subnet.address.bytes.data();
    return subnet.address.family == 4 ? v4_.Exact(rows_.data(), KeyV4::Load(a), subnet.length)
                                      : v6_.Exact(rows_.data(), KeyV6::Load(a), subnet.length);
  }

  uint32_t NewPlace() {
    if (!unused_.empty()) {
      uint32_t place = unused_.back();
      unused_.pop_back();
      return place;
    }
    if (rows_.size() == PrefixIndex<KeyV4>::kMaxRows) return kNone;
    rows_.emplace_back();
    return static_cast<uint32_t>(rows_.size() - 1);
  }

  PrefixIndex<KeyV4> v4_;
  PrefixIndex<KeyV6> v6_;
  std::vector<Row, HugePageAllocator<Row>> rows_;
  std::vector<uint32_t> unused_;  // places in `rows_`
};

}  // namespace twill
