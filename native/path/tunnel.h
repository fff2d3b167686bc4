// An encapsulation with its settings, and the paths that use it. The rest of the
// engine knows only this: which encapsulation it is stays in tunnel.cc.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "path/decap_path.h"
#include "path/encap_path.h"

namespace twill {

struct TunnelConfig {
  std::string_view encap;     // "udp" or "vxlan"
  uint32_t vni = 1;           // vxlan
  Mac mac{};                  // our VTEP's, vxlan: of frames with IPv4 inside
  std::optional<Mac> mac_v6;  // with IPv6, where it is another
};

class Tunnel {
 public:
  virtual ~Tunnel() = default;
  // Of what stands in front of an inner packet.
  virtual uint8_t header_bytes() const = 0;
  // Fills in the row's header from its subnet and the peer's VTEP MAC.
  virtual void Cook(const Mac& peer_mac, Peer& row) const = 0;
  virtual std::unique_ptr<EncapPath> NewEncapPath(const NodeIdentity& node, uint32_t flow_seed) const = 0;
  virtual std::unique_ptr<DecapPath> NewDecapPath(const NodeIdentity& node) const = 0;
};

Result<std::unique_ptr<Tunnel>> MakeTunnel(const TunnelConfig& config);

}  // namespace twill
