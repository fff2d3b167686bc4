// Segments of one TCP stream joined to super-packets, checksums verified: copied together one by one, against
// groups whose payloads stay in place.
#include "offload/coalesce.h"

#include <cstring>
#include <memory>

#include "bench/micro/super_packet.h"
#include "bench/native/loops.h"

namespace twill_bench {
namespace {

using twill_test::Bytes;

struct Segments {
  Segments() : pool(std::move(*twill::Pool::Open(16, 2048))), batch(*pool) {
    SuperPacket super;
    for (size_t i = 0; i < SuperPacket::kSegments; i++) {
      packets.push_back(super.Segment(i));
      total_bytes += packets.back().size();
    }
    header_bytes = super.packet.header_bytes;
    for (Bytes& bytes : packets) {
      twill::Packet packet;
      packet.data = bytes.data();
      packet.len = static_cast<uint32_t>(bytes.size());
      packet.slot = twill::kNoSlot;
      batch.Adopt(packet);
    }
  }

  std::unique_ptr<twill::Pool> pool;
  twill::Batch batch;
  std::vector<Bytes> packets;
  size_t total_bytes = 0, header_bytes = 0;
  twill::Coalescer coalescer;
};

uint64_t Naive(const Segments& s) {
  Bytes joined = s.packets[0];
  twill_test::Shape four;
  for (const Bytes& packet : s.packets) {
    if (twill_test::SlowSum(packet.data(), 20) != 0xffff) return 0;
    if (twill_test::SlowSum(&packet[20], packet.size() - 20, twill_test::PseudoSum(packet, four)) != 0xffff)
      return 0;
    if (&packet == &s.packets[0]) continue;
    if (std::memcmp(&packet[12], &joined[12], 12) != 0) return 0;
    joined.insert(joined.end(), packet.begin() + static_cast<ptrdiff_t>(s.header_bytes), packet.end());
  }
  Keep(joined);
  return s.total_bytes;
}

uint64_t Ours(Segments& s) {
  uint8_t headers[twill::kInnerHeadersMax];
  auto groups = s.coalescer.Run(s.batch, {});
  for (const twill::Coalescer::Group& group : groups) {
    if (group.count > 1) Keep(twill::WriteGroupHeaders(group, s.batch[group.first], headers));
  }
  // It would say much of speed if nothing had been joined.
  return groups.size() == 1 ? s.total_bytes : 0;
}

void Add(std::vector<Loop>& loops) {
  auto segments = std::make_shared<Segments>();
  const char* name = "coalesce 44 TCP segments";
  loops.push_back({"micro", name, "naive", "bytes", [segments] { return Naive(*segments); }});
  loops.push_back({"micro", name, "Twill", "bytes", [segments] { return Ours(*segments); }});
}

const Registered kRegistered(Add);

}  // namespace
}  // namespace twill_bench
