// A super-packet cut into segments: each built anew, against headers written beside a payload that stays in
// place.
#include "offload/segment.h"

#include <array>
#include <memory>

#include "bench/micro/super_packet.h"
#include "bench/native/loops.h"
#include "offload/virtio.h"

namespace twill_bench {
namespace {

void Add(std::vector<Loop>& loops) {
  auto super = std::make_shared<SuperPacket>();
  const char* name = "segment a TCP super-packet of 61 kB";
  loops.push_back({"micro", name, "naive", "bytes", [super]() -> uint64_t {
                     for (size_t i = 0; i < SuperPacket::kSegments; i++) Keep(super->Segment(i));
                     return super->bytes.size();
                   }});
  loops.push_back({"micro", name, "Twill", "bytes", [super]() -> uint64_t {
                     twill::Segmenter segmenter(super->packet);
                     std::array<uint8_t, twill::kInnerHeadersMax> headers;
                     for (size_t i = 0; i < segmenter.count(); i++) {
                       Keep(segmenter.Write(i, headers.data()));
                       Keep(headers);
                     }
                     return super->bytes.size();
                   }});
}

const Registered kRegistered(Add);

}  // namespace
}  // namespace twill_bench
