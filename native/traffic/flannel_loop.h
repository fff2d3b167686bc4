// Flannel's udp proxy as a loop: one thread, poll(2), one read and one sendto for each packet, nothing else.
// No offload, no batch, no larger socket buffer, no check of the sender: slow on purpose, as the original.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "traffic/flannel_rules.h"

namespace twill::traffic {

struct FlannelLoopOptions {
  std::string device;  // `flannel%d`: the kernel picks the number
  Endpoint local;      // of the socket, IPv4
  IpAddr own;          // address of the device, source of ICMP errors
  uint32_t mtu_bytes = 1472;
  std::vector<FlannelRoute> routes;
  int stop_fd = -1;  // readable or closed: the end. In the place of flannel's control channel
};

// `opened` makes the device usable (address, MTU, route) before the socket is bound, in flannel's order;
// false ends all. `ready` is called when packets flow. Returns when `stop_fd` says so.
Result<> RunFlannelLoop(const FlannelLoopOptions& options,
                        const std::function<bool(const std::string& name, int index)>& opened,
                        const std::function<void()>& ready);

}  // namespace twill::traffic
