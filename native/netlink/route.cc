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

Result<> Change(NetlinkVerb verb, const Route& route, const char* word) {
  NetlinkRequest request = RouteRequest(verb, route);
  auto done = NetlinkOnce(request, std::string("cannot ") + word + " a route of /" +
                                       std::to_string(route.destination.length) + " on link " +
                                       std::to_string(route.index));
  if (!done) return done.error();
  return Unit{};
}

}  // namespace

NetlinkRequest RouteRequest(NetlinkVerb verb, const Route& route) {
  rtmsg fixed = FixedPartFor(route.destination.address.family);
  fixed.rtm_dst_len = route.destination.length;
  fixed.rtm_table = RT_TABLE_MAIN;
  fixed.rtm_protocol = route.protocol;
  fixed.rtm_type = route.type;
  fixed.rtm_scope = verb == NetlinkVerb::kDelete ? static_cast<uint8_t>(RT_SCOPE_NOWHERE) : route.scope;
  if (route.onlink) fixed.rtm_flags = RTNH_F_ONLINK;
  NetlinkRequest request(verb == NetlinkVerb::kDelete ? RTM_DELROUTE : RTM_NEWROUTE, FlagsOf(verb), fixed);
  request.Address(RTA_DST, route.destination.address);
  if (route.index != 0) request.U32(RTA_OIF, static_cast<uint32_t>(route.index));
  if (route.priority != 0) request.U32(RTA_PRIORITY, route.priority);
  if (route.gateway.family != 0) request.Address(RTA_GATEWAY, route.gateway);
  if (route.source.family != 0) request.Address(RTA_PREFSRC, route.source);
  return request;
}

NetlinkRequest RouteLookUp(const IpAddr& destination) {
  rtmsg fixed = FixedPartFor(destination.family);
  fixed.rtm_dst_len = destination.family == 4 ? 32 : 128;
  NetlinkRequest request(RTM_GETROUTE, NLM_F_ACK, fixed);
  request.Address(RTA_DST, destination);
  return request;
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
  return Change(NetlinkVerb::kSet, route, "set");
}

Result<> DeleteRoute(const Route& route) {
  return Change(NetlinkVerb::kDelete, route, "delete");
}

Result<Route> LookUpRoute(const IpAddr& destination) {
  NetlinkRequest request = RouteLookUp(destination);
  auto answers = NetlinkOnce(request, "cannot look up a route");
  if (!answers) return answers.error();
  if (answers->empty()) return Error{"ERR_TWILL_NETLINK", "the kernel answered a route lookup with nothing"};
  return RouteOf(answers->front());
}

}  // namespace twill
