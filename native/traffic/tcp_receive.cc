#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/byte_order.h"
#include "traffic/stream_hash.h"
#include "traffic/tcp.h"
#include "traffic/tcp_socket.h"

namespace twill::traffic {
namespace {

struct Stream {
  Fd fd;
  StreamHash hash;
  uint64_t received = 0;
  std::array<uint8_t, 8> head{};  // the sender's number for this stream
  bool complete = false;
};

class Receiver {
 public:
  Receiver(Fd listener, uint32_t wanted) : listener_(std::move(listener)), wanted_(wanted) {}

  // Until every stream has ended, or the time is up.
  Result<> Run(uint64_t deadline_ns) {
    std::vector<pollfd> fds;
    while (streams_.size() < wanted_ || open_ > 0) {
      fds.assign(1, {streams_.size() < wanted_ ? listener_.get() : -1, POLLIN, 0});
      for (const Stream& s : streams_) fds.push_back({s.fd.get(), POLLIN, 0});
      Result<bool> ready = WaitForAny(fds, deadline_ns);
      if (!ready) return ready.error();
      if (!*ready) return Unit{};
      for (size_t i = 1; i < fds.size(); i++) {
        if (fds[i].revents == 0) continue;
        if (Result<> done = Take(streams_[i - 1]); !done) return done;
      }
      if (fds[0].revents != 0) Accept();
    }
    return Unit{};
  }

  TcpResult Finish() const {
    TcpResult result;
    result.seconds = static_cast<double>(last_ns_ - first_ns_) / 1e9;
    for (const Stream& s : streams_) {
      uint64_t number;
      std::memcpy(&number, s.head.data(), sizeof number);
      result.bytes += s.received;
      result.streams.push_back({SwapToBig(number), s.received, s.hash.Digest(), s.complete});
    }
    std::sort(result.streams.begin(), result.streams.end(),
              [](const TcpStreamResult& a, const TcpStreamResult& b) { return a.stream < b.stream; });
    return result;
  }

  bool AnyStream() const { return !streams_.empty(); }

 private:
  void Accept() {
    Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) return;
    streams_.push_back(Stream{.fd = std::move(fd), .hash = {}});
    open_++;
  }

  Result<> Take(Stream& s) {
    ssize_t n = ::recv(s.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) return Unit{};
      return Error::System("ERR_TWILL_SOCKET", "recv", errno, "a stream broke off");
    }
    if (n == 0) {
      s.complete = true;
      s.fd.Close();
      open_--;
      return Unit{};
    }
    last_ns_ = MonotonicNs();
    if (first_ns_ == 0) first_ns_ = last_ns_;
    size_t len = static_cast<size_t>(n);
    if (s.received < s.head.size()) {
      size_t part = std::min<size_t>(s.head.size() - s.received, len);
      std::memcpy(s.head.data() + s.received, buffer_.data(), part);
    }
    s.hash.Update(buffer_.data(), len);
    s.received += len;
    return Unit{};
  }

  Fd listener_;
  uint32_t wanted_;
  std::vector<Stream> streams_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(kTcpBufferBytes);
  size_t open_ = 0;
  uint64_t first_ns_ = 0;
  uint64_t last_ns_ = 0;
};

}  // namespace

Result<TcpResult> TcpReceive(const TcpReceiveOptions& options, const ReadyCallback& ready) {
  uint64_t deadline_ns = MonotonicNs() + options.timeout_ms * 1'000'000;
  Result<Fd> listener = OpenSocket(options.at.address, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (!listener) return listener.error();
  UseCubic(*listener);
  Result<uint16_t> port = BindTo(*listener, options.at);
  if (!port) return port.error();
  if (::listen(listener->get(), static_cast<int>(options.streams)) != 0)
    return Error::System("ERR_TWILL_SOCKET", "listen", errno, "cannot listen on " + ToText(options.at));
  ready(*port);

  Receiver receiver(std::move(*listener), options.streams);
  if (Result<> done = receiver.Run(deadline_ns); !done) return done.error();
  if (!receiver.AnyStream()) {
    return Error::System("ERR_TWILL_SOCKET", "accept", ETIMEDOUT,
                         "nobody connected to " + ToText(options.at) + " within " +
                             std::to_string(options.timeout_ms) + " ms");
  }
  return receiver.Finish();
}

}  // namespace twill::traffic
