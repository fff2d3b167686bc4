// Small pieces every traffic tool shares: addresses for the socket calls, sockets with room, waits with an
// end.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/address.h"
#include "base/fd.h"
#include "base/result.h"

namespace twill::traffic {

// An endpoint as the socket calls want it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t len_bytes = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// Told the bound port once the receiving socket is open: only now may the other side start.
using ReadyCallback = std::function<void(uint16_t port)>;

SocketAddress ToSocketAddress(const Endpoint& endpoint);
std::string ToText(const Endpoint& endpoint);

Result<Fd> OpenSocket(const IpAddr& address, int type, int protocol);
Result<uint16_t> BindTo(const Fd& fd, const Endpoint& endpoint);

// 8 MB where we may, else what the system's limit grants: a burst must not be lost in the tool itself.
void WidenBuffers(const Fd& fd);

// Waits until one of `events` shows on `fd`: false when `deadline_ns` (monotonic) came first.
Result<bool> WaitFor(const Fd& fd, short events, uint64_t deadline_ns);

}  // namespace twill::traffic
