#include "netlink/address.h"

#include <linux/if_addr.h>
#include <sys/socket.h>

#include "netlink/socket.h"

namespace twill {

namespace {

Result<> Change(NetlinkVerb verb, const DeviceAddress& address, const char* word) {
  NetlinkRequest request = AddressRequest(verb, address);
  auto done =
      NetlinkOnce(request, std::string("cannot ") + word + " an address of /" +
                               std::to_string(address.length) + " on link " + std::to_string(address.index));
  if (!done) return done.error();
  return Unit{};
}

}  // namespace

NetlinkRequest AddressRequest(NetlinkVerb verb, const DeviceAddress& address) {
  ifaddrmsg fixed{};
  fixed.ifa_family = address.address.family == 4 ? AF_INET : AF_INET6;
  fixed.ifa_prefixlen = address.length;
  fixed.ifa_index = static_cast<uint32_t>(address.index);
  bool removes = verb == NetlinkVerb::kDelete;
  NetlinkRequest request(removes ? RTM_DELADDR : RTM_NEWADDR, FlagsOf(removes ? verb : NetlinkVerb::kSet),
                         fixed);
  request.Address(IFA_LOCAL, address.address);
  request.Address(IFA_ADDRESS, address.address);
  if (address.address.family == 6 && !removes) request.U32(IFA_FLAGS, IFA_F_NODAD);
  return request;
}

Result<std::vector<DeviceAddress>> ListAddresses() {
  NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  auto answers = NetlinkOnce(request, "cannot list addresses");
  if (!answers) return answers.error();
  std::vector<DeviceAddress> found;
  for (const NetlinkAnswer& answer : *answers) {
    if (answer.type != RTM_NEWADDR) continue;
    auto fixed = answer.FixedPart<ifaddrmsg>();
    ByteSpan attributes = answer.AttributesAfter<ifaddrmsg>();
    DeviceAddress address;
    address.index = static_cast<int>(fixed.ifa_index);
    address.length = fixed.ifa_prefixlen;
    address.scope = fixed.ifa_scope;
    address.flags = AttributeU32(attributes, IFA_FLAGS, fixed.ifa_flags);
    // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL is ours.
    address.address = AttributeAddress(attributes, IFA_LOCAL);
    if (address.address.family == 0) address.address = AttributeAddress(attributes, IFA_ADDRESS);
    if (address.address.family != 0) found.push_back(address);
  }
  return found;
}

Result<> AddAddress(const DeviceAddress& address) {
  return Change(NetlinkVerb::kSet, address, "add");
}

Result<> DeleteAddress(const DeviceAddress& address) {
  return Change(NetlinkVerb::kDelete, address, "delete");
}

}  // namespace twill
