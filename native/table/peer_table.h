// All that the packet path knows of other nodes.
//
// A row is a peer: a subnet, an endpoint, and the header that goes in front of
// every packet to it, cooked when the row is made. Rows are found by inner
// address (longest prefix) and, for what arrives, by outer address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/address.h"
#include "table/prefix_table.h"

namespace twill {

using Mac = std::array<uint8_t, 6>;

// Room for a cooked header: VXLAN (8) and inner Ethernet (14).
inline constexpr size_t kCookedBytes = 22;

struct alignas(64) Peer {
  std::array<uint8_t, kCookedBytes> header{};
  uint8_t header_len = 0;
  IpPrefix subnet;
  Endpoint endpoint;
};
static_assert(sizeof(Peer) == 64, "a row is one cache line");

class PeerTable {
 public:
  explicit PeerTable(uint64_t seed) : v4_(seed), v6_(seed), seed_(seed | 1) {}

  // Inserts, or replaces the row with the same subnet.
  void Set(const Peer& peer);
  // Returns whether there was such a row.
  bool Delete(const IpPrefix& subnet);
  void Clear();

  const Peer* Lookup(const IpAddr& inner) const {
    return inner.family == 4 ? At(v4_.Lookup(KeyV4::Load(inner.bytes.data())))
                             : At(v6_.Lookup(KeyV6::Load(inner.bytes.data())));
  }
  // The same from bytes of a packet, in the two steps that hide memory latency.
  const Peer* LookupV4(const uint8_t* address) const { return At(v4_.Lookup(KeyV4::Load(address))); }
  const Peer* LookupV6(const uint8_t* address) const { return At(v6_.Lookup(KeyV6::Load(address))); }
  void PrefetchV4(const uint8_t* address) const { v4_.Prefetch(KeyV4::Load(address)); }
  void PrefetchV6(const uint8_t* address) const { v6_.Prefetch(KeyV6::Load(address)); }

  // Whether this is the endpoint address of some peer.
  bool IsEndpoint(const IpAddr& outer) const;

  size_t size() const { return v4_.size() + v6_.size(); }
  size_t bytes() const;
  uint64_t generation = 0;

 private:
  static constexpr uint32_t kNone = PrefixTable<KeyV4>::kNone;
  const Peer* At(uint32_t index) const { return index == kNone ? nullptr : &peers_[index]; }

  // The endpoint set holds row numbers; several rows may share an endpoint.
  size_t EndpointHome(const IpAddr& a) const;
  void EndpointInsert(uint32_t index);
  void EndpointErase(uint32_t index);

  PrefixTable<KeyV4> v4_;
  PrefixTable<KeyV6> v6_;
  uint64_t seed_;
  std::vector<Peer> peers_;
  std::vector<uint32_t> unused_;
  std::vector<uint32_t> endpoints_;  // open addressed, kNone = empty
  size_t endpoint_count_ = 0;
};

}  // namespace twill
