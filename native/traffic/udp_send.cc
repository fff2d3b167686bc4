#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/byte_order.h"
#include "base/clock.h"
#include "traffic/udp.h"

namespace twill::traffic {
namespace {

constexpr uint32_t kBurst = 64;
// Of the datagrams that tell the end, in case some are lost in a full queue.
constexpr int kEnds = 4;
constexpr uint64_t kBetweenEndsNs = 10'000'000;
// Sleeping shorter than this costs more than it spaces.
constexpr uint64_t kShortestSleepNs = 50'000;

// A burst of datagrams with room for their numbers, laid out once.
class Burst {
 public:
  explicit Burst(uint32_t payload_bytes)
      : payload_bytes_(payload_bytes), bytes_(kBurst * payload_bytes, 0xa5) {
    for (uint32_t i = 0; i < kBurst; i++) {
      pieces_[i] = {&bytes_[i * payload_bytes], payload_bytes};
      messages_[i] = {};
      messages_[i].msg_hdr.msg_iov = &pieces_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  void Number(uint64_t first, uint32_t count) {
    uint64_t now = SwapToBig(MonotonicNs());
    for (uint32_t i = 0; i < count; i++) {
      uint64_t number = SwapToBig(first + i);
      uint8_t* p = &bytes_[i * payload_bytes_];
      std::memcpy(p, &number, sizeof number);
      std::memcpy(p + sizeof number, &now, sizeof now);
    }
  }

  mmsghdr* from(uint32_t i) { return &messages_[i]; }

 private:
  uint32_t payload_bytes_;
  std::vector<uint8_t> bytes_;
  iovec pieces_[kBurst];
  mmsghdr messages_[kBurst];
};

// Sends all `count`; what the system does not take is counted and left behind, as a NIC's full queue would.
Result<> SendBurst(const Fd& fd, Burst& burst, uint32_t count, UdpSendResult& result, const Endpoint& to) {
  for (uint32_t done = 0; done < count;) {
    int n = ::sendmmsg(fd.get(), burst.from(done), count - done, 0);
    if (n > 0) {
      done += static_cast<uint32_t>(n);
      continue;
    }
    switch (errno) {
      case EINTR:
        break;
      case ECONNREFUSED:  // the answer to an earlier datagram, reported once: this one was not tried
        break;
      case EAGAIN:
      case ENOBUFS:
      case ENETUNREACH:
      case EHOSTUNREACH:
        result.refused++;
        done++;
        break;
      default:
        return Error::System("ERR_TWILL_SOCKET", "sendmmsg", errno, "cannot send to " + ToText(to));
    }
  }
  return Unit{};
}

void SleepUntil(uint64_t when_ns) {
  timespec t{static_cast<time_t>(when_ns / 1'000'000'000), static_cast<long>(when_ns % 1'000'000'000)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

}  // namespace

Result<UdpSendResult> UdpSend(const UdpSendOptions& options) {
  Result<Fd> fd = OpenSocket(options.to.address, SOCK_DGRAM, 0);
  if (!fd) return fd.error();
  WidenBuffers(*fd);
  SocketAddress to = ToSocketAddress(options.to);
  if (::connect(fd->get(), to.get(), to.len_bytes) != 0)
    return Error::System("ERR_TWILL_SOCKET", "connect", errno, "cannot send to " + ToText(options.to));

  Burst burst(options.payload_bytes);
  UdpSendResult result;
  uint64_t start_ns = MonotonicNs();
  uint64_t end_ns = start_ns + options.duration_ms * 1'000'000;
  double per_ns = static_cast<double>(options.packets_per_second) / 1e9;
  for (uint64_t now = start_ns; now < end_ns; now = MonotonicNs()) {
    uint32_t count = kBurst;
    if (options.packets_per_second > 0) {
      uint64_t due = static_cast<uint64_t>(static_cast<double>(now - start_ns) * per_ns) + 1;
      if (due <= result.sent) {
        uint64_t next_ns = start_ns + static_cast<uint64_t>(static_cast<double>(result.sent) / per_ns);
        SleepUntil(std::min(std::max(next_ns, now + kShortestSleepNs), end_ns));
        continue;
      }
      count = static_cast<uint32_t>(std::min<uint64_t>(due - result.sent, kBurst));
    }
    burst.Number(result.sent, count);
    if (Result<> done = SendBurst(*fd, burst, count, result, options.to); !done) return done.error();
    result.sent += count;
  }
  uint64_t done_ns = MonotonicNs();
  result.seconds = static_cast<double>(done_ns - start_ns) / 1e9;
  for (int i = 0; i < kEnds; i++) {
    UdpSendResult uncounted;
    burst.Number(kUdpEndNumber, 1);
    if (Result<> done = SendBurst(*fd, burst, 1, uncounted, options.to); !done) return done.error();
    SleepUntil(done_ns + static_cast<uint64_t>(i + 1) * kBetweenEndsNs);
  }
  return result;
}

}  // namespace twill::traffic
