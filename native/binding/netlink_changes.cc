// Many changes in one call, and the entries of vxlan devices.
#include <cstring>
#include <optional>

#include "binding/js_error.h"
#include "binding/js_values.h"
#include "binding/netlink_values.h"
#include "netlink/address.h"
#include "netlink/link.h"
#include "netlink/neighbour.h"
#include "netlink/route.h"
#include "netlink/socket.h"

namespace twill {

namespace {

using Napi::CallbackInfo;

Error WrongChange(const char* what) {
  return Error{"ERR_TWILL_ARGUMENT", std::string("netlink: a change ") + what};
}

std::optional<NetlinkVerb> VerbOf(const std::string& text) {
  if (text == "add") return NetlinkVerb::kAdd;
  if (text == "set") return NetlinkVerb::kSet;
  if (text == "delete") return NetlinkVerb::kDelete;
  return std::nullopt;
}

bool RouteOfChange(const Napi::Object& o, Route& route) {
  if (!AddressOf(o.Get("destination"), route.destination.address)) return false;
  route.destination.length = static_cast<uint8_t>(NumberOf(o, "prefixLength"));
  route.index = static_cast<int>(NumberOf(o, "index"));
  route.priority = NumberOf(o, "priority");
  route.protocol = static_cast<uint8_t>(NumberOf(o, "protocol"));
  if (uint32_t type = NumberOf(o, "type")) route.type = static_cast<uint8_t>(type);
  AddressOf(o.Get("gateway"), route.gateway);
  AddressOf(o.Get("source"), route.source);
  route.onlink = BooleanOf(o, "onlink");
  return true;
}

Result<NetlinkRequest> RequestOf(const Napi::Object& o) {
  auto verb = VerbOf(TextOf(o, "verb"));
  if (!verb) return WrongChange("adds, sets or deletes");
  std::string kind = TextOf(o, "kind");
  int index = static_cast<int>(NumberOf(o, "index"));
  if (kind == "route") {
    Route route;
    if (!RouteOfChange(o, route)) return WrongChange("of a route has a destination of 4 or 16 bytes");
    return RouteRequest(*verb, route);
  }
  if (kind == "neighbour") {
    Neighbour neighbour{index, {}, {}, 0};
    bool has_mac = MacOf(o.Get("mac"), neighbour.mac) || *verb == NetlinkVerb::kDelete;
    if (!AddressOf(o.Get("address"), neighbour.address) || !has_mac)
      return WrongChange("of a neighbour has an address and a MAC");
    return NeighbourRequest(*verb, neighbour);
  }
  if (kind == "forwarding") {
    ForwardingEntry entry{index, {}, {}, 0, true};
    bool has_endpoint = AddressOf(o.Get("endpoint"), entry.endpoint) || *verb == NetlinkVerb::kDelete;
    if (!MacOf(o.Get("mac"), entry.mac) || !has_endpoint)
      return WrongChange("of a forwarding entry has a MAC and an endpoint");
    return ForwardingRequest(*verb, entry);
  }
  if (kind == "address") {
    DeviceAddress address;
    address.index = index;
    address.length = static_cast<uint8_t>(NumberOf(o, "prefixLength"));
    if (!AddressOf(o.Get("address"), address.address)) return WrongChange("of an address has 4 or 16 bytes");
    return AddressRequest(*verb, address);
  }
  return WrongChange("is of a route, neighbour, forwarding entry or address");
}

Napi::Value RefusalToJs(Napi::Env env, const NetlinkReply& reply) {
  if (reply.sys_errno == 0) return env.Null();
  Napi::Object refusal = Napi::Object::New(env);
  refusal.Set("errno", reply.sys_errno);
  std::string text = std::strerror(reply.sys_errno);
  if (!reply.hint.empty()) text += " (" + reply.hint + ")";
  refusal.Set("message", text);
  return refusal;
}

Napi::Value Change(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsArray()) return Thrown(env, WrongChange("comes in an array"));
  Napi::Array changes = info[0].As<Napi::Array>();
  std::vector<NetlinkRequest> requests;
  requests.reserve(changes.Length());
  for (uint32_t i = 0; i < changes.Length(); i++) {
    Napi::HandleScope scope(env);
    Napi::Value change = changes[i];
    auto request = change.IsObject() ? RequestOf(change.As<Napi::Object>())
                                     : Result<NetlinkRequest>(WrongChange("is an object"));
    if (!request) return Thrown(env, request.error());
    requests.push_back(std::move(*request));
  }
  auto socket = NetlinkSocket::Open(0);
  if (!socket) return Thrown(env, socket.error());
  auto replies = socket->Batch(requests, "cannot change the kernel's tables");
  if (!replies) return Thrown(env, replies.error());
  Napi::Array out = Napi::Array::New(env, replies->size());
  for (size_t i = 0; i < replies->size(); i++)
    out.Set(static_cast<uint32_t>(i), RefusalToJs(env, (*replies)[i]));
  return out;
}

Napi::Value RouteGets(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsArray()) return Thrown(env, WrongChange("comes in an array"));
  Napi::Array addresses = info[0].As<Napi::Array>();
  std::vector<NetlinkRequest> requests;
  for (uint32_t i = 0; i < addresses.Length(); i++) {
    IpAddr address;
    if (!AddressOf(addresses[i], address)) return Thrown(env, WrongChange("has addresses of 4 or 16 bytes"));
    requests.push_back(RouteLookUp(address));
  }
  auto socket = NetlinkSocket::Open(0);
  if (!socket) return Thrown(env, socket.error());
  auto replies = socket->Batch(requests, "cannot look up routes");
  if (!replies) return Thrown(env, replies.error());
  Napi::Array out = Napi::Array::New(env, replies->size());
  for (size_t i = 0; i < replies->size(); i++) {
    const NetlinkReply& reply = (*replies)[i];
    bool found = reply.sys_errno == 0 && !reply.answers.empty();
    out.Set(static_cast<uint32_t>(i),
            found ? Napi::Value(RouteToJs(env, RouteOf(reply.answers.front()))) : env.Null());
  }
  return out;
}

Napi::Value MacToJs(Napi::Env env, const std::array<uint8_t, 6>& mac) {
  return Napi::Buffer<uint8_t>::Copy(env, mac.data(), mac.size());
}

Napi::Value Neighbours(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber() || !info[1].IsNumber())
    return Thrown(env, WrongChange("of neighbours names family and index"));
  auto found = ListNeighbours(static_cast<uint8_t>(info[0].As<Napi::Number>().Uint32Value()),
                              info[1].As<Napi::Number>().Int32Value());
  if (!found) return Thrown(env, found.error());
  Napi::Array out = Napi::Array::New(env, found->size());
  for (size_t i = 0; i < found->size(); i++) {
    const Neighbour& neighbour = (*found)[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("address", AddressToJs(env, neighbour.address));
    o.Set("mac", MacToJs(env, neighbour.mac));
    o.Set("state", static_cast<uint32_t>(neighbour.state));
    out.Set(static_cast<uint32_t>(i), o);
  }
  return out;
}

Napi::Value Forwarding(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber()) return Thrown(env, WrongChange("of forwarding names an index"));
  auto found = ListForwarding(info[0].As<Napi::Number>().Int32Value());
  if (!found) return Thrown(env, found.error());
  Napi::Array out = Napi::Array::New(env, found->size());
  for (size_t i = 0; i < found->size(); i++) {
    const ForwardingEntry& entry = (*found)[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("mac", MacToJs(env, entry.mac));
    o.Set("endpoint", AddressToJs(env, entry.endpoint));
    o.Set("state", static_cast<uint32_t>(entry.state));
    o.Set("self", Napi::Boolean::New(env, entry.self));
    out.Set(static_cast<uint32_t>(i), o);
  }
  return out;
}

Napi::Value AddVxlanLink(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsObject()) return Thrown(env, WrongChange("of a vxlan device is an object"));
  Napi::Object o = info[0].As<Napi::Object>();
  VxlanPlan plan;
  plan.name = TextOf(o, "name");
  plan.mtu_bytes = NumberOf(o, "mtu");
  plan.lower = static_cast<int>(NumberOf(o, "lower"));
  plan.vni = NumberOf(o, "vni");
  plan.port = static_cast<uint16_t>(NumberOf(o, "port"));
  plan.learning = BooleanOf(o, "learning");
  plan.gbp = BooleanOf(o, "gbp");
  if (!MacOf(o.Get("mac"), plan.mac) || !AddressOf(o.Get("local"), plan.local))
    return Thrown(env, WrongChange("of a vxlan device has a MAC and a local address"));
  return DoneOrThrown(env, AddVxlan(plan));
}

Napi::Value LinkCountersOf(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber()) return Thrown(env, WrongChange("of a link names its index"));
  auto counters = CountersOf(info[0].As<Napi::Number>().Int32Value());
  if (!counters) return Thrown(env, counters.error());
  Napi::Object o = Napi::Object::New(env);
  auto set = [&](const char* name, uint64_t value) { o.Set(name, static_cast<double>(value)); };
  set("rxPackets", counters->rx_packets);
  set("rxBytes", counters->rx_bytes);
  set("rxErrors", counters->rx_errors);
  set("rxDropped", counters->rx_dropped);
  set("txPackets", counters->tx_packets);
  set("txBytes", counters->tx_bytes);
  set("txErrors", counters->tx_errors);
  set("txDropped", counters->tx_dropped);
  return o;
}

}  // namespace

void AddNetlinkChanges(Napi::Env env, Napi::Object& netlink) {
  netlink.Set("change", Napi::Function::New<Change>(env));
  netlink.Set("routeGets", Napi::Function::New<RouteGets>(env));
  netlink.Set("neighbours", Napi::Function::New<Neighbours>(env));
  netlink.Set("forwarding", Napi::Function::New<Forwarding>(env));
  netlink.Set("vxlanAdd", Napi::Function::New<AddVxlanLink>(env));
  netlink.Set("linkCounters", Napi::Function::New<LinkCountersOf>(env));
}

}  // namespace twill
