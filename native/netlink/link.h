// Network devices: list, change, delete.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "netlink/message.h"

namespace twill {

struct VxlanLink {
  uint32_t vni = 0;
  uint16_t port = 0;
  IpAddr local;   // family 0: none
  IpAddr remote;  // where frames without an entry go: a host or a group; family 0: nowhere
  bool learning = false;
  bool l2miss = false;
  bool gbp = false;       // group policy
  bool external = false;  // tunnels are chosen packet by packet, there is no VNI
};

struct Link {
  int index = 0;
  std::string name;
  std::string alias;
  std::string kind;  // "veth", "vxlan", "tun", ...; empty for hardware
  uint32_t mtu_bytes = 0;
  bool up = false;
  bool carrier = false;  // of a TUN: a process has it open
  std::vector<uint8_t> mac;
  int lower = 0;   // index of the device below, 0: none
  int master = 0;  // of the bridge, bond or VRF that it belongs to, 0: none
  std::optional<VxlanLink> vxlan;
};

// A vxlan device as flannel makes it: whom it sends to stands in its forwarding entries alone.
struct VxlanPlan {
  std::string name;
  std::array<uint8_t, 6> mac{};
  uint32_t mtu_bytes = 0;
  int lower = 0;
  uint32_t vni = 0;
  uint16_t port = 0;
  IpAddr local;
  bool learning = false;
  bool gbp = false;
};

// Since the device is there.
struct LinkCounters {
  uint64_t rx_packets = 0, rx_bytes = 0, rx_errors = 0, rx_dropped = 0;
  uint64_t tx_packets = 0, tx_bytes = 0, tx_errors = 0, tx_dropped = 0;
};

struct LinkChange {
  std::optional<uint32_t> mtu_bytes;
  std::optional<bool> up;
  std::optional<uint32_t> tx_queue_packets;
  std::optional<uint32_t> gso_max_bytes;  // longest super-packet that the stack gives to the device
  std::optional<std::string> name;
  std::optional<std::string> alias;
  std::optional<std::array<uint8_t, 6>> mac;
};

Result<std::vector<Link>> ListLinks();
// ERR_TWILL_NETLINK with EOPNOTSUPP where this kernel has no vxlan.
Result<> AddVxlan(const VxlanPlan& plan);
Result<LinkCounters> CountersOf(int index);
Result<> SetLink(int index, const LinkChange& change);
Result<> DeleteLink(int index);

}  // namespace twill
