#include "engine/peer_ops.h"

namespace twill {

Result<std::vector<PeerOp>> ParsePeerOps(std::span<const uint8_t> bytes) {
  auto wrong = [](size_t record, const char* what) {
    return Error{"ERR_TWILL_ARGUMENT", "peer operation " + std::to_string(record) + ": " + what};
  };
  std::vector<PeerOp> ops;
  ops.reserve(bytes.size() / kPeerOpBytes);
  if (bytes.size() % kPeerOpBytes != 0) return wrong(bytes.size() / kPeerOpBytes, "cut short");
  for (size_t i = 0; i < bytes.size() / kPeerOpBytes; i++) {
    const uint8_t* r = bytes.data() + i * kPeerOpBytes;
    PeerOp op;
    if (r[0] < 1 || r[0] > 3) return wrong(i, "unknown operation");
    op.kind = static_cast<PeerOp::Kind>(r[0]);
    if (op.kind != PeerOp::Kind::kClear) {
      if (r[1] != 4 && r[1] != 6) return wrong(i, "the subnet's family must be 4 or 6");
      if (r[2] > (r[1] == 4 ? 32 : 128)) return wrong(i, "prefix length out of range");
      op.row.subnet = {r[1] == 4 ? IpAddr::V4(r + 16) : IpAddr::V6(r + 16), r[2]};
    }
    if (op.kind == PeerOp::Kind::kSet) {
      if (r[3] != 4 && r[3] != 6) return wrong(i, "the endpoint's family must be 4 or 6");
      op.row.endpoint = {r[3] == 4 ? IpAddr::V4(r + 32) : IpAddr::V6(r + 32), LoadBe16(r + 4)};
      std::memcpy(op.mac.data(), r + 6, 6);
    }
    ops.push_back(op);
  }
  return ops;
}

}  // namespace twill
