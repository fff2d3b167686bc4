#include "port/udp_sender.h"

#include <linux/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "offload/segment.h"

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

// What a kernel, a device or a path says that cannot cut. EMSGSIZE: a segment is longer than this path's MTU,
// which only an uncut datagram may be (it goes in fragments).
bool RefusesSegments(int sys_errno) {
  return sys_errno == EIO || sys_errno == EINVAL || sys_errno == EMSGSIZE || sys_errno == EOPNOTSUPP;
}

bool SameWay(const Packet& a, const Packet& b) {
  return a.tos == b.tos && a.remote == b.remote;
}

template <typename T>
void AddControl(msghdr& header, int level, int type, T value) {
  auto* c = reinterpret_cast<cmsghdr*>(static_cast<uint8_t*>(header.msg_control) + header.msg_controllen);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  header.msg_controllen += CMSG_SPACE(sizeof value);
}

}  // namespace

void UdpSender::Send(int fd, Packet* const* packets, size_t count) {
  bool cuts = offloads_->active(Offload::kUdpSegment);
  for (size_t i = 0; i < count;) {
    Packet& p = *packets[i];
    if (p.IsSuper()) {
      AddSuper(fd, p);
      i++;
      continue;
    }
    size_t run = 1, most = cuts && p.len > 0 ? std::min(kMostSegments, kMostBytes / p.len) : 1;
    while (run < most && i + run < count) {
      const Packet& next = *packets[i + run];
      if (next.IsSuper() || next.len > p.len || next.len == 0 || !SameWay(p, next)) break;
      run++;
      if (next.len < p.len) break;  // only the last may be shorter
    }
    AddRun(fd, packets + i, run);
    i += run;
  }
  Flush(fd);
}

void UdpSender::AddRun(int fd, Packet* const* packets, size_t count) {
  MakeRoom(fd, count, 0);
  Message& m = Begin(*packets[0], count, packets[0]->len);
  m.packets = packets;
  m.super = nullptr;
  for (size_t i = 0; i < count; i++) pieces_[pieces_used_++] = {packets[i]->data, packets[i]->len};
  m.pieces = static_cast<uint16_t>(count);
}

void UdpSender::AddSuper(int fd, Packet& super) {
  Segmenter segmenter(super);
  size_t datagram_bytes = segmenter.header_bytes() + super.segment_bytes;
  size_t most = 1;
  if (offloads_->active(Offload::kUdpSegment)) {
    most = std::clamp<size_t>(kMostBytes / datagram_bytes, 1, kMostSegments);
  }
  for (size_t at = 0; at < segmenter.count();) {
    size_t count = std::min(most, segmenter.count() - at);
    MakeRoom(fd, 1, count * datagram_bytes);
    Message& m = Begin(super, count, datagram_bytes);
    m.packets = nullptr;
    m.super = &super;
    m.pieces = 1;
    uint8_t* begin = &laid_out_[laid_out_used_];
    uint8_t* out = begin;
    for (size_t i = 0; i < count; i++, at++) {
      auto payload = segmenter.Write(at, out);
      out += segmenter.header_bytes();
      std::memcpy(out, payload.data(), payload.size());
      out += payload.size();
    }
    pieces_[pieces_used_++] = {begin, static_cast<size_t>(out - begin)};
    laid_out_used_ = static_cast<size_t>(out - laid_out_.data());
  }
}

void UdpSender::MakeRoom(int fd, size_t pieces, size_t bytes) {
  bool fits = messages_used_ < kMessages && pieces_used_ + pieces <= kPieces &&
              laid_out_used_ + bytes <= laid_out_.size();
  if (!fits) Flush(fd);
}

UdpSender::Message& UdpSender::Begin(const Packet& packet, size_t datagrams, size_t datagram_bytes) {
  Message& m = messages_[messages_used_++];
  m.datagrams = static_cast<uint16_t>(datagrams);
  m.datagram_bytes = static_cast<uint16_t>(datagram_bytes);
  m.first_piece = &pieces_[pieces_used_];
  const Endpoint& to = packet.remote;
  msghdr& h = wire_[messages_used_ - 1].msg_hdr;
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
  h.msg_name = &m.address;
  h.msg_control = m.control;
  h.msg_controllen = 0;
  if (packet.tos != 0) {
    AddControl<int>(h, family_ == 4 ? IPPROTO_IP : IPPROTO_IPV6, family_ == 4 ? IP_TOS : IPV6_TCLASS,
                    packet.tos);
  }
  if (datagrams > 1) AddControl(h, IPPROTO_UDP, UDP_SEGMENT, static_cast<uint16_t>(datagram_bytes));
  return m;
}

void UdpSender::Fail(Message& m, size_t datagram, DropReason reason, size_t count) {
  if (m.super != nullptr) {
    m.super->Fail(reason, count);
    return;
  }
  for (size_t i = 0; i < count; i++) m.packets[datagram + i]->Fail(reason, 1);
}

// sendmmsg stops at the first message that fails: that one is dealt with, the others go on.
void UdpSender::Flush(int fd) {
  for (size_t i = 0; i < messages_used_; i++) {
    wire_[i].msg_hdr.msg_iov = messages_[i].first_piece;
    wire_[i].msg_hdr.msg_iovlen = messages_[i].pieces;
  }
  for (size_t done = 0; done < messages_used_;) {
    int sent = sendmmsg(fd, &wire_[done], static_cast<unsigned>(messages_used_ - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    Message& m = messages_[done];
    if (sent < 0 && m.datagrams > 1 && RefusesSegments(errno)) {
      SendSingly(fd, m, errno);
    } else {
      Fail(m, 0, sent < 0 ? SendFailure(errno) : DropReason::kSendError, m.datagrams);
    }
    done++;
  }
  messages_used_ = pieces_used_ = laid_out_used_ = 0;
}

void UdpSender::SendSingly(int fd, Message& m, int refusal) {
  size_t sent = 0;
  msghdr h = wire_[static_cast<size_t>(&m - messages_.data())].msg_hdr;
  // UDP_SEGMENT is the last control message.
  h.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
  h.msg_iovlen = 1;
  for (size_t i = 0; i < m.datagrams;) {
    iovec piece = m.first_piece[m.super != nullptr ? 0 : i];
    if (m.super != nullptr) {
      size_t offset = i * m.datagram_bytes;
      piece = {static_cast<uint8_t*>(piece.iov_base) + offset,
               std::min<size_t>(m.datagram_bytes, piece.iov_len - offset)};
    }
    h.msg_iov = &piece;
    if (sendmsg(fd, &h, MSG_DONTWAIT) >= 0) {
      sent++;
    } else if (errno == EINTR) {
      continue;
    } else {
      Fail(m, i, SendFailure(errno), 1);
    }
    i++;
  }
  // Whole it was refused, in pieces it went: then it is the cutting that cannot be done, by this path (a
  // segment above its MTU) or at all.
  if (sent == 0) return;
  if (refusal == EMSGSIZE) {
    offloads_->Resent(Offload::kUdpSegment);
  } else {
    offloads_->Refuse(Offload::kUdpSegment);
  }
}

}  // namespace twill
