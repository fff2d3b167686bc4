// An engine between two user ports, as a test drives it: packets in by hand, what comes out given back.
#pragma once

#include <algorithm>
#include <span>

#include "engine/engine.h"

namespace twill::test {

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
