// The Internet checksum: a loop over 16-bit words, the scalar loop, and what this processor was found to
// have.
#include "base/checksum.h"

#include <memory>

#include "bench/native/loops.h"
#include "transport_packets.h"

namespace twill_bench {
namespace {

void Add(std::vector<Loop>& loops) {
  for (size_t bytes : {64u, 1448u, 65160u}) {
    auto data = std::make_shared<std::vector<uint8_t>>(bytes, 0x5a);
    auto loop = [&](const char* variant, uint16_t (*sum)(const uint8_t*, size_t, uint32_t)) {
      auto run = [data, sum]() -> uint64_t {
        Keep(sum(data->data(), data->size(), 0));
        return data->size();
      };
      loops.push_back({"micro", "checksum of " + std::to_string(bytes) + " B", variant, "bytes", run});
    };
    loop("naive", twill_test::SlowSum);
    loop("scalar", twill::ChecksumSumScalar);
    loop(twill::ChecksumKind(), twill::ChecksumSum);
  }
}

const Registered kRegistered(Add);

}  // namespace
}  // namespace twill_bench
