#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/byte_order.h"
#include "traffic/stream_hash.h"
#include "traffic/tcp.h"
#include "traffic/tcp_socket.h"

namespace twill::traffic {
namespace {

// Noise that no layer can compress or coalesce into something else, with the stream's offset stamped into
// every page, so that a page out of place changes the hash.
class Payload {
 public:
  explicit Payload(uint64_t stream) : stream_(stream), bytes_(kTcpBufferBytes) {
    uint64_t x = stream + 1;
    for (size_t i = 0; i < bytes_.size(); i += sizeof x) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      std::memcpy(&bytes_[i], &x, sizeof x);
    }
    Stamp(0);
  }

  // The bytes at `offset` of the stream, as many as there are in one piece.
  std::pair<const uint8_t*, size_t> At(uint64_t offset) {
    size_t within = offset % bytes_.size();
    if (offset - within != base_) Stamp(offset - within);
    return {bytes_.data() + within, bytes_.size() - within};
  }

 private:
  static constexpr size_t kPageBytes = 4096;

  void Stamp(uint64_t base) {
    base_ = base;
    for (size_t i = 0; i < bytes_.size(); i += kPageBytes) {
      uint64_t word = SwapToBig(base + i == 0 ? stream_ : base + i);
      std::memcpy(&bytes_[i], &word, sizeof word);
    }
  }

  uint64_t stream_;
  uint64_t base_ = 0;
  std::vector<uint8_t> bytes_;
};

struct Stream {
  Fd fd;
  Payload payload;
  StreamHash hash;
  uint64_t sent = 0;
  bool sending = true;
  bool complete = false;
};

Error Refused(const char* syscall, int sys_errno, const Endpoint& to) {
  return Error::System("ERR_TWILL_SOCKET", syscall, sys_errno, "cannot send to " + ToText(to));
}

Result<Fd> Connect(const Endpoint& to, uint64_t deadline_ns) {
  Result<Fd> fd = OpenSocket(to.address, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (!fd) return fd;
  UseCubic(*fd);
  SocketAddress address = ToSocketAddress(to);
  if (::connect(fd->get(), address.get(), address.len_bytes) == 0) return fd;
  if (errno != EINPROGRESS) return Refused("connect", errno, to);
  Result<bool> ready = WaitFor(*fd, POLLOUT, deadline_ns);
  if (!ready) return ready.error();
  if (!*ready) return Refused("connect", ETIMEDOUT, to);
  int outcome = 0;
  socklen_t len = sizeof outcome;
  getsockopt(fd->get(), SOL_SOCKET, SO_ERROR, &outcome, &len);
  if (outcome != 0) return Refused("connect", outcome, to);
  return fd;
}

// One write of what the socket takes now.
Result<> SendSome(Stream& s, const TcpSendOptions& options) {
  auto [data, len] = s.payload.At(s.sent);
  if (options.bytes > 0) len = std::min<uint64_t>(len, options.bytes - s.sent);
  ssize_t n = ::send(s.fd.get(), data, len, MSG_NOSIGNAL);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return Unit{};
    return Refused("send", errno, options.to);
  }
  s.hash.Update(data, static_cast<size_t>(n));
  s.sent += static_cast<uint64_t>(n);
  if (options.bytes > 0 && s.sent == options.bytes) s.sending = false;
  return Unit{};
}

Result<> SendAll(std::vector<Stream>& streams, const TcpSendOptions& options, uint64_t stop_ns, bool timed) {
  std::vector<pollfd> fds;
  for (;;) {
    fds.clear();
    for (Stream& s : streams) fds.push_back({s.sending ? s.fd.get() : -1, POLLOUT, 0});
    if (std::none_of(streams.begin(), streams.end(), [](const Stream& s) { return s.sending; }))
      return Unit{};
    Result<bool> ready = WaitForAny(fds, stop_ns);
    if (!ready) return ready.error();
    if (MonotonicNs() >= stop_ns) return timed ? Result<>(Unit{}) : Refused("send", ETIMEDOUT, options.to);
    for (size_t i = 0; i < streams.size(); i++) {
      if (fds[i].revents == 0) continue;
      if (Result<> done = SendSome(streams[i], options); !done) return done;
    }
  }
}

// The receiver closes when it has read everything: its end of stream is our receipt.
Result<> AwaitReceipts(std::vector<Stream>& streams, const TcpSendOptions& options, uint64_t deadline_ns) {
  for (Stream& s : streams) {
    ::shutdown(s.fd.get(), SHUT_WR);
    Result<bool> ready = WaitFor(s.fd, POLLIN, deadline_ns);
    if (!ready) return ready.error();
    if (!*ready) return Refused("recv", ETIMEDOUT, options.to);
    uint8_t byte;
    ssize_t n = ::recv(s.fd.get(), &byte, sizeof byte, 0);
    if (n < 0) return Refused("recv", errno, options.to);
    s.complete = n == 0;
  }
  return Unit{};
}

}  // namespace

Result<TcpResult> TcpSend(const TcpSendOptions& options) {
  uint64_t deadline_ns = MonotonicNs() + options.timeout_ms * 1'000'000;
  std::vector<Stream> streams;
  for (uint32_t i = 0; i < options.streams; i++) {
    Result<Fd> fd = Connect(options.to, deadline_ns);
    if (!fd) return fd.error();
    streams.push_back(Stream{.fd = std::move(*fd), .payload = Payload(i), .hash = {}});
  }
  uint64_t start_ns = MonotonicNs();
  uint64_t end_ns = start_ns + options.duration_ms * 1'000'000;
  bool timed = options.duration_ms > 0 && end_ns < deadline_ns;
  if (Result<> sent = SendAll(streams, options, timed ? end_ns : deadline_ns, timed); !sent)
    return sent.error();

  TcpResult result;
  result.seconds = static_cast<double>(MonotonicNs() - start_ns) / 1e9;
  if (Result<> taken = AwaitReceipts(streams, options, deadline_ns); !taken) return taken.error();
  for (uint32_t i = 0; i < options.streams; i++) {
    const Stream& s = streams[i];
    result.bytes += s.sent;
    result.streams.push_back({i, s.sent, s.hash.Digest(), s.complete});
  }
  return result;
}

}  // namespace twill::traffic
