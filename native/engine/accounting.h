// What a worker counts of a batch: in its tally, and peer by peer.
#pragma once

#include "buffer/batch.h"

namespace twill {

enum class Direction : uint8_t { kEncap, kDecap };

void CountReceived(const Batch& batch, Tally& tally);

// What a Send did: marked segments by reason, the others as delivered.
void CountSent(const Batch& batch, Tally& tally);

// The delivered ones under their peers. After the tally is published: then whoever reads the peers first and
// the tallies later never finds more under the peers than in all.
void CountPeers(const Batch& batch, PeerCounters& peers, Direction direction, uint64_t now_ns);

}  // namespace twill
