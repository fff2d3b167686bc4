#include "netlink/neighbour.h"

#include <linux/neighbour.h>
#include <sys/socket.h>

#include <algorithm>

#include "netlink/socket.h"

namespace twill {

namespace {

uint16_t TypeOf(NetlinkVerb verb) {
  return verb == NetlinkVerb::kDelete ? RTM_DELNEIGH : RTM_NEWNEIGH;
}

ndmsg Permanent(int family, int index) {
  ndmsg fixed{};
  fixed.ndm_family = static_cast<uint8_t>(family);
  fixed.ndm_ifindex = index;
  fixed.ndm_state = NUD_PERMANENT;
  return fixed;
}

bool MacOf(ByteSpan attributes, std::array<uint8_t, 6>& mac) {
  ByteSpan value = FindAttribute(attributes, NDA_LLADDR);
  if (value.size() != mac.size()) return false;
  std::copy(value.begin(), value.end(), mac.begin());
  return true;
}

Result<std::vector<NetlinkAnswer>> Dump(NetlinkRequest& request, const char* what) {
  auto socket = NetlinkSocket::Open(0);
  if (!socket) return socket.error();
  socket->CheckStrictly();
  return socket->Request(request, what);
}

}  // namespace

Result<std::vector<Neighbour>> ListNeighbours(uint8_t family, int index) {
  ndmsg fixed{};
  fixed.ndm_family = family == 4 ? AF_INET : AF_INET6;
  NetlinkRequest request(RTM_GETNEIGH, NLM_F_DUMP, fixed);
  request.U32(NDA_IFINDEX, static_cast<uint32_t>(index));
  auto answers = Dump(request, "cannot list neighbours");
  if (!answers) return answers.error();
  std::vector<Neighbour> found;
  for (const NetlinkAnswer& answer : *answers) {
    auto entry = answer.FixedPart<ndmsg>();
    ByteSpan attributes = answer.AttributesAfter<ndmsg>();
    Neighbour neighbour{entry.ndm_ifindex, AttributeAddress(attributes, NDA_DST), {}, entry.ndm_state};
    // A kernel without filters gives those of all devices.
    if (answer.type != RTM_NEWNEIGH || entry.ndm_ifindex != index || neighbour.address.family == 0) continue;
    if (MacOf(attributes, neighbour.mac)) found.push_back(neighbour);
  }
  return found;
}

Result<std::vector<ForwardingEntry>> ListForwarding(int index) {
  ndmsg fixed{};
  fixed.ndm_family = AF_BRIDGE;
  fixed.ndm_ifindex = index;
  NetlinkRequest request(RTM_GETNEIGH, NLM_F_DUMP, fixed);
  auto answers = Dump(request, "cannot list forwarding entries");
  if (!answers) return answers.error();
  std::vector<ForwardingEntry> found;
  for (const NetlinkAnswer& answer : *answers) {
    auto fixed_part = answer.FixedPart<ndmsg>();
    ByteSpan attributes = answer.AttributesAfter<ndmsg>();
    if (answer.type != RTM_NEWNEIGH || fixed_part.ndm_ifindex != index) continue;
    ForwardingEntry entry{index,
                          {},
                          AttributeAddress(attributes, NDA_DST),
                          fixed_part.ndm_state,
                          (fixed_part.ndm_flags & NTF_SELF) != 0};
    if (MacOf(attributes, entry.mac)) found.push_back(entry);
  }
  return found;
}

NetlinkRequest NeighbourRequest(NetlinkVerb verb, const Neighbour& neighbour) {
  int family = neighbour.address.family == 4 ? AF_INET : AF_INET6;
  NetlinkRequest request(TypeOf(verb), FlagsOf(verb), Permanent(family, neighbour.index));
  request.Address(NDA_DST, neighbour.address);
  if (verb != NetlinkVerb::kDelete) request.Attribute(NDA_LLADDR, neighbour.mac.data(), neighbour.mac.size());
  return request;
}

NetlinkRequest ForwardingRequest(NetlinkVerb verb, const ForwardingEntry& entry) {
  ndmsg fixed = Permanent(AF_BRIDGE, entry.index);
  fixed.ndm_flags = NTF_SELF;
  NetlinkRequest request(TypeOf(verb), FlagsOf(verb), fixed);
  request.Attribute(NDA_LLADDR, entry.mac.data(), entry.mac.size());
  if (entry.endpoint.family != 0) request.Address(NDA_DST, entry.endpoint);
  return request;
}

}  // namespace twill
