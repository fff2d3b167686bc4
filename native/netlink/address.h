// IP addresses of devices.
#pragma once

#include <vector>

#include "base/result.h"
#include "netlink/message.h"

namespace twill {

struct DeviceAddress {
  int index = 0;  // of the device
  IpAddr address;
  uint8_t length = 0;
  uint8_t scope = 0;   // RT_SCOPE_*
  uint32_t flags = 0;  // IFA_F_*
};

Result<std::vector<DeviceAddress>> ListAddresses();
// One of many changes. `kAdd` refreshes one that is there, as `kSet` does.
NetlinkRequest AddressRequest(NetlinkVerb verb, const DeviceAddress& address);
// Adds, or refreshes one that is there. An IPv6 address is usable at once (no duplicate detection: on a
// point-to-point device there is nobody to ask).
Result<> AddAddress(const DeviceAddress& address);
Result<> DeleteAddress(const DeviceAddress& address);

}  // namespace twill
