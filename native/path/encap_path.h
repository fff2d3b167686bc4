// Overlay to underlay: what happens to a packet between the TUN and the socket.
// A pure function over a batch: no I/O, no clock, no log, no allocation.
#pragma once

#include <cstdint>

#include "buffer/batch.h"
#include "path/icmp_limiter.h"
#include "path/node_identity.h"
#include "table/peer_table.h"

namespace twill {

class EncapPath {
 public:
  virtual ~EncapPath() = default;

  // Takes inner packets; leaves in `batch`, in their order, the payloads to send,
  // each with `remote`, `tos` and `flow_hash`. What ends here is counted in `tally`
  // by its reason and its slot returned. ICMP errors for the senders go to
  // `answers` (slots of its pool; none left: the answer is suppressed).
  void Run(const PeerTable& table, Batch& batch, Batch& answers, uint64_t now_ns, Tally& tally) {
    Judge(table, batch, answers, now_ns, tally);
    batch.RemoveDropped(tally);
  }

  // The same, but what ends here stays in the batch, marked with its reason and not counted yet. It has
  // `remote` where a peer holds its destination.
  virtual void Judge(const PeerTable& table, Batch& batch, Batch& answers, uint64_t now_ns, Tally& tally) = 0;

  // What Run would do to a packet of no particular length to this address.
  virtual DropReason Trace(const PeerTable& table, const IpAddr& destination, const Peer*& peer) const = 0;
};

// Overlay to underlay for encapsulation E.
template <typename E>
class EncapPathFor final : public EncapPath {
 public:
  EncapPathFor(const E& encapsulation, const NodeIdentity& node, uint32_t flow_seed)
      : encapsulation_(encapsulation), node_(node), flow_seed_(flow_seed) {}

  void Judge(const PeerTable& table, Batch& batch, Batch& answers, uint64_t now_ns, Tally& tally) override;
  DropReason Trace(const PeerTable& table, const IpAddr& destination, const Peer*& peer) const override;

 private:
  DropReason Parse(const PeerTable& table, Packet& packet, InnerPacket& inner) const;
  DropReason Forward(const PeerTable& table, Packet& packet, const InnerPacket& inner, uint32_t guess) const;
  void Answer(DropReason reason, const InnerPacket& offender, Batch& answers, uint64_t now_ns, Tally& tally);

  E encapsulation_;
  NodeIdentity node_;
  uint32_t flow_seed_;
  IcmpLimiter limiter_;
};

}  // namespace twill
