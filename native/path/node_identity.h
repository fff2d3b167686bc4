// Who this node is, to the packet path. Fixed while an engine is open.
#pragma once

#include <cstdint>

#include "base/address.h"
#include "table/prefix_table.h"

namespace twill {

class NodeIdentity {
 public:
  // Packets for these are ours, and nobody else may send from them: our subnets,
  // and our own addresses as /32 and /128.
  void AddOwn(const IpPrefix& prefix) {
    const uint8_t* a = prefix.address.bytes.data();
    if (prefix.address.family == 4) {
      own_v4_.Set(KeyV4::Load(a), prefix.length, 0);
    } else {
      own_v6_.Set(KeyV6::Load(a), prefix.length, 0);
    }
  }
  bool Owns(uint8_t family, const uint8_t* address) const {
    return family == 4 ? own_v4_.Lookup(KeyV4::Load(address)) != PrefixTable<KeyV4>::kNone
                       : own_v6_.Lookup(KeyV6::Load(address)) != PrefixTable<KeyV6>::kNone;
  }

  IpAddr icmp_source_v4, icmp_source_v6;  // of the ICMP errors we send; family 0: send none
  uint32_t inner_mtu_bytes = 1450;        // largest inner packet
  uint16_t cluster_port = 0;              // UDP port that every node of the cluster receives on
  bool source_check = true;               // accept only what a known peer may send

 private:
  PrefixTable<KeyV4> own_v4_;
  PrefixTable<KeyV6> own_v6_;
};

}  // namespace twill
