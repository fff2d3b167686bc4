// All that the packet path knows of other nodes.
//
// A row is a peer: a subnet, an endpoint, and the header that goes in front of
// every packet to it, cooked when the row is made. Rows are found by inner address
// (longest prefix). What arrives is known by its outer address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.h"
#include "base/peer_counters.h"
#include "table/prefix_table.h"

namespace twill {

using Mac = std::array<uint8_t, 6>;

// Room for a cooked header: VXLAN (8) and inner Ethernet (14).
inline constexpr size_t kCookedBytes = 22;

struct alignas(64) Peer {
  uint32_t header_len : 8 = 0;
  uint32_t number : 24 = kNoPeer;  // under which its packets are counted (base/peer_counters.h)
  std::array<uint8_t, kCookedBytes> header{};
  IpPrefix subnet;
  Endpoint endpoint;
};
static_assert(sizeof(Peer) == 64, "a row is one cache line");

class PeerTable {
 public:
  explicit PeerTable(uint64_t seed) : seed_(seed), peers_(seed), endpoints_(seed) {}

  // Inserts, or replaces the row with the same subnet.
  void Set(const Peer& peer);
  // Returns whether there was such a row.
  bool Delete(const IpPrefix& subnet);
  void Clear();
  // The row with exactly this subnet, or null.
  const Peer* Find(const IpPrefix& subnet) const { return peers_.Find(subnet); }
  // All rows, and places where none is: there the subnet's family is 0.
  std::span<const Peer> places() const { return peers_.places(); }

  // By inner address; the three steps are those of PrefixTable.
  const Peer* Lookup(const IpAddr& inner) const { return peers_.Lookup(inner.family, inner.bytes.data()); }
  void Prefetch(uint8_t family, const uint8_t* inner) const { peers_.Prefetch(family, inner); }
  uint32_t Guess(uint8_t family, const uint8_t* inner) const { return peers_.Guess(family, inner); }
  const Peer* Confirm(uint8_t family, const uint8_t* inner, uint32_t guess) const {
    return peers_.Confirm(family, inner, guess);
  }

  // An address that `rows` peers have as endpoint.
  struct KnownEndpoint {
    IpPrefix subnet;  // the address alone
    uint32_t rows = 0;
    uint32_t number = kNoPeer;  // of one of these peers; none where that one went and others stayed
  };
  // Null: no peer has this endpoint address.
  const KnownEndpoint* FindEndpoint(const IpAddr& outer) const {
    return endpoints_.Lookup(outer.family, outer.bytes.data());
  }
  bool IsEndpoint(const IpAddr& outer) const { return FindEndpoint(outer) != nullptr; }

  size_t size() const { return peers_.size(); }
  size_t bytes() const { return peers_.bytes() + endpoints_.bytes(); }
  uint64_t generation = 0;

 private:
  void AddEndpoint(const Peer& peer);
  void RemoveEndpoint(const Peer& peer);

  uint64_t seed_;
  PrefixTable<Peer> peers_;
  PrefixTable<KnownEndpoint> endpoints_;
};

}  // namespace twill
