#include "netlink/link.h"

#include <linux/if_link.h>
#include <net/if.h>

#include <algorithm>

#include "netlink/socket.h"

namespace twill {

namespace {

ifinfomsg Device(int index) {
  ifinfomsg fixed{};
  fixed.ifi_index = index;
  return fixed;
}

VxlanLink VxlanOf(ByteSpan data) {
  VxlanLink vxlan;
  vxlan.vni = AttributeU32(data, IFLA_VXLAN_ID);
  ByteSpan port = FindAttribute(data, IFLA_VXLAN_PORT);
  if (port.size() == 2) vxlan.port = LoadBe16(port.data());
  vxlan.local = AttributeAddress(data, IFLA_VXLAN_LOCAL);
  if (vxlan.local.family == 0) vxlan.local = AttributeAddress(data, IFLA_VXLAN_LOCAL6);
  vxlan.remote = AttributeAddress(data, IFLA_VXLAN_GROUP);
  if (vxlan.remote.family == 0) vxlan.remote = AttributeAddress(data, IFLA_VXLAN_GROUP6);
  ByteSpan learning = FindAttribute(data, IFLA_VXLAN_LEARNING);
  vxlan.learning = !learning.empty() && learning[0] != 0;
  ByteSpan l2miss = FindAttribute(data, IFLA_VXLAN_L2MISS);
  vxlan.l2miss = !l2miss.empty() && l2miss[0] != 0;
  vxlan.gbp = HasAttribute(data, IFLA_VXLAN_GBP);
  ByteSpan external = FindAttribute(data, IFLA_VXLAN_COLLECT_METADATA);
  vxlan.external = !external.empty() && external[0] != 0;
  return vxlan;
}

Link LinkOf(const NetlinkAnswer& answer) {
  auto fixed = answer.FixedPart<ifinfomsg>();
  ByteSpan attributes = answer.AttributesAfter<ifinfomsg>();
  Link link;
  link.index = fixed.ifi_index;
  link.up = (fixed.ifi_flags & IFF_UP) != 0;
  link.name = AttributeText(attributes, IFLA_IFNAME);
  link.alias = AttributeText(attributes, IFLA_IFALIAS);
  link.mtu_bytes = AttributeU32(attributes, IFLA_MTU);
  link.lower = static_cast<int>(AttributeU32(attributes, IFLA_LINK));
  link.master = static_cast<int>(AttributeU32(attributes, IFLA_MASTER));
  ByteSpan carrier = FindAttribute(attributes, IFLA_CARRIER);
  link.carrier = !carrier.empty() && carrier[0] != 0;
  ByteSpan mac = FindAttribute(attributes, IFLA_ADDRESS);
  link.mac.assign(mac.begin(), mac.end());
  ByteSpan details = FindAttribute(attributes, IFLA_LINKINFO);
  link.kind = AttributeText(details, IFLA_INFO_KIND);
  if (link.kind == "vxlan") link.vxlan = VxlanOf(FindAttribute(details, IFLA_INFO_DATA));
  return link;
}

}  // namespace

Result<std::vector<Link>> ListLinks() {
  NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP, Device(0));
  request.U32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  auto answers = NetlinkOnce(request, "cannot list links");
  if (!answers) return answers.error();
  std::vector<Link> links;
  for (const NetlinkAnswer& answer : *answers) {
    if (answer.type == RTM_NEWLINK) links.push_back(LinkOf(answer));
  }
  return links;
}

Result<> AddVxlan(const VxlanPlan& plan) {
  NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, Device(0));
  request.Text(IFLA_IFNAME, plan.name);
  request.U32(IFLA_MTU, plan.mtu_bytes);
  request.Attribute(IFLA_ADDRESS, plan.mac.data(), plan.mac.size());
  size_t details = request.Begin(IFLA_LINKINFO);
  request.Text(IFLA_INFO_KIND, "vxlan");
  size_t data = request.Begin(IFLA_INFO_DATA);
  request.U32(IFLA_VXLAN_ID, plan.vni);
  request.U32(IFLA_VXLAN_LINK, static_cast<uint32_t>(plan.lower));
  request.Address(plan.local.family == 4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, plan.local);
  request.U8(IFLA_VXLAN_TTL, 0);
  request.U8(IFLA_VXLAN_TOS, 0);
  request.U8(IFLA_VXLAN_LEARNING, plan.learning ? 1 : 0);
  for (uint16_t off : {IFLA_VXLAN_PROXY, IFLA_VXLAN_RSC, IFLA_VXLAN_L2MISS, IFLA_VXLAN_L3MISS,
                       IFLA_VXLAN_UDP_ZERO_CSUM6_TX, IFLA_VXLAN_UDP_ZERO_CSUM6_RX})
    request.U8(off, 0);
  uint8_t port[2] = {static_cast<uint8_t>(plan.port >> 8), static_cast<uint8_t>(plan.port)};
  request.Attribute(IFLA_VXLAN_PORT, port, sizeof port);
  if (plan.gbp) request.Attribute(IFLA_VXLAN_GBP, nullptr, 0);
  request.End(data);
  request.End(details);
  auto done = NetlinkOnce(request, "cannot make the vxlan device " + plan.name);
  if (!done) return done.error();
  return Unit{};
}

Result<LinkCounters> CountersOf(int index) {
  NetlinkRequest request(RTM_GETLINK, 0, Device(index));
  auto answers = NetlinkOnce(request, "cannot read the counters of link " + std::to_string(index));
  if (!answers) return answers.error();
  LinkCounters counters;
  if (answers->empty()) return counters;
  ByteSpan value = FindAttribute(answers->front().AttributesAfter<ifinfomsg>(), IFLA_STATS64);
  rtnl_link_stats64 stats{};
  std::memcpy(&stats, value.data(), std::min(value.size(), sizeof stats));
  counters = {stats.rx_packets, stats.rx_bytes, stats.rx_errors, stats.rx_dropped,
              stats.tx_packets, stats.tx_bytes, stats.tx_errors, stats.tx_dropped};
  return counters;
}

Result<> SetLink(int index, const LinkChange& change) {
  ifinfomsg fixed = Device(index);
  if (change.up) {
    fixed.ifi_change = IFF_UP;
    fixed.ifi_flags = *change.up ? IFF_UP : 0;
  }
  NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK, fixed);
  if (change.mtu_bytes) request.U32(IFLA_MTU, *change.mtu_bytes);
  if (change.tx_queue_packets) request.U32(IFLA_TXQLEN, *change.tx_queue_packets);
  if (change.gso_max_bytes) request.U32(IFLA_GSO_MAX_SIZE, *change.gso_max_bytes);
  if (change.name) request.Text(IFLA_IFNAME, *change.name);
  if (change.alias) request.Attribute(IFLA_IFALIAS, change.alias->data(), change.alias->size());
  if (change.mac) request.Attribute(IFLA_ADDRESS, change.mac->data(), change.mac->size());
  std::string what = "cannot change link " + std::to_string(index);
  if (change.mtu_bytes) what += " to MTU " + std::to_string(*change.mtu_bytes);
  auto done = NetlinkOnce(request, what);
  if (!done) return done.error();
  return Unit{};
}

Result<> DeleteLink(int index) {
  NetlinkRequest request(RTM_DELLINK, NLM_F_ACK, Device(index));
  auto done = NetlinkOnce(request, "cannot delete link " + std::to_string(index));
  if (!done) return done.error();
  return Unit{};
}

}  // namespace twill
