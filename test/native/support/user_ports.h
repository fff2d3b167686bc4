// An engine between two user ports, as a test drives it: one peer, packets in by hand, what comes out given
// back.
#pragma once

#include <algorithm>
#include <memory>
#include <span>

#include "encap/vxlan.h"
#include "engine/engine.h"
#include "support/path.h"

namespace twill::test {

// A VXLAN node with 10.5.1.0/24, between two user ports.
inline EngineConfig ConfigOf(size_t workers, uint32_t pool_slots = 512) {
  EngineConfig config;
  config.encap = "vxlan";
  config.tunnel.mac = kOwnMac;
  config.node.cluster_port = 8472;
  config.node.AddOwn(Prefix("10.5.1.0/24"));
  config.node.icmp_source_v4 = Address("10.5.1.0");
  config.overlay_user = config.underlay_user = true;
  config.workers = workers;
  config.pool_slots = pool_slots;
  return config;
}

inline std::unique_ptr<Engine> NewEngine(EngineConfig config) {
  auto engine = Engine::Open(std::move(config));
  REQUIRE(engine.ok());
  return std::move(*engine);
}

// One record for Publish: 10.5.2.0/24 at 192.0.2.2, this port.
inline Bytes SetPeer(uint16_t port) {
  Bytes op =
      Hex("01 04 18 04 0000 c6d2326f8f44 00000000 0a050200000000000000000000000000 "
          "c0000202000000000000000000000000");
  StoreBe16(&op[4], port);
  return op;
}

// A packet of that peer, as the underlay brings it.
inline Bytes FromPeer() {
  Peer row;
  row.subnet.address.family = 4;
  Vxlan(1, kPeerMac).Cook(kOwnMac, row);
  Bytes payload(row.header.begin(), row.header.end()), inner = IpPacket({});
  payload.insert(payload.end(), inner.begin(), inner.end());
  return payload;
}

// False where no slot or no room is left.
inline bool Push(Engine& engine, UserChannel& channel, std::span<const uint8_t> bytes,
                 const Endpoint& remote = {}, uint8_t tos = 0) {
  Packet p;
  if (engine.pool()->Take(&p.slot, 1) == 0) return false;
  p.data = engine.pool()->PacketStart(p.slot);
  std::copy(bytes.begin(), bytes.end(), p.data);
  p.len = static_cast<uint32_t>(bytes.size());
  p.remote = remote;
  p.tos = tos;
  if (channel.Push(p)) return true;
  engine.pool()->Give(&p.slot, 1);
  return false;
}

inline void Drain(Engine& engine) {
  Packet out[kBatchMax];
  for (UserChannel* channel : {engine.overlay_channel(), engine.underlay_channel()}) {
    while (size_t n = channel->Pull(out, kBatchMax)) {
      for (size_t i = 0; i < n; i++) engine.pool()->Give(&out[i].slot, 1);
    }
  }
}

}  // namespace twill::test
