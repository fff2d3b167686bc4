#include "table/peer_table.h"

#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

using test::Address;
using test::Prefix;

Peer Row(const char* subnet, const char* endpoint, uint16_t port = 8472) {
  Peer peer;
  peer.subnet = Prefix(subnet);
  peer.endpoint = {Address(endpoint), port};
  return peer;
}

}  // namespace

TEST_CASE("peer table: set, replace, delete, clear") {
  PeerTable table(1);
  CHECK(table.Lookup(Address("10.5.2.1")) == nullptr);
  CHECK_FALSE(table.IsEndpoint(Address("192.0.2.2")));
  table.Set(Row("10.5.2.0/24", "192.0.2.2"));
  table.Set(Row("10.5.2.128/25", "192.0.2.3"));
  table.Set(Row("fd00:5:0:2::/64", "2001:db8::2"));
  CHECK(table.size() == 3);
  CHECK(table.Lookup(Address("10.5.2.1"))->endpoint.address == Address("192.0.2.2"));
  CHECK(table.Lookup(Address("10.5.2.200"))->endpoint.address == Address("192.0.2.3"));
  CHECK(table.Lookup(Address("fd00:5:0:2::9"))->endpoint.address == Address("2001:db8::2"));

  // A replaced row takes its endpoint with it.
  table.Set(Row("10.5.2.0/24", "192.0.2.9", 9000));
  CHECK(table.size() == 3);
  CHECK(table.Lookup(Address("10.5.2.1"))->endpoint.port == 9000);
  CHECK_FALSE(table.IsEndpoint(Address("192.0.2.2")));
  CHECK(table.IsEndpoint(Address("192.0.2.9")));

  CHECK(table.Delete(Prefix("10.5.2.128/25")));
  CHECK_FALSE(table.Delete(Prefix("10.5.2.128/25")));
  CHECK_FALSE(table.Delete(Prefix("10.5.2.0/25")));
  CHECK(table.Lookup(Address("10.5.2.200"))->endpoint.port == 9000);
  CHECK_FALSE(table.IsEndpoint(Address("192.0.2.3")));

  table.generation = 7;
  table.Clear();
  CHECK(table.size() == 0);
  CHECK(table.generation == 7);
  CHECK(table.Lookup(Address("10.5.2.1")) == nullptr);
  CHECK_FALSE(table.IsEndpoint(Address("192.0.2.9")));
  table.Set(Row("10.5.2.0/24", "192.0.2.2"));
  CHECK(table.IsEndpoint(Address("192.0.2.2")));
}

TEST_CASE("peer table: several rows on one endpoint: known until the last one goes") {
  PeerTable table(1);
  table.Set(Row("10.5.2.0/24", "192.0.2.2"));
  table.Set(Row("10.5.3.0/24", "192.0.2.2", 9000));  // whatever the port
  table.Set(Row("fd00:5:0:2::/64", "192.0.2.2"));
  table.Set(Row("10.5.2.0/24", "192.0.2.2"));  // replaced by its like
  CHECK(table.Delete(Prefix("10.5.2.0/24")));
  CHECK(table.IsEndpoint(Address("192.0.2.2")));
  table.Set(Row("10.5.3.0/24", "192.0.2.3"));  // moved away
  CHECK(table.IsEndpoint(Address("192.0.2.2")));
  CHECK(table.Delete(Prefix("fd00:5:0:2::/64")));
  CHECK_FALSE(table.IsEndpoint(Address("192.0.2.2")));
  CHECK(table.IsEndpoint(Address("192.0.2.3")));
}

TEST_CASE("peer table: an IPv4 endpoint is not the IPv6 address with the same bytes") {
  PeerTable table(1);
  table.Set(Row("10.5.2.0/24", "192.0.2.2"));
  CHECK_FALSE(table.IsEndpoint(Address("c000:202::")));
  table.Set(Row("10.5.3.0/24", "c000:202::"));
  CHECK(table.Delete(Prefix("10.5.2.0/24")));
  CHECK_FALSE(table.IsEndpoint(Address("192.0.2.2")));
  CHECK(table.IsEndpoint(Address("c000:202::")));
  CHECK_FALSE(table.IsEndpoint(IpAddr{}));
}

TEST_CASE("peer table: the rows and the set of endpoints agree with two maps, through any changes") {
  TWILL_RANDOM(random);
  PeerTable table(random());
  std::map<uint32_t, uint32_t> rows;  // subnet to endpoint
  auto subnet = [](uint32_t n) {
    uint8_t bytes[4];
    StoreBe32(bytes, (10u << 24) + (n << 8));
    return IpPrefix{IpAddr::V4(bytes), 24};
  };
  auto endpoint = [](uint32_t n) {
    uint8_t bytes[16] = {0x20, 1};
    StoreBe32(bytes + 4, n);
    return n % 2 ? IpAddr::V4(bytes + 4) : IpAddr::V6(bytes);
  };
  for (size_t i = 0; i < 20'000; i++) {
    auto n = static_cast<uint32_t>(random.Below(300)), e = static_cast<uint32_t>(random.Below(100));
    if (random.OneIn(2000)) {
      table.Clear();
      rows.clear();
    } else if (random.OneIn(3)) {
      REQUIRE(table.Delete(subnet(n)) == (rows.erase(n) != 0));
    } else {
      Peer peer;
      peer.subnet = subnet(n);
      peer.endpoint = {endpoint(e), 1};
      table.Set(peer);
      rows[n] = e;
    }
    REQUIRE(table.size() == rows.size());
    const Peer* found = table.Lookup(subnet(n).address);
    REQUIRE((found != nullptr) == rows.contains(n));
    if (found != nullptr) REQUIRE(found->endpoint.address == endpoint(rows[n]));
    if (i % 50 != 0) continue;
    std::vector<bool> known(100);
    for (const auto& [_, used] : rows) known[used] = true;
    for (uint32_t k = 0; k < 100; k++) REQUIRE(table.IsEndpoint(endpoint(k)) == known[k]);
  }
}

TEST_CASE("peer table: 20,000 rows on one endpoint cost no more than on as many") {
  PeerTable table(1);
  for (uint32_t n = 0; n < 20'000; n++) {
    Peer peer;
    uint8_t bytes[4];
    StoreBe32(bytes, n << 8);
    peer.subnet = {IpAddr::V4(bytes), 24};
    peer.endpoint = {Address("192.0.2.2"), 1};
    table.Set(peer);
  }
  CHECK(table.IsEndpoint(Address("192.0.2.2")));
  for (uint32_t n = 0; n < 20'000; n++) {
    uint8_t bytes[4];
    StoreBe32(bytes, n << 8);
    REQUIRE(table.Delete({IpAddr::V4(bytes), 24}));
  }
  CHECK_FALSE(table.IsEndpoint(Address("192.0.2.2")));
}

}  // namespace twill
