// Changes to the peer table as the control plane sends them: fixed records in one
// byte array, so that a hundred thousand peers cross in one call.
//
//   offset 0  operation: 1 set, 2 delete, 3 clear
//          1  family of the subnet: 4 or 6       2  its prefix length
//          3  family of the endpoint: 4 or 6     4  its UDP port (2, network order)
//          6  VTEP MAC (6)                      12  reserved (4), zero
//         16  subnet address (16)               32  endpoint address (16)
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "table/peer_table.h"

namespace twill {

inline constexpr size_t kPeerOpBytes = 48;

struct PeerOp {
  enum class Kind : uint8_t { kSet = 1, kDelete = 2, kClear = 3 };
  Kind kind = Kind::kClear;
  Peer row;  // kSet: everything but the header; kDelete: the subnet
  Mac mac{};
};

Result<std::vector<PeerOp>> ParsePeerOps(std::span<const uint8_t> bytes);

}  // namespace twill
