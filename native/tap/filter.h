// Which packets a tap keeps.
#pragma once

#include <span>
#include <vector>

#include "base/address.h"
#include "base/counters.h"
#include "buffer/batch.h"

namespace twill {

struct TapFilter {
  static_assert(kDropReasons < 64);

  // Outer addresses of peers; none: any peer, and packets without one.
  std::vector<IpAddr> peers;
  // One of them holds the inner source or destination; none: any packet.
  std::vector<IpPrefix> subnets;
  // By number of the drop reason; that of kNone stands for what was delivered.
  uint64_t drops = ~uint64_t{0};
  // Of so many packets one is looked at.
  uint32_t every = 1;

  bool Accepts(DropReason drop) const { return drops >> static_cast<unsigned>(drop) & 1; }
  // What can be told before the packet's fate is known. `inner` may be anything.
  bool Accepts(const IpAddr& peer, std::span<const uint8_t> inner) const;
};

}  // namespace twill
