// Underlay to overlay: what happens to a datagram between the socket and the TUN.
// A pure function over a batch, as encap_path.h. Checks stand in one fixed order,
// which docs/architecture.md lists and src/wire/ specifies; the first that fails
// names the drop reason.
#pragma once

#include <cstdint>

#include "buffer/batch.h"
#include "path/node_identity.h"
#include "table/peer_table.h"
#include "wire/ip.h"

namespace twill {

class DecapPath {
 public:
  virtual ~DecapPath() = default;

  // Takes payloads of datagrams with `remote` and `tos`; leaves the inner packets
  // to deliver, in their order. What ends here is counted in `tally`.
  void Run(const PeerTable& table, Batch& batch, Tally& tally) {
    Judge(table, batch);
    batch.RemoveDropped(tally);
  }

  // The same, but what ends here stays in the batch, marked with its reason and not counted yet.
  virtual void Judge(const PeerTable& table, Batch& batch) = 0;
};

template <typename E>
class DecapPathFor final : public DecapPath {
 public:
  DecapPathFor(const E& encapsulation, const NodeIdentity& node)
      : encapsulation_(encapsulation), node_(node) {}

  void Judge(const PeerTable& table, Batch& batch) override;

 private:
  DropReason Unwrap(const PeerTable& table, Packet& packet, InnerPacket& inner) const;
  DropReason Accept(const PeerTable& table, Packet& packet, const InnerPacket& inner, uint32_t guess) const;
  DropReason CheckSource(const PeerTable& table, Packet& packet, const InnerPacket& inner,
                         const Peer* peer) const;

  E encapsulation_;
  NodeIdentity node_;
};

}  // namespace twill
