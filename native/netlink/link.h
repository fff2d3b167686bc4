// Network devices: list, change, delete.
#pragma once

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
  bool external = false;  // tunnels are chosen packet by packet, there is no VNI
};

struct Link {
  int index = 0;
  std::string name;
  std::string kind;  // "veth", "vxlan", "tun", ...; empty for hardware
  uint32_t mtu_bytes = 0;
  bool up = false;
  bool carrier = false;  // of a TUN: a process has it open
  std::vector<uint8_t> mac;
  int lower = 0;   // index of the device below, 0: none
  int master = 0;  // of the bridge, bond or VRF that it belongs to, 0: none
  std::optional<VxlanLink> vxlan;
};

struct LinkChange {
  std::optional<uint32_t> mtu_bytes;
  std::optional<bool> up;
  std::optional<uint32_t> tx_queue_packets;
  std::optional<uint32_t> gso_max_bytes;  // longest super-packet that the stack gives to the device
  std::optional<std::string> name;
};

Result<std::vector<Link>> ListLinks();
Result<> SetLink(int index, const LinkChange& change);
Result<> DeleteLink(int index);

}  // namespace twill
