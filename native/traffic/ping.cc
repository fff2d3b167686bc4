#include "traffic/ping.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "base/byte_order.h"
#include "base/clock.h"
#include "traffic/socket.h"

namespace twill::traffic {
namespace {

constexpr size_t kHeadBytes = 8;  // type, code, checksum, identifier, sequence

// RFC 1071, without any of the dataplane's own code: a tool must not agree with what it measures by sharing
// its faults.
uint16_t PlainChecksum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<uint32_t>(bytes[i] << 8) + (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// Only echo replies reach the socket.
void FilterReplies(const Fd& fd, const IpAddr& to) {
  if (to.family == 4) {
    // ICMP_FILTER of <linux/icmp.h>, which cannot be included beside <netinet/ip_icmp.h>.
    constexpr int kIcmpFilter = 1;
    uint32_t blocked = ~(1u << ICMP_ECHOREPLY);
    setsockopt(fd.get(), SOL_RAW, kIcmpFilter, &blocked, sizeof blocked);
  } else {
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }
}

class Pinger {
 public:
  Pinger(Fd fd, const PingOptions& options)
      : fd_(std::move(fd)),
        options_(options),
        to_(ToSocketAddress(Endpoint{options.to, 0})),
        request_(kHeadBytes + options.payload_bytes),
        sent_ns_(options.count, 0),
        answered_(options.count, false) {
    if (getrandom(&id_, sizeof id_, GRND_NONBLOCK) != sizeof id_)
      id_ = static_cast<uint16_t>(MonotonicNs() >> 10);
    for (size_t i = kHeadBytes; i < request_.size(); i++) request_[i] = static_cast<uint8_t>(i * 7);
    request_[0] = options.to.family == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    StoreBe16(&request_[4], id_);
    result_.rtts_us.reserve(options.count);
  }

  Result<PingResult> Run() {
    uint64_t next_ns = MonotonicNs();
    while (result_.sent < options_.count) {
      if (Result<> sent = Send(); !sent) return sent.error();
      next_ns += options_.interval_us * 1000;
      if (Result<> taken = TakeUntil(next_ns, false); !taken) return taken.error();
    }
    uint64_t last_ns = MonotonicNs() + options_.timeout_ms * 1'000'000;
    if (Result<> taken = TakeUntil(last_ns, true); !taken) return taken.error();
    return std::move(result_);
  }

 private:
  Result<> Send() {
    uint16_t number = static_cast<uint16_t>(result_.sent++);
    StoreBe16(&request_[6], number);
    StoreBe16(&request_[2], 0);
    // The kernel fills in ICMPv6's checksum itself.
    if (options_.to.family == 4) StoreBe16(&request_[2], PlainChecksum(request_));
    sent_ns_[number] = MonotonicNs();
    if (::sendto(fd_.get(), request_.data(), request_.size(), 0, to_.get(), to_.len_bytes) >= 0)
      return Unit{};
    switch (errno) {
      case EAGAIN:
      case EINTR:
      case ENOBUFS:
      case ENETUNREACH:
      case EHOSTUNREACH:
      case ENETDOWN:
      case EINVAL:  // what a blackhole route answers
        return Unit{};
      default:
        return Error::System("ERR_TWILL_SOCKET", "sendto", errno, "cannot send an echo request");
    }
  }

  Result<> TakeUntil(uint64_t deadline_ns, bool stop_when_all) {
    for (;;) {
      if (stop_when_all && result_.received == result_.sent) return Unit{};
      Result<bool> ready = WaitFor(fd_, POLLIN, deadline_ns);
      if (!ready) return ready.error();
      if (!*ready) return Unit{};
      SocketAddress from;
      from.len_bytes = sizeof from.storage;
      ssize_t n =
          ::recvfrom(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT, from.get(), &from.len_bytes);
      uint64_t now = MonotonicNs();
      if (n > 0 && FromPeer(from)) Take(static_cast<size_t>(n), now);
      if (now >= deadline_ns) return Unit{};
    }
  }

  bool FromPeer(const SocketAddress& from) const {
    if (options_.to.family == 4) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(from.get());
      return std::memcmp(&v4->sin_addr, options_.to.bytes.data(), 4) == 0;
    }
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(from.get());
    return std::memcmp(&v6->sin6_addr, options_.to.bytes.data(), 16) == 0;
  }

  // A raw IPv4 socket hands out the IP header too, an IPv6 one does not.
  void Take(size_t len, uint64_t now) {
    size_t skip = options_.to.family == 4 ? (buffer_[0] & 0xfu) * 4u : 0;
    if (len < skip + kHeadBytes) return;
    const uint8_t* reply = buffer_.data() + skip;
    if (LoadBe16(reply + 4) != id_) return;
    uint16_t number = LoadBe16(reply + 6);
    if (number >= result_.sent) return;
    if (answered_[number]) {
      result_.duplicated++;
      return;
    }
    bool same = len - skip == request_.size() && std::memcmp(reply + kHeadBytes, request_.data() + kHeadBytes,
                                                             request_.size() - kHeadBytes) == 0;
    if (!same) {
      result_.corrupted++;
      return;
    }
    answered_[number] = true;
    result_.received++;
    result_.rtts_us.push_back(static_cast<double>(now - sent_ns_[number]) / 1e3);
  }

  Fd fd_;
  const PingOptions options_;
  const SocketAddress to_;
  uint16_t id_ = 0;
  std::vector<uint8_t> request_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(1 << 16);
  std::vector<uint64_t> sent_ns_;
  std::vector<bool> answered_;
  PingResult result_;
};

}  // namespace

Result<PingResult> IcmpPing(const PingOptions& options) {
  int protocol = options.to.family == 4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  Result<Fd> fd = OpenSocket(options.to, SOCK_RAW, protocol);
  if (!fd) return fd.error();
  FilterReplies(*fd, options.to);
  WidenBuffers(*fd);
  return Pinger(std::move(*fd), options).Run();
}

}  // namespace twill::traffic
