// Which row of an array holds a prefix: a hash table of row numbers, made so that a
// lookup among a hundred thousand prefixes costs hardly more than among ten.
//
// A bucket is one cache line of twelve entries, each with an 8-bit tag of its hash;
// all tags of a bucket are compared at once. What a tag finds is a guess: the prefix
// itself stands in the row, which the caller reads anyway, so it is compared there.
// A packet thus touches two cache lines, and each can be on its way before it is
// needed:
//
//   Prefetch  hash, start loading the bucket
//   Guess     compare tags, start loading the row
//   Confirm   compare the prefix in the row; after a wrong guess (one in a hundred)
//             look up in full
//
// An entry is keyed by (masked address, prefix length). A lookup tries the lengths
// that are present, longest first. A cluster hands out subnets of one length, so
// that is one bucket whatever the number of peers; the worst case is one bucket per
// length in use, never one per peer.
//
// A prefix whose bucket is full stands in the next one with room. Every bucket that
// was passed over counts it: so a lookup knows where to stop, and a deletion moves
// nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/huge_page_allocator.h"
#include "base/prefetch.h"
#include "table/prefix_key.h"
#include "table/tag_match.h"

namespace twill {

// `Key` is KeyV4 or KeyV6. A row is anything with a member `IpPrefix subnet` whose
// host bits are zero. The array of rows is the caller's, who passes it in.
template <typename Key>
class PrefixIndex {
 public:
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr size_t kMaxRows = 1 << 24;

  // `seed` differs per process, so that nobody can aim at one bucket.
  explicit PrefixIndex(uint64_t seed) : seed_(seed | 1) {}

  size_t size() const { return size_; }
  size_t bytes() const { return buckets_.size() * sizeof(Bucket); }

  // The prefix of `rows[row]`, which must not be in the index.
  template <typename Row>
  void Insert(const Row* rows, uint32_t row) {
    if ((size_ + 1) * 4 > buckets_.size() * kTags * 3) Grow(rows);
    Place(rows, row);
    size_++;
    CountLength(rows[row].subnet.length, +1);
  }

  // The prefix of `rows[row]`, which must be in the index.
  template <typename Row>
  void Erase(const Row* rows, uint32_t row) {
    unsigned length = rows[row].subnet.length;
    Hash hash = HashOf(KeyOf(rows[row]), length);
    size_t b = hash.bucket;
    for (; !buckets_[b].Remove(hash.tag, Entry(length, row)); b = Next(b)) buckets_[b].passed--;
    size_--;
    CountLength(length, -1);
  }

  // The row of exactly this prefix, or kNone.
  template <typename Row>
  uint32_t Exact(const Row* rows, Key key, unsigned length) const {
    if (per_length_[length] == 0) return kNone;
    key = key & kMasks<Key>[length];
    uint32_t entry = First(key, length, [&](uint32_t e) { return KeyOf(rows[RowOf(e)]) == key; });
    return entry == kNone ? kNone : RowOf(entry);
  }

  // The row of the longest prefix that holds `address`, or kNone.
  template <typename Row>
  uint32_t Lookup(const Row* rows, Key address) const {
    for (size_t n = 0; n < lengths_in_use_; n++) {
      uint32_t row = Exact(rows, address, lengths_[n]);
      if (row != kNone) return row;
    }
    return kNone;
  }

  // The same in three steps.
  void Prefetch(Key address) const {
    for (size_t n = 0; n < lengths_in_use_; n++) {
      PrefetchLine(&buckets_[HashOf(address & kMasks<Key>[lengths_[n]], lengths_[n]).bucket]);
    }
  }
  template <typename Row>
  uint32_t Guess(const Row* rows, Key address) const {
    for (size_t n = 0; n < lengths_in_use_; n++) {
      unsigned length = lengths_[n];
      uint32_t guess = First(address & kMasks<Key>[length], length, [](uint32_t) { return true; });
      if (guess == kNone) continue;
      PrefetchLine(&rows[RowOf(guess)]);
      return guess;
    }
    return kNone;
  }
  template <typename Row>
  uint32_t Confirm(const Row* rows, Key address, uint32_t guess) const {
    if (guess == kNone) return kNone;  // no tag matched, so no prefix can
    uint32_t row = RowOf(guess);
    return KeyOf(rows[row]) == (address & kMasks<Key>[guess >> 24]) ? row : Lookup(rows, address);
  }

 private:
  struct Hash {
    size_t bucket;
    uint8_t tag;  // never 0
  };

  struct alignas(64) Bucket {
    alignas(16) std::array<uint8_t, kTags> tags{};  // 0: no entry
    uint32_t passed = 0;                    // entries of this or an earlier bucket that stand behind it
    std::array<uint32_t, kTags> entries{};  // (length << 24) | row

    uint32_t Match(uint8_t tag) const { return MatchTags(tags.data(), tag); }
    bool Add(uint8_t tag, uint32_t entry) {
      uint32_t room = Match(0);
      if (room == 0) return false;
      auto i = static_cast<size_t>(__builtin_ctz(room));
      tags[i] = tag;
      entries[i] = entry;
      return true;
    }
    bool Remove(uint8_t tag, uint32_t entry) {
      for (uint32_t m = Match(tag); m != 0; m &= m - 1) {
        auto i = static_cast<size_t>(__builtin_ctz(m));
        if (entries[i] != entry) continue;
        tags[i] = 0;
        return true;
      }
      return false;
    }
  };
  static_assert(sizeof(Bucket) == 64, "a bucket is one cache line");
  using Buckets = std::vector<Bucket, HugePageAllocator<Bucket>>;

  static uint32_t Entry(unsigned length, uint32_t row) { return (length << 24) | row; }
  static uint32_t RowOf(uint32_t entry) { return entry & (kMaxRows - 1); }
  template <typename Row>
  static Key KeyOf(const Row& row) {
    return Key::Load(row.subnet.address.bytes.data());
  }

  Hash HashOf(Key key, unsigned length) const {
    uint64_t h = key.Mix(seed_ + length * 2);
    auto tag = static_cast<uint8_t>(h >> (shift_ - 8));
    return {static_cast<size_t>(h >> shift_), static_cast<uint8_t>(tag + (tag == 0))};
  }
  size_t Next(size_t bucket) const { return (bucket + 1) & (buckets_.size() - 1); }

  // The first entry with the tag and the length of this prefix that `is_it` accepts, or kNone.
  template <typename IsIt>
  uint32_t First(Key key, unsigned length, IsIt is_it) const {
    Hash hash = HashOf(key, length);
    for (size_t b = hash.bucket;; b = Next(b)) {
      const Bucket& bucket = buckets_[b];
      for (uint32_t m = bucket.Match(hash.tag); m != 0; m &= m - 1) {
        uint32_t entry = bucket.entries[static_cast<size_t>(__builtin_ctz(m))];
        if (entry >> 24 == length && is_it(entry)) return entry;
      }
      if (bucket.passed == 0) return kNone;
    }
  }

  template <typename Row>
  void Place(const Row* rows, uint32_t row) {
    unsigned length = rows[row].subnet.length;
    Hash hash = HashOf(KeyOf(rows[row]), length);
    size_t b = hash.bucket;
    for (; !buckets_[b].Add(hash.tag, Entry(length, row)); b = Next(b)) buckets_[b].passed++;
  }

  template <typename Row>
  void Grow(const Row* rows) {
    Buckets old(buckets_.empty() ? 2 : buckets_.size() * 2);
    old.swap(buckets_);
    shift_ = 64 - static_cast<unsigned>(__builtin_ctzll(buckets_.size()));
    for (const Bucket& bucket : old) {
      for (size_t i = 0; i < kTags; i++) {
        if (bucket.tags[i] != 0) Place(rows, RowOf(bucket.entries[i]));
      }
    }
  }

  void CountLength(unsigned length, int change) {
    uint32_t before = per_length_[length];
    per_length_[length] = before + static_cast<uint32_t>(change);
    if (before != 0 && per_length_[length] != 0) return;
    lengths_in_use_ = 0;
    for (unsigned l = Key::kBits + 1; l-- > 0;) {
      if (per_length_[l] != 0) lengths_[lengths_in_use_++] = static_cast<uint8_t>(l);
    }
  }

  uint64_t seed_;
  unsigned shift_ = 0;
  size_t size_ = 0;
  size_t lengths_in_use_ = 0;
  std::array<uint8_t, Key::kBits + 1> lengths_{};  // longest first
  std::array<uint32_t, Key::kBits + 1> per_length_{};
  Buckets buckets_;
};

}  // namespace twill
