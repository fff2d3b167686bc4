#include "netlink/link.h"

#include <linux/if_link.h>
#include <net/if.h>

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
