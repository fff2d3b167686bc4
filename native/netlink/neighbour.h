// Neighbours (which MAC has an address on a link) and forwarding entries of vxlan devices (where frames for a
// MAC go).
#pragma once

#include <array>
#include <vector>

#include "base/result.h"
#include "netlink/message.h"

namespace twill {

struct Neighbour {
  int index = 0;  // of the device
  IpAddr address;
  std::array<uint8_t, 6> mac{};
  uint16_t state = 0;  // NUD_*
};

struct ForwardingEntry {
  int index = 0;
  std::array<uint8_t, 6> mac{};
  IpAddr endpoint;     // family 0: none
  uint16_t state = 0;  // NUD_*
  bool self = false;   // of the device itself, not of a bridge that it is part of
};

// Of one device; those without a MAC of six bytes are left out.
Result<std::vector<Neighbour>> ListNeighbours(uint8_t family, int index);
Result<std::vector<ForwardingEntry>> ListForwarding(int index);

// Permanent ones. The endpoint of a forwarding entry that is deleted may be left out.
NetlinkRequest NeighbourRequest(NetlinkVerb verb, const Neighbour& neighbour);
NetlinkRequest ForwardingRequest(NetlinkVerb verb, const ForwardingEntry& entry);

}  // namespace twill
