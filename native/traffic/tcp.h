// TCP bulk: as much as fits through in a time, or a number of bytes, over one or more streams, each with a
// running hash at both ends so that what arrived can be compared with what was sent.
//
// Both calls block, use one thread for all streams, and end at their time limit at the latest.
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "traffic/socket.h"

namespace twill::traffic {

struct TcpStreamResult {
  uint64_t stream = 0;  // number the sender gave it: the first eight bytes of its payload
  uint64_t bytes = 0;
  uint64_t hash = 0;
  bool complete = false;  // the other side said that this is all / took all
};

struct TcpResult {
  uint64_t bytes = 0;
  double seconds = 0;  // sender: first to last write; receiver: first to last byte
  std::vector<TcpStreamResult> streams;
};

struct TcpSendOptions {
  Endpoint to;
  uint64_t duration_ms = 0;  // 0: until `bytes`
  uint64_t bytes = 0;        // of each stream; 0: until `duration_ms`
  uint32_t streams = 1;
  uint64_t timeout_ms = 0;  // for everything, connecting included
};

struct TcpReceiveOptions {
  Endpoint at;  // port 0: the system chooses
  uint32_t streams = 1;
  uint64_t timeout_ms = 0;
};

// Sends, then waits until the receiver has taken everything.
Result<TcpResult> TcpSend(const TcpSendOptions& options);

// Takes `streams` connections to their end. Streams that had not ended at the time limit are returned as not
// complete.
Result<TcpResult> TcpReceive(const TcpReceiveOptions& options, const ReadyCallback& ready);

}  // namespace twill::traffic
