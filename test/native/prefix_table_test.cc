// The prefix table against a plain list, at the scale of kernel WireGuard's own test
// of its tries (drivers/net/wireguard/selftest/allowedips.c): 2,000 peers, 40,400
// prefixes of every length in each family, and the peers removed until none is left.
#include "table/prefix_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

struct Row {
  IpPrefix subnet;
  uint32_t value = 0;
};
using Table = PrefixTable<Row>;

bool SameRow(const Row* row, const Row* wanted) {
  if (row == nullptr || wanted == nullptr) return row == wanted;
  return row->value == wanted->value && row->subnet == wanted->subnet;
}

// Prefixes as integers: quick enough to walk through for every lookup.
using Integer = unsigned __int128;
Integer Value(const IpAddr& address) {
  Integer value = 0;
  for (size_t i = 0; i < 16; i++) value = value << 8 | address.bytes[i];
  return value;
}

class List {
 public:
  void Set(const Row& row) {
    Item item = ItemOf(row);
    auto same = std::find_if(items_.begin(), items_.end(), [&](const Item& i) { return i.Is(item); });
    if (same == items_.end()) {
      items_.push_back(item);
    } else {
      *same = item;
    }
  }
  // Where it is known to be new.
  void Add(const Row& row) { items_.push_back(ItemOf(row)); }
  bool Erase(const IpPrefix& prefix) {
    Item item = ItemOf({prefix, 0});
    return std::erase_if(items_, [&](const Item& i) { return i.Is(item); }) != 0;
  }
  template <typename Which>
  std::vector<Row> EraseIf(Which which) {
    std::vector<Row> gone;
    std::erase_if(items_, [&](const Item& i) {
      if (which(i.row)) gone.push_back(i.row);
      return which(i.row);
    });
    return gone;
  }
  const Row* Lookup(const IpAddr& address) const {
    Integer value = Value(address);
    const Item* best = nullptr;
    for (const Item& i : items_) {
      if (i.row.subnet.address.family != address.family) continue;
      if ((value & i.mask) == i.value && (best == nullptr || i.row.subnet.length > best->row.subnet.length)) {
        best = &i;
      }
    }
    return best == nullptr ? nullptr : &best->row;
  }
  size_t size() const { return items_.size(); }
  const Row& operator[](size_t i) const { return items_[i].row; }

 private:
  struct Item {
    Integer value, mask;
    Row row;
    bool Is(const Item& other) const { return row.subnet == other.row.subnet; }
  };
  static Item ItemOf(Row row) {
    unsigned length = row.subnet.length;
    Integer mask = length == 0 ? 0 : ~Integer{0} << (128 - length);
    row.subnet = row.subnet.Masked();
    return {Value(row.subnet.address), mask, row};
  }
  std::vector<Item> items_;
};

IpAddr RandomAddress(test::Random& random, uint8_t family) {
  auto bytes = random.Bytes(16);
  return family == 4 ? IpAddr::V4(bytes.data()) : IpAddr::V6(bytes.data());
}

// The leading `kept` bits of `address`, the rest at random.
IpAddr Mutated(test::Random& random, const IpAddr& address, unsigned kept) {
  IpAddr out = RandomAddress(random, address.family);
  for (unsigned bit = 0; bit < kept; bit++) {
    auto mask = static_cast<uint8_t>(0x80 >> bit % 8);
    out.bytes[bit / 8] = static_cast<uint8_t>((out.bytes[bit / 8] & ~mask) | (address.bytes[bit / 8] & mask));
  }
  return out;
}

// The three steps for a batch, as the packet path takes them, and the single call.
size_t Disagreements(const Table& table, const List& list, const std::vector<IpAddr>& addresses) {
  std::vector<uint32_t> guess;
  for (const IpAddr& a : addresses) table.Prefetch(a.family, a.bytes.data());
  for (const IpAddr& a : addresses) guess.push_back(table.Guess(a.family, a.bytes.data()));
  size_t wrong = 0;
  for (size_t i = 0; i < addresses.size(); i++) {
    const IpAddr& a = addresses[i];
    const Row* wanted = list.Lookup(a);
    wrong += !SameRow(table.Confirm(a.family, a.bytes.data(), guess[i]), wanted);
    wrong += !SameRow(table.Lookup(a.family, a.bytes.data()), wanted);
  }
  return wrong;
}

}  // namespace

TEST_CASE("prefix table: WireGuard's random test against a plain list") {
  constexpr uint32_t kPeers = 2000;
  constexpr size_t kRandom = 400, kMutations = 100;
  const size_t lookups = test::Times(50'000);
  for (uint8_t family : {4, 6}) {
    TWILL_RANDOM(random);
    CAPTURE(family);
    unsigned bits = family == 4 ? 32 : 128;
    Table table(random());
    List list;
    // Lists are slow to search for duplicates: those are left to the next test.
    auto add = [&](const IpAddr& address, unsigned length) {
      Row row{{address, static_cast<uint8_t>(length)}, static_cast<uint32_t>(random.Below(kPeers))};
      if (table.Find(row.subnet) != nullptr) return;
      REQUIRE(table.Set(row));
      list.Add(row);
    };
    for (size_t i = 0; i < kRandom; i++) {
      IpAddr address = RandomAddress(random, family);
      add(address, static_cast<unsigned>(1 + random.Below(bits)));
      for (size_t j = 0; j < kMutations; j++) {
        add(Mutated(random, address, static_cast<unsigned>(random.Below(bits))),
            static_cast<unsigned>(1 + random.Below(bits)));
      }
    }
    CHECK(table.size() == list.size());
    CHECK(list.size() > kRandom * kMutations / 2);  // the others were met twice
    auto draw = [&] {
      if (random.OneIn(2) || list.size() == 0) return RandomAddress(random, family);
      const IpPrefix& near = list[random.Below(list.size())].subnet;
      return Mutated(random, near.address, near.length);
    };
    auto check = [&](size_t count) {
      std::vector<IpAddr> addresses;
      for (size_t i = 0; i < count; i++) addresses.push_back(draw());
      REQUIRE(Disagreements(table, list, addresses) == 0);
    };
    for (size_t i = 0; i < lookups; i += 64) check(64);

    // Peer by peer until none is left.
    for (uint32_t peer = 0; peer < kPeers; peer++) {
      auto gone = list.EraseIf([peer](const Row& row) { return row.value == peer; });
      for (const Row& row : gone) REQUIRE(table.Erase(row.subnet));
      if (peer % 20 == 0) check(8);
    }
    CHECK(list.size() == 0);
    CHECK(table.size() == 0);
    check(64);
  }
}

TEST_CASE("prefix table: set, replace and delete in any order, few addresses, every length") {
  TWILL_RANDOM(random);
  for (int round = 0; round < 20; round++) {
    Table table(random());
    List list;
    for (uint32_t i = 0; i < 2000; i++) {
      uint8_t family = random.OneIn(2) ? 4 : 6;
      IpAddr address{family, {}};
      address.bytes[0] = static_cast<uint8_t>(random.Below(2));
      address.bytes[family == 4 ? 3 : 15] = static_cast<uint8_t>(random.Below(16));
      Row row{{address, static_cast<uint8_t>(random.Below(family == 4 ? 33 : 129))}, i};
      if (random.OneIn(3)) {
        REQUIRE(table.Erase(row.subnet) == list.Erase(row.subnet));
      } else {
        REQUIRE(table.Set(row));
        list.Set(row);
      }
      const Row* found = table.Find(row.subnet);
      REQUIRE((found == nullptr || found->value == i));
      REQUIRE(table.size() == list.size());
      if (i % 20 != 0) continue;
      std::vector<IpAddr> addresses;
      for (int n = 0; n < 8; n++)
        addresses.push_back(Mutated(random, address, static_cast<unsigned>(random.Below(32))));
      REQUIRE(Disagreements(table, list, addresses) == 0);
    }
  }
}

TEST_CASE("prefix table: 100,000 subnets in and out leave it as small as before") {
  TWILL_RANDOM(random);
  Table table(random());
  auto subnet = [](uint32_t n) {
    uint8_t bytes[4];
    StoreBe32(bytes, n << 8);
    return IpPrefix{IpAddr::V4(bytes), 24};
  };
  const uint32_t count = 100'000;
  for (uint32_t n = 0; n < count; n++) REQUIRE(table.Set({subnet(n), n}));
  size_t bytes = table.bytes();
  CHECK(bytes < count * (sizeof(Row) * 2 + 11));
  // As leases come and go: many more than fit at once.
  for (uint32_t n = 0; n < 5 * count; n++) {
    REQUIRE(table.Erase(subnet(n)));
    REQUIRE(table.Set({subnet(n + count), n}));
  }
  CHECK(table.size() == count);
  CHECK(table.bytes() == bytes);
  size_t wrong = 0;
  for (uint32_t n = 0; n < 6 * count; n++) {
    const Row* row = table.Lookup(4, subnet(n).address.bytes.data());
    wrong += (row != nullptr) != (n >= 5 * count);
  }
  CHECK(wrong == 0);
}

TEST_CASE("prefix table: an empty one and the default route") {
  Table table(1);
  IpAddr address = test::Address("10.1.2.3");
  CHECK(table.Lookup(4, address.bytes.data()) == nullptr);
  CHECK(table.Confirm(4, address.bytes.data(), table.Guess(4, address.bytes.data())) == nullptr);
  CHECK(table.Find(test::Prefix("0.0.0.0/0")) == nullptr);
  CHECK_FALSE(table.Erase(test::Prefix("0.0.0.0/0")));
  REQUIRE(table.Set({test::Prefix("10.1.2.3/0"), 7}));  // host bits are cleared
  CHECK(table.Find(test::Prefix("0.0.0.0/0"))->subnet == test::Prefix("0.0.0.0/0"));
  CHECK(table.Lookup(4, address.bytes.data())->value == 7);
  CHECK(table.Lookup(6, test::Address("::1").bytes.data()) == nullptr);
  CHECK(table.Erase(test::Prefix("0.0.0.0/0")));
  CHECK(table.Lookup(4, address.bytes.data()) == nullptr);
}

TEST_CASE("prefix table: tags are matched alike with and without SIMD") {
  TWILL_RANDOM(random);
  for (int i = 0; i < 10'000; i++) {
    alignas(16) uint8_t tags[16];
    for (uint8_t& tag : tags) tag = static_cast<uint8_t>(random.Below(4) * 85);
    auto wanted = static_cast<uint8_t>(random.Below(4) * 85);
    REQUIRE(MatchTags(tags, wanted) == MatchTagsPlainly(tags, wanted));
  }
}

}  // namespace twill
