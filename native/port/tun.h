// A TUN device: the overlay side of a node. One port per queue.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "port/port.h"

namespace twill {

struct TunDevice {
  std::string name;
  int index = 0;  // of the interface
  std::vector<Fd> queues;
};

// Opens or creates the device `name` (`flannel%d`: the kernel picks the number)
// with `queues` queues. A device that exists and is not persistent TUN is an error.
// Needs CAP_NET_ADMIN. `persist`: the device outlives us.
Result<TunDevice> OpenTun(const std::string& name, size_t queues, bool persist);

class TunPort final : public Port {
 public:
  // `mtu_bytes` of the device: what the kernel is told to cut super-packets to.
  TunPort(Fd fd, uint32_t mtu_bytes) : fd_(std::move(fd)), mtu_bytes_(mtu_bytes) {}

  size_t Recv(Batch& batch) override;
  void Send(Batch& batch) override;
  int poll_fd() const override { return fd_.get(); }

 private:
  DropReason Write(Packet& packet) const;

  Fd fd_;
  uint32_t mtu_bytes_;
};

}  // namespace twill
