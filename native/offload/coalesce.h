// Packets to super-packets: what a router's receive offload (GRO) does, so that one write to the TUN carries
// many segments of a flow.
//
// A batch goes in as it came; out come groups, each one write. A group of one is the packet itself,
// untouched. A group of several is a super-packet that the kernel would cut back into exactly its members:
// same addresses, ports, TTL, traffic class, DF, TCP options, window and acknowledgement; sequence numbers
// without a gap; equal lengths but for a shorter last one; identification rising by one, or constant with DF
// (atomic datagrams, RFC 6864); checksums right.
//
// Rules that keep order and truth:
//   - members of a group stand in their order, and a packet joins only the last group of its flow;
//   - what may not be merged (SYN, RST, URG, CWR, no payload, an odd length, a wrong checksum, PSH or FIN
//   after it
//     was taken in) closes the flow's group: what follows starts a new one behind it;
//   - a fragment, IPv4 options or an IPv6 extension header hide the flow: they close all groups;
//   - a checksum is looked at only when a second packet wants to join: a lone packet is passed on as it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "buffer/batch.h"
#include "offload/virtio.h"

namespace twill {

class Coalescer {
 public:
  struct Limits {
    bool tcp = true;
    bool udp = true;
  };

  struct Group {
    uint8_t first = 0, last = 0;  // of the batch; `next` leads from one to the other
    uint8_t count = 1;
    uint8_t family = 0;
    uint8_t protocol = 0;
    uint8_t transport = 0;      // offset of the transport header
    uint16_t header_bytes = 0;  // IP and transport headers
    uint16_t segment_bytes = 0;
    uint32_t payload_bytes = 0;
    uint32_t next_sequence = 0;  // TCP
    bool open = false;           // may be joined
    bool verified = false;       // the first member's checksum was found right
    bool pushed = false;         // the last member carries PSH
    bool finished = false;       // ... FIN
  };

  // Groups the packets of a batch. Valid until the next call, and as long as the packets stay where they are.
  std::span<const Group> Run(const Batch& batch, Limits limits);
  uint8_t next(uint8_t member) const { return next_[member]; }

 private:
  struct Candidate;

  bool Join(const Batch& batch, Group& group, const Candidate& candidate, uint8_t index);
  void CloseAll();

  // A flow's last group by hash; a collision only means that a flow is not merged further.
  static constexpr size_t kFlows = 256;
  static constexpr uint8_t kNobody = 255;
  static_assert(kBatchMax < kNobody);

  std::array<uint8_t, kFlows> flows_;
  std::array<uint8_t, kBatchMax> next_;
  std::array<Group, kBatchMax> groups_;
  size_t group_count_ = 0;
  bool any_flow_ = true;
};

// The headers of the super-packet that `group` stands for, and what to tell the TUN about them. `out` has
// room for kInnerHeadersMax bytes; the payloads of the members follow in order.
VirtioHeader WriteGroupHeaders(const Coalescer::Group& group, const Packet& first, uint8_t* out);

}  // namespace twill
