// A TUN device whose packets go to and come from a program, one a call, whole and without offloads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "port/tun.h"

namespace twill {

// The longest that a device hands over.
inline constexpr size_t kLongestPacketBytes = 65'535;

class PlainTun {
 public:
  // As OpenTun, with one queue. A persistent device stays one.
  static Result<PlainTun> Open(const std::string& name);

  const std::string& name() const { return device_.name; }
  int index() const { return device_.index; }
  int fd() const { return device_.queues[0].get(); }

  // The length of a packet; -EAGAIN: there is none now; else the negative errno, of which EBADFD says that
  // the device is gone. What does not fit is cut.
  ssize_t Read(uint8_t* out, size_t room) const;
  // 0 where the device has taken it, else the negative errno.
  int Write(const uint8_t* packet, size_t length) const;

 private:
  explicit PlainTun(TunDevice device) : device_(std::move(device)) {}

  TunDevice device_;
};

}  // namespace twill
