// ICMP echo (RFC 792, RFC 4443 section 4.1) over a raw socket: needs CAP_NET_RAW in the network namespace's
// user namespace.
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace twill::traffic {

struct PingOptions {
  IpAddr to;
  uint32_t count = 1;           // at most 65,535: the sequence field has 16 bits
  uint64_t interval_us = 1000;  // between sends
  uint32_t payload_bytes = 56;  // at most 65,507
  uint64_t timeout_ms = 1000;   // how long to wait after the last send
};

struct PingResult {
  uint32_t sent = 0;
  uint32_t received = 0;
  uint32_t duplicated = 0;
  uint32_t corrupted = 0;       // answers whose payload is not what was sent; not counted as received
  std::vector<double> rtts_us;  // of the received, in order of arrival
};

// A request the system refuses to send for want of a route or buffer counts as sent and lost.
Result<PingResult> IcmpPing(const PingOptions& options);

}  // namespace twill::traffic
