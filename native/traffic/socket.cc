#include "traffic/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <cerrno>

#include "base/clock.h"

namespace twill::traffic {
namespace {
constexpr int kSocketBufferBytes = 8 << 20;
}

SocketAddress ToSocketAddress(const Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.family == 4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    std::memcpy(&v4->sin_addr, endpoint.address.bytes.data(), 4);
    out.len_bytes = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    std::memcpy(&v6->sin6_addr, endpoint.address.bytes.data(), 16);
    out.len_bytes = sizeof *v6;
  }
  return out;
}

std::string ToText(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = "?";
  inet_ntop(endpoint.address.family == 4 ? AF_INET : AF_INET6, endpoint.address.bytes.data(), text,
            sizeof text);
  std::string address = endpoint.address.family == 4 ? text : "[" + std::string(text) + "]";
  return address + ":" + std::to_string(endpoint.port);
}

Result<Fd> OpenSocket(const IpAddr& address, int type, int protocol) {
  int domain = address.family == 4 ? AF_INET : AF_INET6;
  Fd fd(::socket(domain, type | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) {
    bool denied = errno == EPERM || errno == EACCES;
    return Error::System(denied ? "ERR_TWILL_PRIVILEGE" : "ERR_TWILL_SOCKET", "socket", errno,
                         denied ? "cannot open a raw socket (needs CAP_NET_RAW)" : "cannot open a socket");
  }
  return fd;
}

Result<uint16_t> BindTo(const Fd& fd, const Endpoint& endpoint) {
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  SocketAddress address = ToSocketAddress(endpoint);
  if (::bind(fd.get(), address.get(), address.len_bytes) != 0)
    return Error::System("ERR_TWILL_SOCKET", "bind", errno, "cannot bind " + ToText(endpoint));
  SocketAddress bound;
  bound.len_bytes = sizeof bound.storage;
  if (::getsockname(fd.get(), bound.get(), &bound.len_bytes) != 0)
    return Error::System("ERR_TWILL_SOCKET", "getsockname", errno, "cannot read the address of a socket");
  // The port stands at the same place for both families.
  return ntohs(reinterpret_cast<sockaddr_in*>(&bound.storage)->sin_port);
}

void WidenBuffers(const Fd& fd) {
  for (auto [force, plain] : {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, std::pair{SO_SNDBUFFORCE, SO_SNDBUF}}) {
    int bytes = kSocketBufferBytes;
    if (setsockopt(fd.get(), SOL_SOCKET, force, &bytes, sizeof bytes) != 0)
      setsockopt(fd.get(), SOL_SOCKET, plain, &bytes, sizeof bytes);
  }
}

Result<bool> WaitFor(const Fd& fd, short events, uint64_t deadline_ns) {
  for (;;) {
    uint64_t now = MonotonicNs();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    timespec limit{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
    pollfd p{fd.get(), events, 0};
    int ready = ::ppoll(&p, 1, &limit, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return Error::System("ERR_TWILL_SOCKET", "ppoll", errno, "cannot wait for a socket");
  }
}

}  // namespace twill::traffic
