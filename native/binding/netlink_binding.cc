#include "binding/netlink_binding.h"

#include <linux/neighbour.h>

#include "binding/js_error.h"
#include "binding/js_values.h"
#include "binding/netlink_values.h"
#include "binding/netlink_watch.h"
#include "netlink/address.h"
#include "netlink/link.h"
#include "netlink/nftables.h"
#include "netlink/route.h"
#include "netlink/socket.h"

namespace twill {

namespace {

using Napi::CallbackInfo;

Error WrongArgument(const char* what) {
  return Error{"ERR_TWILL_ARGUMENT", std::string("netlink: ") + what};
}

int IndexOf(const CallbackInfo& info) {
  return info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : 0;
}

Napi::Value Links(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto links = ListLinks();
  if (!links) return Thrown(env, links.error());
  Napi::Array out = Napi::Array::New(env, links->size());
  for (size_t i = 0; i < links->size(); i++) {
    const Link& link = (*links)[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("index", link.index);
    o.Set("name", link.name);
    o.Set("alias", link.alias);
    o.Set("kind", link.kind);
    o.Set("mtu", link.mtu_bytes);
    o.Set("up", Napi::Boolean::New(env, link.up));
    o.Set("lower", link.lower);
    o.Set("master", link.master);
    o.Set("carrier", Napi::Boolean::New(env, link.carrier));
    o.Set("mac", link.mac.size() == 6
                     ? Napi::Value(Napi::Buffer<uint8_t>::Copy(env, link.mac.data(), link.mac.size()))
                     : env.Null());
    if (link.vxlan) {
      Napi::Object vxlan = Napi::Object::New(env);
      vxlan.Set("vni", link.vxlan->vni);
      vxlan.Set("port", static_cast<uint32_t>(link.vxlan->port));
      vxlan.Set("local", AddressToJs(env, link.vxlan->local));
      vxlan.Set("remote", AddressToJs(env, link.vxlan->remote));
      vxlan.Set("external", Napi::Boolean::New(env, link.vxlan->external));
      vxlan.Set("l2miss", Napi::Boolean::New(env, link.vxlan->l2miss));
      vxlan.Set("gbp", Napi::Boolean::New(env, link.vxlan->gbp));
      vxlan.Set("learning", Napi::Boolean::New(env, link.vxlan->learning));
      o.Set("vxlan", vxlan);
    }
    out.Set(static_cast<uint32_t>(i), o);
  }
  return out;
}

Napi::Value LinkSet(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[1].IsObject()) return Thrown(env, WrongArgument("linkSet takes an index and a change"));
  Napi::Object o = info[1].As<Napi::Object>();
  LinkChange change;
  if (o.Get("mtu").IsNumber()) change.mtu_bytes = NumberOf(o, "mtu");
  if (o.Get("gsoMaxBytes").IsNumber()) change.gso_max_bytes = NumberOf(o, "gsoMaxBytes");
  if (o.Get("txQueueLength").IsNumber()) change.tx_queue_packets = NumberOf(o, "txQueueLength");
  if (o.Get("up").IsBoolean()) change.up = BooleanOf(o, "up");
  if (o.Get("name").IsString()) change.name = TextOf(o, "name");
  if (o.Get("alias").IsString()) change.alias = TextOf(o, "alias");
  if (std::array<uint8_t, 6> mac; MacOf(o.Get("mac"), mac)) change.mac = mac;
  return DoneOrThrown(env, SetLink(IndexOf(info), change));
}

Napi::Value LinkDelete(const CallbackInfo& info) {
  return DoneOrThrown(info.Env(), DeleteLink(IndexOf(info)));
}

Napi::Value Addresses(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto addresses = ListAddresses();
  if (!addresses) return Thrown(env, addresses.error());
  Napi::Array out = Napi::Array::New(env, addresses->size());
  for (size_t i = 0; i < addresses->size(); i++) {
    const DeviceAddress& address = (*addresses)[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("index", address.index);
    o.Set("address", AddressToJs(env, address.address));
    o.Set("prefixLength", static_cast<uint32_t>(address.length));
    o.Set("scope", static_cast<uint32_t>(address.scope));
    o.Set("flags", address.flags);
    out.Set(static_cast<uint32_t>(i), o);
  }
  return out;
}

template <Result<> (*Change)(const DeviceAddress&)>
Napi::Value ChangeAddress(const CallbackInfo& info) {
  DeviceAddress address;
  address.index = IndexOf(info);
  if (!AddressOf(info[1], address.address) || !info[2].IsNumber())
    return Thrown(info.Env(), WrongArgument("an address takes an index, bytes and a prefix length"));
  address.length = static_cast<uint8_t>(info[2].As<Napi::Number>().Uint32Value());
  return DoneOrThrown(info.Env(), Change(address));
}

}  // namespace

Napi::Object RouteToJs(Napi::Env env, const Route& route) {
  Napi::Object o = Napi::Object::New(env);
  bool is_default = route.destination.length == 0;
  o.Set("destination", is_default ? env.Null() : AddressToJs(env, route.destination.address));
  o.Set("prefixLength", static_cast<uint32_t>(route.destination.length));
  o.Set("family", static_cast<uint32_t>(route.destination.address.family));
  o.Set("gateway", AddressToJs(env, route.gateway));
  o.Set("source", AddressToJs(env, route.source));
  o.Set("index", route.index);
  o.Set("table", route.table);
  o.Set("priority", route.priority);
  o.Set("type", static_cast<uint32_t>(route.type));
  o.Set("protocol", static_cast<uint32_t>(route.protocol));
  o.Set("scope", static_cast<uint32_t>(route.scope));
  return o;
}

namespace {

Napi::Value Routes(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto routes = ListRoutes(static_cast<uint8_t>(IndexOf(info)));
  if (!routes) return Thrown(env, routes.error());
  Napi::Array out = Napi::Array::New(env, routes->size());
  for (size_t i = 0; i < routes->size(); i++) out.Set(static_cast<uint32_t>(i), RouteToJs(env, (*routes)[i]));
  return out;
}

template <Result<> (*Change)(const Route&)>
Napi::Value ChangeRoute(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsObject()) return Thrown(env, WrongArgument("a route is an object"));
  Napi::Object o = info[0].As<Napi::Object>();
  Route route;
  if (!AddressOf(o.Get("destination"), route.destination.address))
    return Thrown(env, WrongArgument("a route's destination has 4 or 16 bytes"));
  route.destination.length = static_cast<uint8_t>(NumberOf(o, "prefixLength"));
  route.index = static_cast<int>(NumberOf(o, "index"));
  AddressOf(o.Get("gateway"), route.gateway);
  AddressOf(o.Get("source"), route.source);
  route.onlink = BooleanOf(o, "onlink");
  route.priority = NumberOf(o, "priority");
  if (BooleanOf(o, "blackhole")) route.type = RTN_BLACKHOLE;
  return DoneOrThrown(env, Change(route));
}

Napi::Value RouteGet(const CallbackInfo& info) {
  IpAddr destination;
  if (!AddressOf(info[0], destination))
    return Thrown(info.Env(), WrongArgument("routeGet takes an address of 4 or 16 bytes"));
  auto route = LookUpRoute(destination);
  if (!route) return Thrown(info.Env(), route.error());
  return RouteToJs(info.Env(), *route);
}

Napi::Value LinkNews(Napi::Env env, const std::vector<NetlinkAnswer>& answers, bool lost) {
  Napi::Array events = Napi::Array::New(env);
  auto add = [&](const char* kind, bool removed, int index) {
    Napi::Object event = Napi::Object::New(env);
    event.Set("kind", kind);
    event.Set("removed", Napi::Boolean::New(env, removed));
    event.Set("index", index);
    events.Set(events.Length(), event);
  };
  for (const NetlinkAnswer& answer : answers) {
    switch (answer.type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
        add("link", answer.type == RTM_DELLINK, answer.FixedPart<ifinfomsg>().ifi_index);
        break;
      case RTM_NEWADDR:
      case RTM_DELADDR:
        add("address", answer.type == RTM_DELADDR, static_cast<int>(answer.FixedPart<ifaddrmsg>().ifa_index));
        break;
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH:
        add("neighbour", answer.type == RTM_DELNEIGH, answer.FixedPart<ndmsg>().ndm_ifindex);
        break;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        add("route", answer.type == RTM_DELROUTE,
            static_cast<int>(AttributeU32(answer.AttributesAfter<rtmsg>(), RTA_OIF)));
        break;
    }
  }
  if (lost) add("lost", false, 0);
  return events.Length() > 0 ? Napi::Value(events) : env.Undefined();
}

Napi::Value StartWatch(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsFunction()) return Thrown(env, WrongArgument("watch takes a listener"));
  uint32_t groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (info[1].IsObject() && BooleanOf(info[1].As<Napi::Object>(), "neighbours")) groups |= RTMGRP_NEIGH;
  auto socket = NetlinkSocket::Open(groups);
  if (!socket) return Thrown(env, socket.error());
  return WatchNetlink(env, std::move(*socket), info[0].As<Napi::Function>(), LinkNews);
}

std::vector<std::string> TextsOf(const Napi::Value& value) {
  std::vector<std::string> texts;
  if (!value.IsArray()) return texts;
  Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) {
    Napi::Value item = array.Get(i);
    if (item.IsString()) texts.push_back(item.As<Napi::String>().Utf8Value());
  }
  return texts;
}

Napi::Value StartNftablesWatch(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsArray() || !info[1].IsArray() || !info[2].IsFunction())
    return Thrown(env, WrongArgument("watchNftables takes names of tables and of chains, and a listener"));
  NftablesNames names{TextsOf(info[0]), TextsOf(info[1])};
  auto socket = ListenToNftables();
  if (!socket) return Thrown(env, socket.error());
  auto news = [names = std::move(names)](Napi::Env e, const std::vector<NetlinkAnswer>& answers, bool lost) {
    bool concerned = lost;
    for (const NetlinkAnswer& answer : answers) concerned = concerned || Concerns(answer, names);
    return concerned ? Napi::Value(Napi::Boolean::New(e, lost)) : e.Undefined();
  };
  return WatchNetlink(env, std::move(*socket), info[2].As<Napi::Function>(), std::move(news));
}

}  // namespace

Napi::Object NetlinkObject(Napi::Env env) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("links", Napi::Function::New<Links>(env));
  o.Set("linkSet", Napi::Function::New<LinkSet>(env));
  o.Set("linkDelete", Napi::Function::New<LinkDelete>(env));
  o.Set("addresses", Napi::Function::New<Addresses>(env));
  o.Set("addressAdd", Napi::Function::New<ChangeAddress<AddAddress>>(env));
  o.Set("addressDelete", Napi::Function::New<ChangeAddress<DeleteAddress>>(env));
  o.Set("routes", Napi::Function::New<Routes>(env));
  o.Set("routeReplace", Napi::Function::New<ChangeRoute<ReplaceRoute>>(env));
  o.Set("routeDelete", Napi::Function::New<ChangeRoute<DeleteRoute>>(env));
  o.Set("routeGet", Napi::Function::New<RouteGet>(env));
  AddNetlinkChanges(env, o);
  o.Set("watch", Napi::Function::New<StartWatch>(env));
  o.Set("watchNftables", Napi::Function::New<StartNftablesWatch>(env));
  return o;
}

}  // namespace twill
