#include "netlink/socket.h"

#include <sys/socket.h>

#include <algorithm>

namespace twill {

namespace {

// Larger than any answer of the kernel (it fills dumps in pieces of at most 32 KiB).
constexpr size_t kBufferBytes = 1 << 16;
// A dump that a change interrupted is asked for again.
constexpr int kMostDumps = 20;

Error KernelRefused(int sys_errno, const std::string& what, const std::string& hint) {
  const char* code = sys_errno == EPERM || sys_errno == EACCES ? "ERR_TWILL_PRIVILEGE" : "ERR_TWILL_NETLINK";
  Error error = Error::System(code, "netlink", sys_errno, what);
  if (!hint.empty()) error.message += " (" + hint + ")";
  if (sys_errno == EPERM) error.message += ": run as root or with CAP_NET_ADMIN";
  return error;
}

// What goes in one send: the acknowledgements of all must fit into the receive buffer, and answers to
// look-ups do in their usual 212,992 bytes.
constexpr size_t kBatchRequests = 64;
constexpr int kReceiveBufferBytes = 1 << 20;

// Splits the next message off the front; false where no whole one is left.
bool TakeMessage(ByteSpan& rest, nlmsghdr& header, ByteSpan& body) {
  if (rest.size() < sizeof header) return false;
  std::memcpy(&header, rest.data(), sizeof header);
  if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) return false;
  body = rest.subspan(sizeof header, header.nlmsg_len - sizeof header);
  size_t step = NLMSG_ALIGN(header.nlmsg_len);
  rest = step < rest.size() ? rest.subspan(step) : ByteSpan();
  return true;
}

int ErrnoOf(ByteSpan body) {
  int code = 0;
  if (body.size() >= sizeof code) std::memcpy(&code, body.data(), sizeof code);
  return -code;
}

// The kernel's own words about a refusal (NETLINK_EXT_ACK), which stand behind the error message.
std::string ExtendedAck(const nlmsghdr& header, ByteSpan body) {
  if (header.nlmsg_type != NLMSG_ERROR || body.size() < sizeof(nlmsgerr)) return {};
  if (!(header.nlmsg_flags & NLM_F_ACK_TLVS)) return {};
  nlmsgerr err;
  std::memcpy(&err, body.data(), sizeof err);
  size_t at = sizeof err;
  if (!(header.nlmsg_flags & NLM_F_CAPPED)) at += NLMSG_ALIGN(err.msg.nlmsg_len) - sizeof(nlmsghdr);
  return at < body.size() ? AttributeText(body.subspan(at), NLMSGERR_ATTR_MSG) : std::string();
}

}  // namespace

Result<NetlinkSocket> NetlinkSocket::Open(uint32_t groups, int protocol) {
  int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return Error::System("ERR_TWILL_NETLINK", "socket", errno, "cannot open a netlink socket");
  NetlinkSocket netlink{Fd(fd)};
  int on = 1;
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  // A refusal without the request that it refuses: we know that one.
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof kReceiveBufferBytes);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return Error::System("ERR_TWILL_NETLINK", "bind", errno, "cannot bind a netlink socket");
  netlink.buffer_.resize(kBufferBytes);
  return netlink;
}

Result<std::vector<NetlinkAnswer>> NetlinkSocket::Request(NetlinkRequest& request, const std::string& what) {
  for (int attempt = 1;; attempt++) {
    ByteSpan message = request.Finish(++sequence_);
    if (send(fd_.get(), message.data(), message.size(), 0) != static_cast<ssize_t>(message.size()))
      return Error::System("ERR_TWILL_NETLINK", "send", errno, what);
    std::vector<NetlinkAnswer> answers;
    auto outcome = Collect(sequence_, request.IsDump(), what, answers);
    if (!outcome) return outcome.error();
    if (*outcome == Outcome::kDone || attempt == kMostDumps) return answers;
  }
}

Result<NetlinkSocket::Outcome> NetlinkSocket::Collect(uint32_t sequence, bool dump, const std::string& what,
                                                      std::vector<NetlinkAnswer>& answers) {
  bool interrupted = false;
  for (;;) {
    ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::System("ERR_TWILL_NETLINK", "recv", errno, what);
    if (static_cast<size_t>(got) > buffer_.size())
      return Error::System("ERR_TWILL_NETLINK", "recv", EMSGSIZE, what);
    ByteSpan rest(buffer_.data(), static_cast<size_t>(got));
    nlmsghdr header;
    ByteSpan body;
    while (TakeMessage(rest, header, body)) {
      if (header.nlmsg_seq != sequence) continue;
      if (header.nlmsg_flags & NLM_F_DUMP_INTR) interrupted = true;
      if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
        if (int refused = ErrnoOf(body); refused > 0)
          return KernelRefused(refused, what, ExtendedAck(header, body));
        return interrupted ? Outcome::kInterrupted : Outcome::kDone;
      }
      answers.push_back({header.nlmsg_type, {body.begin(), body.end()}});
      // Without NLM_F_ACK a plain get ends with its one answer.
      if (!dump && !(header.nlmsg_flags & NLM_F_MULTI)) return Outcome::kDone;
    }
  }
}

void NetlinkSocket::CheckStrictly() {
  int on = 1;
  setsockopt(fd_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
}

Result<std::vector<NetlinkReply>> NetlinkSocket::Batch(std::span<NetlinkRequest> requests,
                                                       const std::string& what) {
  std::vector<NetlinkReply> replies(requests.size());
  for (size_t begin = 0; begin < requests.size(); begin += kBatchRequests) {
    size_t count = std::min(kBatchRequests, requests.size() - begin);
    uint32_t first = sequence_ + 1;
    if (auto sent = SendBatch(requests.subspan(begin, count), what); !sent) return sent.error();
    for (size_t missing = count; missing > 0;) {
      ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::System("ERR_TWILL_NETLINK", "recv", errno, what);
      if (static_cast<size_t>(got) > buffer_.size())
        return Error::System("ERR_TWILL_NETLINK", "recv", EMSGSIZE, what);
      ByteSpan rest(buffer_.data(), static_cast<size_t>(got));
      nlmsghdr header;
      ByteSpan body;
      while (TakeMessage(rest, header, body)) {
        uint32_t place = header.nlmsg_seq - first;
        if (place >= count) continue;
        NetlinkReply& reply = replies[begin + place];
        if (header.nlmsg_type != NLMSG_ERROR) {
          reply.answers.push_back({header.nlmsg_type, {body.begin(), body.end()}});
          continue;
        }
        reply.sys_errno = ErrnoOf(body);
        reply.hint = ExtendedAck(header, body);
        missing--;
      }
    }
  }
  return replies;
}

Result<> NetlinkSocket::SendBatch(std::span<NetlinkRequest> requests, const std::string& what) {
  std::vector<uint8_t> bytes;
  for (NetlinkRequest& request : requests) {
    ByteSpan message = request.Finish(++sequence_);
    bytes.insert(bytes.end(), message.begin(), message.end());
  }
  if (send(fd_.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return Error::System("ERR_TWILL_NETLINK", "send", errno, what);
  return Unit{};
}

std::vector<NetlinkAnswer> NetlinkSocket::Drain(bool& lost) {
  std::vector<NetlinkAnswer> answers;
  lost = false;
  for (;;) {
    ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      lost = true;
      continue;
    }
    if (got <= 0) return answers;
    ByteSpan rest(buffer_.data(), static_cast<size_t>(got));
    nlmsghdr header;
    ByteSpan body;
    while (TakeMessage(rest, header, body))
      answers.push_back({header.nlmsg_type, {body.begin(), body.end()}});
  }
}

Result<std::vector<NetlinkAnswer>> NetlinkOnce(NetlinkRequest& request, const std::string& what) {
  auto socket = NetlinkSocket::Open(0);
  if (!socket) return socket.error();
  return socket->Request(request, what);
}

}  // namespace twill
