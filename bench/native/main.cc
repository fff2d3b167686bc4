// `twill_bench PART`: times every loop of a part and prints one JSON object a line. `twill_bench --once` runs
// each loop once, as a test.
#include <algorithm>
#include <cstdio>
#include <string_view>

#include "base/clock.h"
#include "bench/native/loops.h"

namespace twill_bench {

std::vector<Loop>& Loops() {
  static std::vector<Loop> loops;
  return loops;
}

namespace {

constexpr uint64_t kSampleNs = 40'000'000;
constexpr int kSamples = 7;

// Units a second: the median of several samples. `spread`: half of what lies between the extremes, of the
// median.
struct Speed {
  double per_second = 0, spread = 0;
};

Speed Time(const Loop& loop) {
  std::vector<double> speeds;
  for (int sample = -1; sample < kSamples; sample++) {  // the first warms up
    uint64_t start = twill::MonotonicNs(), now = start, done = 0;
    while (now - start < kSampleNs) {
      for (int i = 0; i < 16; i++) done += loop.run();
      now = twill::MonotonicNs();
    }
    if (sample >= 0) speeds.push_back(static_cast<double>(done) * 1e9 / static_cast<double>(now - start));
  }
  std::sort(speeds.begin(), speeds.end());
  double median = speeds[kSamples / 2];
  return {median, (speeds.back() - speeds.front()) / 2 / median};
}

// False where a loop did nothing: its speed would be one of nothing.
bool RunPart(std::string_view part, bool once) {
  for (const Loop& loop : Loops()) {
    if (!part.empty() && part != loop.part) continue;
    if (loop.run() == 0) {
      std::fprintf(stderr, "%s (%s) does nothing\n", loop.name.c_str(), loop.variant.c_str());
      return false;
    }
    if (once) continue;
    Speed speed = Time(loop);
    std::printf("{\"name\":\"%s\",\"variant\":\"%s\",\"unit\":\"%s\",\"perSecond\":%.6g,\"spread\":%.3g}\n",
                loop.name.c_str(), loop.variant.c_str(), loop.unit.c_str(), speed.per_second, speed.spread);
    std::fflush(stdout);
  }
  return true;
}

}  // namespace
}  // namespace twill_bench

int main(int argc, char** argv) {
  std::string_view part = argc > 1 ? argv[1] : "";
  bool once = part == "--once";
  return twill_bench::RunPart(once ? "" : part, once) ? 0 : 1;
}
