#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/udp.h>

#include "port/udp.h"

namespace twill {

namespace {

// Room for bursts that arrive while a worker is not scheduled.
constexpr int kSocketBufferBytes = 8 << 20;

std::string Text(const IpAddr& a) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(a.family == 4 ? AF_INET : AF_INET6, a.bytes.data(), text, sizeof text);
  return text;
}

socklen_t ToSockaddr(const IpAddr& a, uint16_t port, sockaddr_in6& out) {
  std::memset(&out, 0, sizeof out);
  if (a.family == 4) {
    auto& four = reinterpret_cast<sockaddr_in&>(out);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::memcpy(&four.sin_addr, a.bytes.data(), 4);
    return sizeof four;
  }
  out.sin6_family = AF_INET6;
  out.sin6_port = htons(port);
  std::memcpy(&out.sin6_addr, a.bytes.data(), 16);
  return sizeof out;
}

int SetInt(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

// The "FORCE" form passes the system's limit where we may; else as much as allowed.
void SetBuffer(int fd, int force, int plain, int bytes) {
  if (SetInt(fd, SOL_SOCKET, force, bytes) != 0) SetInt(fd, SOL_SOCKET, plain, bytes);
}

Result<Fd> OpenSocket(uint8_t family) {
  Fd fd(socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return Error::System("ERR_TWILL_SOCKET", "socket", errno,
                         family == 4 ? "cannot open a UDP socket" : "cannot open an IPv6 UDP socket");
  }
  // DF clear, as flannel's peers send: a datagram above the path MTU is cut, not lost.
  if (family == 4) {
    SetInt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  } else {
    SetInt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    SetInt(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  }
  SetBuffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, kSocketBufferBytes);
  return fd;
}

Error BindError(const IpAddr& address, uint16_t port, int sys_errno) {
  std::string what = "cannot bind UDP port " + std::to_string(port) + " on " + Text(address);
  if (sys_errno == EADDRINUSE) {
    what +=
        " (another process or a kernel vxlan device holds it; \"ss -lunp\" and \"ip -d link\" show which)";
  } else if (sys_errno == EADDRNOTAVAIL) {
    what += " (no interface has that address)";
  }
  return Error::System("ERR_TWILL_SOCKET", "bind", sys_errno, std::move(what));
}

Result<Fd> OpenReceiver(const UdpConfig& config, bool shared) {
  auto opened = OpenSocket(config.bind_address.family);
  if (!opened) return opened;
  int fd = opened->get();
  SetBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, kSocketBufferBytes);
  if (config.bind_address.family == 4) {
    SetInt(fd, IPPROTO_IP, IP_RECVTOS, 1);
  } else {
    SetInt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  }
  if (shared) SetInt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  sockaddr_in6 address;
  socklen_t len = ToSockaddr(config.bind_address, config.port, address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), len) != 0) {
    return BindError(config.bind_address, config.port, errno);
  }
  return opened;
}

// A socket that only sends: whatever arrives on it is dropped by a filter at once.
Result<Fd> OpenSource(const UdpConfig& config) {
  auto opened = OpenSocket(config.source_address.family);
  if (!opened) return opened;
  sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
  sock_fprog program{1, &none};
  setsockopt(opened->get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  sockaddr_in6 address;
  // Port 0: the kernel takes one from ip_local_port_range.
  socklen_t len = ToSockaddr(config.source_address, 0, address);
  if (bind(opened->get(), reinterpret_cast<sockaddr*>(&address), len) != 0) {
    return BindError(config.source_address, 0, errno);
  }
  return opened;
}

}  // namespace

Result<UdpSockets> OpenUdp(const UdpConfig& config, size_t workers, Offloads& offloads) {
  UdpSockets sockets;
  sockets.family = config.bind_address.family;
  {
    // SO_REUSEPORT would let a second Twill join in silence: ask for the port alone first.
    auto probe = OpenReceiver(config, false);
    if (!probe) return probe.error();
    if (workers == 1) sockets.receivers.push_back(std::move(*probe));
  }
  while (sockets.receivers.size() < workers) {
    auto receiver = OpenReceiver(config, true);
    if (!receiver) return receiver.error();
    sockets.receivers.push_back(std::move(*receiver));
  }
  for (const Fd& receiver : sockets.receivers) {
    if (!offloads.active(Offload::kUdpGro)) break;
    if (SetInt(receiver.get(), IPPROTO_UDP, UDP_GRO, 1) != 0) offloads.Refuse(Offload::kUdpGro);
  }
  // A size of 0 means "no cutting" and asks only whether the option is known.
  bool segments = SetInt(sockets.receivers.front().get(), IPPROTO_UDP, UDP_SEGMENT, 0) == 0;
  if (!segments && offloads.active(Offload::kUdpSegment)) offloads.Refuse(Offload::kUdpSegment);
  auto bank = OpenBank(config);
  if (!bank) return bank.error();
  sockets.bank = std::move(*bank);
  return sockets;
}

Result<std::shared_ptr<const SourceBank>> OpenBank(const UdpConfig& config) {
  auto bank = std::make_shared<SourceBank>();
  for (size_t i = 0; i < config.source_ports; i++) {
    auto source = OpenSource(config);
    if (!source) return source.error();
    bank->push_back(std::move(*source));
  }
  return std::shared_ptr<const SourceBank>(std::move(bank));
}

}  // namespace twill
