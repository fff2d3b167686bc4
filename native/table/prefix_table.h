// Longest-prefix match in one open-addressed hash table.
//
// An entry is keyed by (masked address, prefix length). A lookup tries the
// lengths that are present, longest first, one probe each. A cluster hands out
// subnets of one length, so that is one probe whatever the number of peers; the
// worst case is one probe per length in use, never one per peer.
//
//   lengths in use: 25, 24        lookup 10.244.1.7
//     probe (10.244.1.0, 25) -> miss
//     probe (10.244.1.0, 24) -> peer 3
//
// IPv4 and IPv6 share this template; test/native compares it with a plain list.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/byte_order.h"

namespace twill {

// An address as an integer in host order, with what the table needs of it.
struct KeyV4 {
  static constexpr unsigned kBits = 32;
  uint32_t value = 0;

  static KeyV4 Load(const uint8_t* p) { return {LoadBe32(p)}; }
  KeyV4 Masked(unsigned length) const { return {length == 0 ? 0 : value & (0xffffffffu << (32 - length))}; }
  uint64_t Mix(uint64_t seed) const { return (value ^ seed) * 0x9e3779b97f4a7c15u; }
  friend bool operator==(const KeyV4&, const KeyV4&) = default;
};

struct KeyV6 {
  static constexpr unsigned kBits = 128;
  uint64_t high = 0, low = 0;

  static KeyV6 Load(const uint8_t* p) {
    return {SwapToBig(LoadRaw<uint64_t>(p)), SwapToBig(LoadRaw<uint64_t>(p + 8))};
  }
  KeyV6 Masked(unsigned length) const {
    if (length == 0) return {0, 0};
    if (length <= 64) return {high & (~uint64_t{0} << (64 - length)), 0};
    return {high, low & (~uint64_t{0} << (128 - length))};
  }
  uint64_t Mix(uint64_t seed) const {
    uint64_t h = (high ^ seed) * 0x9e3779b97f4a7c15u;
    return (h ^ (h >> 29) ^ low) * 0xbf58476d1ce4e5b9u;
  }
  friend bool operator==(const KeyV6&, const KeyV6&) = default;
};

template <typename Key>
class PrefixTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr uint32_t kMaxValue = (1u << 24) - 2;

  // `seed` differs per process, so that nobody can aim at one bucket.
  explicit PrefixTable(uint64_t seed = 0) : seed_(seed | 1) {}

  size_t size() const { return size_; }
  size_t bytes() const { return entries_.size() * sizeof(Entry); }

  // Inserts or replaces.
  void Set(Key key, unsigned length, uint32_t value) {
    key = key.Masked(length);
    if ((size_ + 1) * 2 > entries_.size()) Rehash(entries_.empty() ? 16 : entries_.size() * 2);
    size_t i = Find(key, length);
    if (entries_[i].empty()) {
      size_++;
      CountLength(length, +1);
    }
    entries_[i] = {key, Tag(length, value)};
  }

  // Returns the value that was there, or kNone.
  uint32_t Delete(Key key, unsigned length) {
    if (entries_.empty()) return kNone;
    key = key.Masked(length);
    size_t hole = Find(key, length);
    if (entries_[hole].empty()) return kNone;
    uint32_t value = entries_[hole].value();
    // Close the gap: move back every later entry of the run that may stand here.
    size_t mask = entries_.size() - 1;
    for (size_t i = (hole + 1) & mask; !entries_[i].empty(); i = (i + 1) & mask) {
      size_t home = Home(entries_[i].key, entries_[i].length());
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        entries_[hole] = entries_[i];
        hole = i;
      }
    }
    entries_[hole] = Entry{};
    size_--;
    CountLength(length, -1);
    return value;
  }

  uint32_t Exact(Key key, unsigned length) const {
    if (entries_.empty()) return kNone;
    const Entry& e = entries_[Find(key.Masked(length), length)];
    return e.empty() ? kNone : e.value();
  }

  uint32_t Lookup(Key address) const {
    for (size_t n = 0; n < lengths_in_use_; n++) {
      unsigned length = lengths_[n];
      const Entry& e = entries_[Find(address.Masked(length), length)];
      if (!e.empty()) return e.value();
    }
    return kNone;
  }

  // Starts loading the first bucket that Lookup will touch.
  void Prefetch(Key address) const {
    if (lengths_in_use_ == 0) return;
    unsigned length = lengths_[0];
    __builtin_prefetch(&entries_[Home(address.Masked(length), length)]);
  }

 private:
  struct Entry {
    Key key{};
    uint32_t tag = 0;  // 0: empty; else (length << 24) + value + 1

    bool empty() const { return tag == 0; }
    uint32_t value() const { return (tag & 0xffffff) - 1; }
    unsigned length() const { return tag >> 24; }
  };
  static uint32_t Tag(unsigned length, uint32_t value) { return (length << 24) + value + 1; }

  size_t Home(Key key, unsigned length) const {
    return static_cast<size_t>(key.Mix(seed_ + length * 2) >> shift_);
  }

  // The entry of this prefix, or the empty one where it would stand.
  size_t Find(Key key, unsigned length) const {
    size_t mask = entries_.size() - 1;
    size_t i = Home(key, length);
    while (!entries_[i].empty() && !(entries_[i].length() == length && entries_[i].key == key)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  void Rehash(size_t capacity) {
    std::vector<Entry> old(capacity);
    old.swap(entries_);
    shift_ = 64 - static_cast<unsigned>(__builtin_ctzll(capacity));
    for (const Entry& e : old) {
      if (!e.empty()) entries_[Find(e.key, e.length())] = e;
    }
  }

  void CountLength(unsigned length, int change) {
    uint32_t before = per_length_[length];
    per_length_[length] = before + static_cast<uint32_t>(change);
    if (before != 0 && per_length_[length] != 0) return;
    lengths_in_use_ = 0;
    for (int l = Key::kBits; l >= 0; l--) {
      if (per_length_[static_cast<size_t>(l)]) lengths_[lengths_in_use_++] = static_cast<uint8_t>(l);
    }
  }

  uint64_t seed_;
  unsigned shift_ = 0;
  size_t size_ = 0;
  size_t lengths_in_use_ = 0;
  std::array<uint8_t, Key::kBits + 1> lengths_{};
  std::array<uint32_t, Key::kBits + 1> per_length_{};
  std::vector<Entry> entries_;
};

}  // namespace twill
