// Where packets come from and go to. A port has one side: the overlay (inner
// packets) or the underlay (datagram payloads with `remote` and `tos`).
//
// Contract. No call blocks. One thread uses a port.
//   Recv: appends what is there to `batch`, at most its room. Packets that could
//         not be received whole carry `truncated`. Returns how many were appended.
//   Send: tries every packet once, in order within a flow; what could not be sent
//         carries its drop reason afterwards, and harms no neighbour. The batch
//         keeps the slots, unless the port took one over (slot = kNoSlot).
#pragma once

#include <cstddef>

#include "buffer/batch.h"

namespace twill {

class Port {
 public:
  virtual ~Port() = default;
  virtual size_t Recv(Batch& batch) = 0;
  virtual void Send(Batch& batch) = 0;

  // Readable when Recv has something; -1: the port wakes the worker by other means.
  virtual int poll_fd() const { return -1; }
  // Underlay: the family of `remote` that this port can send to; 0: any.
  virtual uint8_t family() const { return 0; }
  // Underlay: the port that this packet would leave from; 0: the cluster's.
  virtual uint16_t LocalPort(const Packet&) const { return 0; }
};

}  // namespace twill
