#include "port/udp.h"

#include <arpa/inet.h>

namespace twill {

namespace {

DropReason SendFailure(int sys_errno) {
  switch (sys_errno) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      return DropReason::kSendNoBuffer;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
      return DropReason::kSendUnreachable;
    case EPERM:
    case EACCES:
      return DropReason::kSendDenied;
    case EMSGSIZE:
      return DropReason::kSendTooBig;
    default:
      return DropReason::kSendError;
  }
}

Endpoint RemoteOf(const sockaddr_in6& from) {
  Endpoint remote;
  if (from.sin6_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(from);
    remote.address = IpAddr::V4(reinterpret_cast<const uint8_t*>(&four.sin_addr));
    remote.port = ntohs(four.sin_port);
  } else if (from.sin6_family == AF_INET6) {
    remote.address = IpAddr::V6(reinterpret_cast<const uint8_t*>(&from.sin6_addr));
    remote.port = ntohs(from.sin6_port);
  }
  return remote;
}

uint8_t TosOf(msghdr& header) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS && c->cmsg_len >= CMSG_LEN(1)) {
      return *CMSG_DATA(c);
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS &&
        c->cmsg_len >= CMSG_LEN(sizeof(int))) {
      int value;
      std::memcpy(&value, CMSG_DATA(c), sizeof value);
      return static_cast<uint8_t>(value);
    }
  }
  return 0;
}

}  // namespace

UdpPort::UdpPort(Fd receiver, std::shared_ptr<const SourceBank> bank, uint8_t family)
    : receiver_(std::move(receiver)), bank_(std::move(bank)), family_(family) {
  for (size_t i = 0; i < kBatchMax; i++) {
    msghdr& h = headers_[i].msg_hdr;
    h.msg_name = &messages_[i].address;
    h.msg_iov = &messages_[i].io;
    h.msg_iovlen = 1;
    h.msg_control = messages_[i].control;
  }
}

size_t UdpPort::Recv(Batch& batch) {
  size_t first = batch.size();
  size_t want = batch.Grow(batch.room());
  if (want == 0) return 0;
  for (size_t i = 0; i < want; i++) {
    msghdr& h = headers_[i].msg_hdr;
    h.msg_namelen = sizeof(sockaddr_in6);
    h.msg_controllen = kControlBytes;
    messages_[i].io = {batch[first + i].data, batch.pool().packet_bytes()};
  }
  int got = recvmmsg(receiver_.get(), headers_.data(), static_cast<unsigned>(want), MSG_DONTWAIT, nullptr);
  size_t n = got > 0 ? static_cast<size_t>(got) : 0;  // EAGAIN; or an error that is already cleared by asking
  for (size_t i = 0; i < n; i++) {
    Packet& p = batch[first + i];
    msghdr& h = headers_[i].msg_hdr;
    p.len = headers_[i].msg_len;
    p.truncated = (h.msg_flags & MSG_TRUNC) != 0;
    p.remote = RemoteOf(messages_[i].address);
    p.tos = TosOf(h);
  }
  batch.Truncate(first + n);
  return n;
}

int UdpPort::SocketFor(const Packet& packet) const {
  if (bank_->empty()) return receiver_.get();
  // The high half of the product: spreads whatever the size of the bank.
  return (*bank_)[(static_cast<uint64_t>(packet.flow_hash) * bank_->size()) >> 32].get();
}

void UdpPort::Prepare(size_t i, Packet& packet) {
  Message& m = messages_[i];
  msghdr& h = headers_[i].msg_hdr;
  m.io = {packet.data, packet.len};
  const Endpoint& to = packet.remote;
  if (family_ == 4) {
    auto& four = reinterpret_cast<sockaddr_in&>(m.address);
    four.sin_family = AF_INET;
    four.sin_port = htons(to.port);
    std::memcpy(&four.sin_addr, to.address.bytes.data(), 4);
    h.msg_namelen = sizeof four;
  } else {
    m.address = sockaddr_in6{};
    m.address.sin6_family = AF_INET6;
    m.address.sin6_port = htons(to.port);
    std::memcpy(&m.address.sin6_addr, to.address.bytes.data(), 16);
    h.msg_namelen = sizeof m.address;
  }
  h.msg_controllen = 0;
  if (packet.tos != 0) {
    h.msg_controllen = CMSG_SPACE(sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = family_ == 4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = family_ == 4 ? IP_TOS : IPV6_TCLASS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    int value = packet.tos;
    std::memcpy(CMSG_DATA(c), &value, sizeof value);
  }
}

// Groups the packets by socket, keeping their order within each, and sends group by group.
void UdpPort::Send(Batch& batch) {
  std::array<Packet*, kBatchMax> group;
  std::array<int, kBatchMax> socket;
  size_t left = 0;
  for (size_t i = 0; i < batch.size(); i++) {
    bool ours = batch[i].remote.address.family == family_;
    socket[i] = ours ? SocketFor(batch[i]) : -1;
    left += ours;
  }
  for (size_t start = 0; left > 0; start++) {
    int fd = socket[start];
    if (fd < 0) continue;
    size_t n = 0;
    for (size_t i = start; i < batch.size(); i++) {
      if (socket[i] != fd) continue;
      group[n++] = &batch[i];
      socket[i] = -1;
    }
    Flush(fd, group.data(), n);
    left -= n;
  }
}

// sendmmsg stops at the first message that fails: that one gets its reason, the
// others go on.
void UdpPort::Flush(int fd, Packet* const* packets, size_t count) {
  for (size_t i = 0; i < count; i++) Prepare(i, *packets[i]);
  size_t done = 0;
  while (done < count) {
    int sent = sendmmsg(fd, &headers_[done], static_cast<unsigned>(count - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    packets[done]->drop = sent < 0 ? SendFailure(errno) : DropReason::kSendError;
    done++;
  }
}

}  // namespace twill
