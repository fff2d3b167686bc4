// Routes of the kernel.
#pragma once

#include <vector>

#include "base/result.h"
#include "netlink/message.h"

namespace twill {

struct Route {
  IpPrefix destination;  // length 0: the default route
  IpAddr gateway;        // family 0: none
  IpAddr source;         // preferred source; family 0: none
  int index = 0;         // of the device; 0: none
  uint32_t table = RT_TABLE_MAIN;
  uint32_t priority = 0;
  uint8_t type = RTN_UNICAST;
  uint8_t protocol = RTPROT_BOOT;
  uint8_t scope = 0;
  bool onlink = false;  // the gateway need not lie in a connected prefix
};

Result<std::vector<Route>> ListRoutes(uint8_t family);
// One of many changes, to go out with others (NetlinkSocket::Batch).
NetlinkRequest RouteRequest(NetlinkVerb verb, const Route& route);
NetlinkRequest RouteLookUp(const IpAddr& destination);
Route RouteOf(const NetlinkAnswer& answer);
// Adds, or replaces the one to the same destination with the same priority.
Result<> ReplaceRoute(const Route& route);
Result<> DeleteRoute(const Route& route);
// How the kernel reaches an address.
Result<Route> LookUpRoute(const IpAddr& destination);

}  // namespace twill
