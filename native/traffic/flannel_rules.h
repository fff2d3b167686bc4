// What flannel's udp proxy does to a packet, without any I/O: the route list, TTL and checksum, and the one
// ICMP error that it sends. Written anew from its observed behaviour, costs included: this is what Twill is
// measured against.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/byte_order.h"
#include "base/checksum.h"

namespace twill::traffic {

inline constexpr size_t kFlannelHeaderBytes = 20;  // an IPv4 header; what is shorter is dropped
inline constexpr size_t kFlannelUnreachableMaxBytes = 20 + 8 + 56 + 8;

struct FlannelRoute {
  uint32_t network = 0, mask = 0;  // network order, as they stand in a packet
  sockaddr_in next_hop{};
};

// An unsorted list, searched from the front; what was found moves there.
class FlannelRoutes {
 public:
  void Add(const FlannelRoute& route) { routes_.push_back(route); }
  const sockaddr_in* Find(uint32_t destination) {
    for (size_t i = 0; i < routes_.size(); i++) {
      if ((destination & routes_[i].mask) != routes_[i].network) continue;
      if (i > 0) std::swap(routes_[i], routes_[0]);
      return &routes_[0].next_hop;
    }
    return nullptr;
  }

 private:
  std::vector<FlannelRoute> routes_;
};

inline uint32_t FlannelDestination(const uint8_t* packet) {
  return LoadRaw<uint32_t>(packet + 16);
}

// One hop: false where the packet ends here, silently. A TTL of 0 wraps to 255.
inline bool FlannelDecrementTtl(uint8_t* packet) {
  if (--packet[8] == 0) return false;
  StoreBe16(packet + 10, ChecksumAfterTtlDecrement(LoadBe16(packet + 10)));
  return true;
}

// Net unreachable for a packet that no route leads to, from the node's tunnel address: the bytes written to
// `out` (kFlannelUnreachableMaxBytes), 0 where none is sent: about ICMP, about later fragments, with a header
// full of options.
inline size_t FlannelUnreachable(std::span<const uint8_t> packet, uint32_t own_address, uint8_t* out) {
  size_t header = (packet[0] & 0xfu) * 4u;
  bool later_fragment = (LoadBe16(&packet[6]) & 0x1fff) != 0;
  if (packet[9] == IPPROTO_ICMP || later_fragment || header >= 60 || header < kFlannelHeaderBytes) return 0;
  size_t quoted = header + 8, total = 28 + quoted;
  std::memset(out, 0, total);
  out[0] = 0x45;
  StoreBe16(out + 2, static_cast<uint16_t>(total));
  out[8] = 8;  // TTL
  out[9] = IPPROTO_ICMP;
  std::memcpy(out + 12, &own_address, 4);
  std::memcpy(out + 16, &packet[12], 4);
  StoreBe16(out + 10, Checksum(out, kFlannelHeaderBytes));
  out[20] = 3;  // destination unreachable, code 0: the network
  std::memcpy(out + 28, packet.data(), std::min(quoted, packet.size()));
  StoreBe16(out + 22, Checksum(out + 20, total - 20));
  return total;
}

}  // namespace twill::traffic
