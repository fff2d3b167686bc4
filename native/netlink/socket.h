// A conversation with a subsystem of the kernel, mostly routing. Set-up and watching only; no
// packet ever waits for it. A socket belongs to the network namespace of the thread
// that opens it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "netlink/message.h"

namespace twill {

// What the kernel said to one request of many.
struct NetlinkReply {
  int sys_errno = 0;
  std::string hint;  // the kernel's own words about a refusal; often none
  std::vector<NetlinkAnswer> answers;
};

class NetlinkSocket {
 public:
  // `groups`: bits of the protocol's groups to listen to (RTMGRP_*); 0 for requests.
  static Result<NetlinkSocket> Open(uint32_t groups, int protocol = NETLINK_ROUTE);

  // Sends and awaits the acknowledgement. `what` says for the error what was wanted: "cannot set ...".
  Result<std::vector<NetlinkAnswer>> Request(NetlinkRequest& request, const std::string& what);

  // Sends many at once, each with NLM_F_ACK; the replies in their order. One that is refused keeps no other
  // from being done. An error here is of the conversation: which of the requests were done is then unknown.
  Result<std::vector<NetlinkReply>> Batch(std::span<NetlinkRequest> requests, const std::string& what);

  // Filters of dumps are the kernel's work from now on, where it knows how (4.20).
  void CheckStrictly();

  // What has come for a listener, without waiting. `lost`: the kernel dropped some (ENOBUFS).
  std::vector<NetlinkAnswer> Drain(bool& lost);

  int fd() const { return fd_.get(); }

 private:
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)) {}
  enum class Outcome { kDone, kInterrupted };
  Result<Outcome> Collect(uint32_t sequence, bool dump, const std::string& what,
                          std::vector<NetlinkAnswer>& answers);

  Result<Unit> SendBatch(std::span<NetlinkRequest> requests, const std::string& what);

  Fd fd_;
  uint32_t sequence_ = 0;
  std::vector<uint8_t> buffer_;
};

// One request on a socket of its own.
Result<std::vector<NetlinkAnswer>> NetlinkOnce(NetlinkRequest& request, const std::string& what);

}  // namespace twill
