// Transport checksums that the sender's kernel left for a device to finish.
#pragma once

#include <cstdint>

#include "wire/ip.h"

namespace twill {

struct PartialChecksum {
  uint16_t start = 0;   // offset of the transport header; 0: nothing to finish
  uint16_t offset = 0;  // of the checksum field, from `start`
};

// A kernel vxlan device over veth hands us inner TCP and UDP whose checksum field
// holds only the sum of the pseudo-header (the veth pair
// is trusted to finish it and never does). Recognised is exactly that state, and
// only where the checksum is not right as it stands: a merely wrong checksum stays
// wrong and the receiving host drops it.
PartialChecksum FindPartialChecksum(const InnerPacket& packet);

// Finishes it in software, for a destination that cannot.
void FinishChecksum(uint8_t* data, uint32_t len, PartialChecksum partial);

}  // namespace twill
