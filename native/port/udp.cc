#include "port/udp.h"

#include <arpa/inet.h>
#include <linux/udp.h>

#include <algorithm>

namespace twill {

namespace {

// With UDP_GRO a message may be 64 kB: more of them would push the first out of the processor's cache.
constexpr size_t kMessagesWithGro = 16;

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

// What came beside the payload: the outer traffic class, and the size of the datagrams that were put
// together.
void ReadControl(msghdr& header, Packet& packet) {
  packet.tos = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    bool has_int = c->cmsg_len >= CMSG_LEN(sizeof(int));
    int value = 0;
    if (has_int) std::memcpy(&value, CMSG_DATA(c), sizeof value);
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS && c->cmsg_len >= CMSG_LEN(1)) {
      packet.tos = *CMSG_DATA(c);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS && has_int) {
      packet.tos = static_cast<uint8_t>(value);
    } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO && has_int) {
      // Anything senseless: one datagram, as it stands.
      if (value > 0 && static_cast<uint32_t>(value) < packet.len)
        packet.segment_bytes = static_cast<uint16_t>(value);
    }
  }
}

}  // namespace

UdpPort::UdpPort(Fd receiver, std::shared_ptr<const SourceBank> bank, uint8_t family, Offloads& offloads)
    : receiver_(std::move(receiver)),
      bank_(std::move(bank)),
      family_(family),
      offloads_(&offloads),
      sender_(family, offloads) {
  for (size_t i = 0; i < kMessages; i++) {
    msghdr& h = headers_[i].msg_hdr;
    h.msg_name = &messages_[i].address;
    h.msg_iov = &messages_[i].io;
    h.msg_iovlen = 1;
    h.msg_control = messages_[i].control;
  }
  for (const Fd& source : *bank_) {
    sockaddr_in6 address{};
    socklen_t len = sizeof address;
    // sin_port and sin6_port stand at the same place.
    getsockname(source.get(), reinterpret_cast<sockaddr*>(&address), &len);
    bank_ports_.push_back(ntohs(address.sin6_port));
  }
}

size_t UdpPort::Recv(Batch& batch) {
  size_t before = batch.size();
  if (!pending_) pending_.emplace(batch.pool());
  if (pending_at_ == pending_->size() && !Receive(batch.pool())) return 0;
  while (pending_at_ < pending_->size() && HandOut(batch)) {
  }
  return batch.size() - before;
}

bool UdpPort::Receive(Pool& pool) {
  pending_->Clear();
  pending_at_ = pending_offset_ = 0;
  size_t want = pending_->Grow(offloads_->active(Offload::kUdpGro) ? kMessagesWithGro : kMessages);
  for (size_t i = 0; i < want; i++) {
    msghdr& h = headers_[i].msg_hdr;
    h.msg_namelen = sizeof(sockaddr_in6);
    h.msg_controllen = kControlBytes;
    messages_[i].io = {(*pending_)[i].data, pool.packet_bytes()};
  }
  int got = want == 0 ? 0
                      : recvmmsg(receiver_.get(), headers_.data(), static_cast<unsigned>(want), MSG_DONTWAIT,
                                 nullptr);
  size_t n = got > 0 ? static_cast<size_t>(got) : 0;  // EAGAIN; or an error that is already cleared by asking
  for (size_t i = 0; i < n; i++) {
    Packet& p = (*pending_)[i];
    msghdr& h = headers_[i].msg_hdr;
    p.len = headers_[i].msg_len;
    p.truncated = (h.msg_flags & MSG_TRUNC) != 0;
    p.remote = RemoteOf(messages_[i].address);
    ReadControl(h, p);
  }
  pending_->Truncate(n);
  return n > 0;
}

// Moves the next message into the batch, cut into its datagrams; false where there is no room for all of them
// and the batch is worth carrying without.
bool UdpPort::HandOut(Batch& batch) {
  Packet& message = (*pending_)[pending_at_];
  if (message.segment_bytes == 0) {
    if (batch.room() == 0) return false;
    batch.Adopt(message);
    message.slot = kNoSlot;
    pending_at_++;
    return true;
  }
  size_t size = message.segment_bytes;
  size_t left = (message.len - pending_offset_ + size - 1) / size;
  if (left > batch.room() && !batch.empty()) return false;
  while (pending_offset_ < message.len && batch.room() > 0) {
    Packet view = message;
    view.slot = kNoSlot;
    view.segment_bytes = 0;
    view.data += pending_offset_;
    view.len = static_cast<uint32_t>(std::min(size, message.len - pending_offset_));
    pending_offset_ += view.len;
    batch.Adopt(view);
  }
  if (pending_offset_ < message.len) return false;
  batch.Hold(message.slot);
  message.slot = kNoSlot;
  pending_at_++;
  pending_offset_ = 0;
  return true;
}

uint16_t UdpPort::LocalPort(const Packet& packet) const {
  return bank_ports_.empty() ? 0 : bank_ports_[SourceOf(packet)];
}

int UdpPort::SocketFor(const Packet& packet) const {
  if (bank_->empty()) return receiver_.get();
  return (*bank_)[SourceOf(packet)].get();
}

// Groups the packets by socket, keeping their order within each, and sends group by group. Fragments and
// whole packets of one flow may have different sockets, so neither passes the other: a stretch of one kind
// goes before the next.
void UdpPort::Send(Batch& batch) {
  for (size_t begin = 0, end; begin < batch.size(); begin = end) {
    for (end = begin + 1; end < batch.size() && batch[end].hides_flow == batch[begin].hides_flow;) end++;
    SendStretch(batch, begin, end);
  }
}

void UdpPort::SendStretch(Batch& batch, size_t begin, size_t end) {
  std::array<Packet*, kBatchMax> group;
  std::array<int, kBatchMax> socket;
  size_t left = 0;
  for (size_t i = begin; i < end; i++) {
    bool ours = batch[i].remote.address.family == family_;
    socket[i] = ours ? SocketFor(batch[i]) : -1;
    left += ours;
  }
  for (size_t start = begin; left > 0; start++) {
    int fd = socket[start];
    if (fd < 0) continue;
    size_t n = 0;
    for (size_t i = start; i < end; i++) {
      if (socket[i] != fd) continue;
      group[n++] = &batch[i];
      socket[i] = -1;
    }
    sender_.Send(fd, group.data(), n);
    left -= n;
  }
}

}  // namespace twill
