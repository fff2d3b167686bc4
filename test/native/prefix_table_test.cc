// The prefix table against a plain list: random prefixes in, out and looked up.
#include "table/prefix_table.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

using twill::KeyV4;
using twill::PrefixTable;

TEST_CASE("prefix table agrees with a plain list") {
  for (uint32_t seed = 1; seed <= 20; seed++) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    PrefixTable<KeyV4> table(seed);
    std::map<std::pair<uint32_t, unsigned>, uint32_t> list;
    for (uint32_t i = 0; i < 2000; i++) {
      unsigned length = random() % 33;
      KeyV4 key = KeyV4{static_cast<uint32_t>(random() & 0xff00ff0f)}.Masked(length);
      if (random() % 3 == 0) {
        uint32_t gone = table.Delete(key, length);
        auto at = list.find({key.value, length});
        CHECK(gone == (at == list.end() ? PrefixTable<KeyV4>::kNone : at->second));
        if (at != list.end()) list.erase(at);
      } else {
        table.Set(key, length, i);
        list[{key.value, length}] = i;
      }
    }
    CHECK(table.size() == list.size());
    for (int i = 0; i < 2000; i++) {
      KeyV4 address{static_cast<uint32_t>(random() & 0xff00ff0f)};
      uint32_t best = PrefixTable<KeyV4>::kNone;
      int best_length = -1;
      for (const auto& [prefix, value] : list) {
        bool holds = address.Masked(prefix.second).value == prefix.first;
        if (holds && static_cast<int>(prefix.second) > best_length) {
          best = value;
          best_length = static_cast<int>(prefix.second);
        }
      }
      CHECK(table.Lookup(address) == best);
    }
  }
}
