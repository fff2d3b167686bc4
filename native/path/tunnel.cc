#include "path/tunnel.h"

#include "encap/flannel_udp.h"
#include "encap/vxlan.h"

namespace twill {

namespace {

template <Encapsulation E>
class TunnelOf final : public Tunnel {
 public:
  explicit TunnelOf(const E& encapsulation) : encapsulation_(encapsulation) {}
  uint8_t header_bytes() const override { return E::kHeaderBytes; }
  void Cook(const Mac& peer_mac, Peer& row) const override { encapsulation_.Cook(peer_mac, row); }
  std::unique_ptr<EncapPath> NewEncapPath(const NodeIdentity& node, uint32_t flow_seed) const override {
    return std::make_unique<EncapPathFor<E>>(encapsulation_, node, flow_seed);
  }
  std::unique_ptr<DecapPath> NewDecapPath(const NodeIdentity& node) const override {
    return std::make_unique<DecapPathFor<E>>(encapsulation_, node);
  }

 private:
  E encapsulation_;
};

}  // namespace

Result<std::unique_ptr<Tunnel>> MakeTunnel(const TunnelConfig& config) {
  if (config.encap == "udp") return std::unique_ptr<Tunnel>(new TunnelOf(FlannelUdp()));
  if (config.encap == "vxlan")
    return std::unique_ptr<Tunnel>(
        new TunnelOf(Vxlan(config.vni, config.mac, config.mac_v6.value_or(config.mac))));
  return Error{"ERR_TWILL_ARGUMENT",
               "unknown encapsulation \"" + std::string(config.encap) + "\": use udp or vxlan"};
}

}  // namespace twill
