#include "tap/filter.h"

#include <algorithm>

namespace twill {

namespace {

bool HoldsEither(const IpPrefix& subnet, std::span<const uint8_t> inner) {
  uint8_t family = inner.empty() ? 0 : inner[0] >> 4;
  if (family == 4 && inner.size() >= 20) {
    return subnet.Contains(IpAddr::V4(&inner[12])) || subnet.Contains(IpAddr::V4(&inner[16]));
  }
  if (family == 6 && inner.size() >= 40) {
    return subnet.Contains(IpAddr::V6(&inner[8])) || subnet.Contains(IpAddr::V6(&inner[24]));
  }
  return false;
}

}  // namespace

bool TapFilter::Accepts(const IpAddr& peer, std::span<const uint8_t> inner) const {
  if (!peers.empty() && std::find(peers.begin(), peers.end(), peer) == peers.end()) return false;
  return subnets.empty() || std::any_of(subnets.begin(), subnets.end(), [inner](const IpPrefix& subnet) {
           return HoldsEither(subnet, inner);
         });
}

}  // namespace twill
