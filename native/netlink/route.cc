#include "netlink/route.h"

#include <sys/socket.h>

#include "netlink/socket.h"

namespace twill {

namespace {

rtmsg FixedPartFor(uint8_t family) {
  rtmsg fixed{};
  fixed.rtm_family = family == 4 ? AF_INET : AF_INET6;
  return fixed;
}

Result<> Change(uint16_t message, uint16_t flags, const Route& route, const char* verb) {
  rtmsg fixed = FixedPartFor(route.destination.address.family);
  fixed.rtm_dst_len = route.destination.length;
  fixed.rtm_table = RT_TABLE_MAIN;
  fixed.rtm_protocol = route.protocol;
  fixed.rtm_type = route.type;
  fixed.rtm_scope = route.scope;
  if (message == RTM_DELROUTE) fixed.rtm_scope = RT_SCOPE_NOWHERE;
  if (route.onlink) fixed.rtm_flags = RTNH_F_ONLINK;
  NetlinkRequest request(message, static_cast<uint16_t>(NLM_F_ACK | flags), fixed);
  request.Address(RTA_DST, route.destination.address);
  if (route.index != 0) request.U32(RTA_OIF, static_cast<uint32_t>(route.index));
  if (route.gateway.family != 0) request.Address(RTA_GATEWAY, route.gateway);
  if (route.source.family != 0) request.Address(RTA_PREFSRC, route.source);
  if (route.priority != 0) request.U32(RTA_PRIORITY, route.priority);
  auto done = NetlinkOnce(request, std::string("cannot ") + verb + " a route of /" +
                                       std::to_string(route.destination.length) + " on link " +
                                       std::to_string(route.index));
  if (!done) return done.error();
  return Unit{};
}

Route RouteOf(const NetlinkAnswer& answer) {
  auto fixed = answer.FixedPart<rtmsg>();
  ByteSpan attributes = answer.AttributesAfter<rtmsg>();
  Route route;
  route.destination.address = AttributeAddress(attributes, RTA_DST);
  route.destination.address.family = fixed.rtm_family == AF_INET ? 4 : 6;
  route.destination.length = fixed.rtm_dst_len;
  route.gateway = AttributeAddress(attributes, RTA_GATEWAY);
  route.source = AttributeAddress(attributes, RTA_PREFSRC);
  route.index = static_cast<int>(AttributeU32(attributes, RTA_OIF));
  route.table = AttributeU32(attributes, RTA_TABLE, fixed.rtm_table);
  route.priority = AttributeU32(attributes, RTA_PRIORITY);
  route.type = fixed.rtm_type;
  route.protocol = fixed.rtm_protocol;
  route.scope = fixed.rtm_scope;
  route.onlink = (fixed.rtm_flags & RTNH_F_ONLINK) != 0;
  return route;
}

}  // namespace

Result<std::vector<Route>> ListRoutes(uint8_t family) {
  NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP, FixedPartFor(family));
  auto answers = NetlinkOnce(request, "cannot list routes");
  if (!answers) return answers.error();
  std::vector<Route> routes;
  for (const NetlinkAnswer& answer : *answers) {
    if (answer.type == RTM_NEWROUTE) routes.push_back(RouteOf(answer));
  }
  return routes;
}

Result<> ReplaceRoute(const Route& route) {
  return Change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, "set");
}

Result<> DeleteRoute(const Route& route) {
  return Change(RTM_DELROUTE, 0, route, "delete");
}

Result<Route> LookUpRoute(const IpAddr& destination) {
  rtmsg fixed = FixedPartFor(destination.family);
  fixed.rtm_dst_len = destination.family == 4 ? 32 : 128;
  NetlinkRequest request(RTM_GETROUTE, 0, fixed);
  request.Address(RTA_DST, destination);
  auto answers = NetlinkOnce(request, "cannot look up a route");
  if (!answers) return answers.error();
  if (answers->empty()) return Error{"ERR_TWILL_NETLINK", "the kernel answered a route lookup with nothing"};
  return RouteOf(answers->front());
}

}  // namespace twill
