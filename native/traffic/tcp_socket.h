// What the two ends of a TCP bulk share: sizes, congestion control, and a wait over many streams.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <vector>

#include "base/clock.h"
#include "traffic/socket.h"

namespace twill::traffic {

inline constexpr size_t kTcpBufferBytes = 128 << 10;

// CUBIC paces nothing and is what most systems use; where it is missing the system's default stays.
inline void UseCubic(const Fd& fd) {
  constexpr char kName[] = "cubic";
  setsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, kName, sizeof kName - 1);
}

// False when `deadline_ns` came first.
inline Result<bool> WaitForAny(std::vector<pollfd>& fds, uint64_t deadline_ns) {
  for (;;) {
    uint64_t now = MonotonicNs();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    timespec limit{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
    int ready = ::ppoll(fds.data(), fds.size(), &limit, nullptr);
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return Error::System("ERR_TWILL_SOCKET", "ppoll", errno, "cannot wait for sockets");
  }
}

}  // namespace twill::traffic
