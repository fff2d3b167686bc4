// A TUN device: the overlay side of a node. One port per queue.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "offload/coalesce.h"
#include "offload/offloads.h"
#include "port/port.h"

namespace twill {

struct TunDevice {
  std::string name;
  int index = 0;  // of the interface
  std::vector<Fd> queues;
};

// Opens or creates the device `name` (`flannel%d`: the kernel picks the number)
// with `queues` queues. A device that exists and is not persistent TUN is an error.
// Needs CAP_NET_ADMIN, or a device that was made for this user. `persist`: the device outlives us; absent: as
// it is. Offloads that the kernel does not have are refused.
Result<TunDevice> OpenTun(const std::string& name, size_t queues, std::optional<bool> persist,
                          Offloads& offloads);

class TunPort final : public Port {
 public:
  // `mtu_bytes` of the device: what the kernel is told to cut super-packets of unknown segment size to.
  TunPort(Fd fd, uint32_t mtu_bytes, Offloads& offloads)
      : fd_(std::move(fd)), mtu_bytes_(mtu_bytes), offloads_(&offloads) {}

  size_t Recv(Batch& batch) override;
  void Send(Batch& batch) override;
  int poll_fd() const override { return fd_.get(); }

 private:
  DropReason Write(const Packet& packet) const;
  DropReason WriteGroup(const Batch& batch, const Coalescer::Group& group) const;
  void SendGroup(Batch& batch, const Coalescer::Group& group);

  Fd fd_;
  uint32_t mtu_bytes_;
  Offloads* offloads_;
  Coalescer coalescer_;
};

}  // namespace twill
