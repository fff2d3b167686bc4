// A node with peers, and packets of every kind on their way to and from it.
#pragma once

#include <memory>

#include "path/tunnel.h"
#include "support/packets.h"
#include "support/random.h"
#include "table/peer_table.h"

namespace twill::test {

inline constexpr Mac kOwnMac{0x12, 0x11, 0x22, 0x33, 0x44, 0x55},
    kPeerMac{0xc6, 0xd2, 0x32, 0x6f, 0x8f, 0x44};
inline constexpr uint32_t kInnerMtu = 300;

struct Node {
  explicit Node(const char* encap, bool source_check = true) : table(7) {
    TunnelConfig config;
    config.encap = encap;
    config.mac = kOwnMac;
    auto made = MakeTunnel(config);
    REQUIRE(made.ok());
    tunnel = std::move(*made);
    is_vxlan = config.encap == "vxlan";
    identity.cluster_port = is_vxlan ? 8472 : 8285;
    identity.inner_mtu_bytes = kInnerMtu;
    identity.source_check = source_check;
    for (const char* own : {"10.5.1.0/24", "fd00:5:0:1::/64", "192.0.2.1/32"}) identity.AddOwn(Prefix(own));
    identity.icmp_source_v4 = Address("10.5.1.0");
    identity.icmp_source_v6 = Address("fd00:5:0:1::");
    AddPeer("10.5.2.0/24", "192.0.2.2");
    AddPeer("10.5.2.128/25", "192.0.2.3");
    AddPeer("192.0.2.0/28", "192.0.2.2");
    if (is_vxlan) AddPeer("fd00:5:0:2::/64", "192.0.2.2");
    if (is_vxlan) AddPeer("fd00:5:0:3::/64", "2001:db8::2");
  }
  void AddPeer(const char* subnet, const char* endpoint) {
    Peer row;
    row.subnet = Prefix(subnet);
    row.endpoint = {Address(endpoint), identity.cluster_port};
    tunnel->Cook(kPeerMac, row);
    table.Set(row);
  }

  std::unique_ptr<Tunnel> tunnel;
  NodeIdentity identity;
  PeerTable table;
  bool is_vxlan = false;
};

inline const char* const kAddresses4[] = {"10.5.1.9",  "10.5.2.9",  "10.5.2.200", "10.5.9.9", "192.0.2.1",
                                          "192.0.2.2", "192.0.2.3", "127.0.0.1",  "0.0.0.1",  "224.0.0.1"};
inline const char* const kAddresses6[] = {
    "fd00:5:0:1::9", "fd00:5:0:2::9", "fd00:5:0:3::9", "fd00:5:0:9::9", "::",
    "::1",           "ff02::1",       "2001:db8::2"};

// Well-formed, damaged, cut, padded, or nothing but noise.
inline Bytes AnyPacket(Random& random) {
  if (random.OneIn(10)) return random.Bytes(random.Below(100));
  Shape shape;
  bool four = random.Below(3) != 0;
  shape.source = four ? random.Of(kAddresses4) : random.Of(kAddresses6);
  shape.destination = four ? random.Of(kAddresses4) : random.Of(kAddresses6);
  constexpr uint8_t kProtocols[] = {17, 17, 17, 6, 1, 58, 0, 43, 44, 60};
  shape.protocol = random.Of(kProtocols);
  constexpr uint8_t kTtls[] = {0, 1, 2, 64, 255};
  shape.ttl = random.Of(kTtls);
  shape.tos = random.Byte();
  shape.payload = random.Bytes(random.OneIn(5) ? 250 + random.Below(70) : random.Below(60));
  if (shape.payload.size() >= 4 && random.OneIn(3))
    StoreBe16(&shape.payload[2], random.OneIn(2) ? 8472 : 8285);
  if (four && random.OneIn(4)) shape.options = random.Bytes(random.Below(11) * 4);
  Bytes packet = IpPacket(shape);
  if (random.OneIn(3)) {
    for (size_t n = random.Below(4); n > 0; n--)
      packet[random.Below(std::min<size_t>(packet.size(), 64))] = random.Byte();
    packet.resize(packet.size() - std::min(packet.size(), random.Below(20)));
    packet.resize(packet.size() + random.Below(20));
  }
  return packet;
}

}  // namespace twill::test
