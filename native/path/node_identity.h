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
  void AddOwn(const IpPrefix& prefix) { own_.Set({prefix}); }
  bool Owns(uint8_t family, const uint8_t* address) const { return own_.Lookup(family, address) != nullptr; }

  IpAddr icmp_source_v4, icmp_source_v6;  // of the ICMP errors we send; family 0: send none
  uint32_t inner_mtu_bytes = 1450;        // largest inner packet
  uint16_t cluster_port = 0;              // UDP port that every node of the cluster receives on
  bool source_check = true;               // accept only what a known peer may send

 private:
  struct Own {
    IpPrefix subnet;
  };
  PrefixTable<Own> own_{0};
};

}  // namespace twill
