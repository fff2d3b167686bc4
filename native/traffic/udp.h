// UDP flow: numbered datagrams at a rate or as fast as the system takes them, counted at the far end. A few
// with the highest number of all end it, so that the receiver need not guess from silence, which a busy
// machine makes too.
//
//    0               8               16
//    +---------------+---------------+------- - -
//    | number        | sent at (ns)  | filling        both in network order; the time is CLOCK_MONOTONIC, so
//    the
//    +---------------+---------------+------- - -     delay holds between processes of one machine
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/result.h"
#include "traffic/socket.h"

namespace twill::traffic {

inline constexpr size_t kUdpHeadBytes = 16;
inline constexpr size_t kUdpMaxPayloadBytes = 65507;
inline constexpr uint64_t kUdpEndNumber = ~uint64_t{0};

struct UdpSendOptions {
  Endpoint to;
  uint32_t payload_bytes = 64;      // kUdpHeadBytes .. kUdpMaxPayloadBytes
  uint64_t packets_per_second = 0;  // 0: unlimited
  uint64_t duration_ms = 1000;
};

struct UdpSendResult {
  uint64_t sent = 0;     // numbers 0 .. sent - 1 were used
  uint64_t refused = 0;  // of those, not taken by our own system (no buffer): never on the way
  double seconds = 0;
};

struct UdpReceiveOptions {
  Endpoint at;                // port 0: the system chooses
  uint64_t quiet_ms = 2000;   // ends this long after the last datagram where the end itself was lost
  uint64_t timeout_ms = 0;    // ends then in any case
  uint32_t buffer_bytes = 0;  // socket buffer; 0: as large as we may
};

struct UdpReceiveResult {
  uint64_t received = 0;  // different numbers
  uint64_t bytes = 0;     // payload of all datagrams
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t malformed = 0;  // too short to hold a number
  uint64_t next = 0;       // one above the highest number: what is missing below is lost
  uint64_t lost = 0;       // below `next`; only the sender knows what was lost after it
  double seconds = 0;      // first to last datagram
  double mean_delay_us = 0;
};

Result<UdpSendResult> UdpSend(const UdpSendOptions& options);
Result<UdpReceiveResult> UdpReceive(const UdpReceiveOptions& options, const ReadyCallback& ready);

}  // namespace twill::traffic
