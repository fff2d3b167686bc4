#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/byte_order.h"
#include "base/clock.h"
#include "traffic/sequence_counter.h"
#include "traffic/udp.h"

namespace twill::traffic {
namespace {

constexpr uint32_t kBatch = 64;
// For what was overtaken by the end.
constexpr uint64_t kAfterEndNs = 50'000'000;
// Only the head is looked at; MSG_TRUNC tells the whole length.
constexpr size_t kKeptBytes = 2048;

class Inbox {
 public:
  Inbox() {
    for (uint32_t i = 0; i < kBatch; i++) {
      pieces_[i] = {&bytes_[i * kKeptBytes], kKeptBytes};
      messages_[i] = {};
      messages_[i].msg_hdr.msg_iov = &pieces_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  int Take(const Fd& fd) {
    return ::recvmmsg(fd.get(), messages_, kBatch, MSG_DONTWAIT | MSG_TRUNC, nullptr);
  }
  const uint8_t* data(int i) const { return &bytes_[static_cast<size_t>(i) * kKeptBytes]; }
  size_t len(int i) const { return messages_[i].msg_len; }

 private:
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kBatch * kKeptBytes);
  iovec pieces_[kBatch];
  mmsghdr messages_[kBatch];
};

}  // namespace

Result<UdpReceiveResult> UdpReceive(const UdpReceiveOptions& options, const ReadyCallback& ready) {
  uint64_t deadline_ns = MonotonicNs() + options.timeout_ms * 1'000'000;
  Result<Fd> fd = OpenSocket(options.at.address, SOCK_DGRAM, 0);
  if (!fd) return fd.error();
  if (options.buffer_bytes == 0) {
    WidenBuffers(*fd);
  } else {
    int bytes = static_cast<int>(options.buffer_bytes);
    setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  Result<uint16_t> port = BindTo(*fd, options.at);
  if (!port) return port.error();
  ready(*port);

  Inbox inbox;
  SequenceCounter counter;
  UdpReceiveResult result;
  uint64_t first_ns = 0, last_ns = 0;
  double delay_ns = 0;
  uint64_t stamped = 0;
  uint64_t quiet_ns = options.quiet_ms * 1'000'000;
  for (uint64_t until_ns = deadline_ns;;) {
    int n = inbox.Take(*fd);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
      return Error::System("ERR_TWILL_SOCKET", "recvmmsg", errno, "cannot receive on " + ToText(options.at));
    if (n <= 0) {
      Result<bool> more = WaitFor(*fd, POLLIN, until_ns);
      if (!more) return more.error();
      if (!*more) break;
      continue;
    }
    uint64_t now_ns = MonotonicNs();
    for (int i = 0; i < n; i++) {
      bool whole = inbox.len(i) >= kUdpHeadBytes;
      uint64_t number = whole ? SwapToBig(LoadRaw<uint64_t>(inbox.data(i))) : 0;
      if (number == kUdpEndNumber) {
        quiet_ns = kAfterEndNs;
        continue;
      }
      last_ns = now_ns;
      if (first_ns == 0) first_ns = now_ns;
      result.bytes += inbox.len(i);
      if (!whole) {
        result.malformed++;
        continue;
      }
      uint64_t sent_ns = SwapToBig(LoadRaw<uint64_t>(inbox.data(i) + 8));
      if (sent_ns <= now_ns) delay_ns += static_cast<double>(now_ns - sent_ns);
      stamped++;
      counter.Add(number);
    }
    if (now_ns >= deadline_ns) break;
    until_ns = std::min(deadline_ns, now_ns + quiet_ns);
  }
  result.received = counter.received();
  result.duplicated = counter.duplicated();
  result.reordered = counter.reordered();
  result.next = counter.next();
  result.lost = counter.Lost(counter.next());
  result.seconds = static_cast<double>(last_ns - first_ns) / 1e9;
  if (stamped > 0) result.mean_delay_us = delay_ns / static_cast<double>(stamped) / 1e3;
  return result;
}

}  // namespace twill::traffic
