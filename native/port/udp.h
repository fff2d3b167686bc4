// The underlay: UDP sockets of one family.
//
//   receive  one socket per worker on the cluster's port (SO_REUSEPORT when several)
//   send     either that same socket (flannel's udp), or a bank of sockets with
//            ports of their own that all workers share, chosen by flow hash (VXLAN):
//            a flow keeps its socket and so its order, and receivers can spread flows
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "offload/offloads.h"
#include "port/port.h"
#include "port/udp_sender.h"

namespace twill {

struct UdpConfig {
  IpAddr bind_address;    // what we receive on; unspecified: every local address
  IpAddr source_address;  // of what we send; unspecified: the kernel chooses
  uint16_t port = 0;
  size_t source_ports = 0;  // size of the bank; 0: send from `port`

  bool ReceivesLike(const UdpConfig& other) const {
    return bind_address == other.bind_address && port == other.port;
  }
  bool SendsLike(const UdpConfig& other) const {
    return source_address == other.source_address && source_ports == other.source_ports;
  }
};

using SourceBank = std::vector<Fd>;

// The sockets of one family for all workers.
struct UdpSockets {
  uint8_t family = 0;
  std::vector<Fd> receivers;  // one per worker
  std::shared_ptr<const SourceBank> bank;
};

// Offloads that the kernel does not have are refused.
Result<UdpSockets> OpenUdp(const UdpConfig& config, size_t workers, Offloads& offloads);
Result<std::shared_ptr<const SourceBank>> OpenBank(const UdpConfig& config);

class UdpPort final : public Port {
 public:
  UdpPort(Fd receiver, std::shared_ptr<const SourceBank> bank, uint8_t family, Offloads& offloads);

  // Datagrams that the kernel handed over as one (UDP_GRO) become packets of their own, views of one slot
  // that `batch` holds: clear it before the next call.
  size_t Recv(Batch& batch) override;
  void Send(Batch& batch) override;
  int poll_fd() const override { return receiver_.get(); }
  uint8_t family() const override { return family_; }
  uint16_t LocalPort(const Packet& packet) const override;

 private:
  // Messages of one recvmmsg.
  static constexpr size_t kMessages = 64;
  // Traffic class and segment size, received.
  static constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int)) * 2 + 40;
  struct Message {
    sockaddr_in6 address;  // large enough for either family
    iovec io;
    alignas(cmsghdr) uint8_t control[kControlBytes];
  };

  bool Receive(Pool& pool);
  bool HandOut(Batch& batch);
  void SendStretch(Batch& batch, size_t begin, size_t end);
  // Which of the bank; there must be one.
  size_t SourceOf(const Packet& packet) const {
    // The high half of the product: spreads whatever the size of the bank.
    return (static_cast<uint64_t>(packet.flow_hash) * bank_->size()) >> 32;
  }
  int SocketFor(const Packet& packet) const;

  Fd receiver_;
  std::shared_ptr<const SourceBank> bank_;
  std::vector<uint16_t> bank_ports_;
  uint8_t family_;
  Offloads* offloads_;
  UdpSender sender_;
  std::optional<Batch> pending_;  // received, not handed out yet
  size_t pending_at_ = 0;         // the next of them
  size_t pending_offset_ = 0;     // how far into it
  std::array<mmsghdr, kMessages> headers_{};
  std::array<Message, kMessages> messages_{};
};

}  // namespace twill
