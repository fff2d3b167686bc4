// A packet is a slot of the pool with an offset and a length; a batch is an
// owning array of packets. Destroying or clearing a batch returns its slots: no
// exit path has to remember to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.h"
#include "base/counters.h"
#include "buffer/pool.h"

namespace twill {

struct Packet {
  uint8_t* data = nullptr;  // first byte; moves into the headroom when a header is pushed
  uint32_t len = 0;
  uint32_t slot = 0;
  uint32_t flow_hash = 0;
  // Where a transport checksum is still to be finished, as virtio says it: sum from
  // `csum_start` to the end, store at `csum_start + csum_offset`. 0: nothing to finish.
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
  uint8_t tos = 0;         // outer TOS / traffic class: received or to be sent
  bool truncated = false;  // longer than the slot when it was received
  DropReason drop = DropReason::kNone;
  Endpoint remote;  // underlay: whence it came or whither it goes

  std::span<const uint8_t> bytes() const { return {data, len}; }
  void PushFront(size_t n) {
    data -= n;
    len += static_cast<uint32_t>(n);
  }
  void PopFront(size_t n) {
    data += n;
    len -= static_cast<uint32_t>(n);
  }
};

inline constexpr size_t kBatchMax = 64;

// In place of a slot number: the slot belongs to someone else now.
inline constexpr uint32_t kNoSlot = 0xffffffff;

class Batch {
 public:
  explicit Batch(Pool& pool) : pool_(&pool) {}
  ~Batch() { Clear(); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  Pool& pool() const { return *pool_; }
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  size_t room() const { return kBatchMax - count_; }
  Packet& operator[](size_t i) { return packets_[i]; }
  const Packet& operator[](size_t i) const { return packets_[i]; }
  Packet* begin() { return packets_.data(); }
  Packet* end() { return packets_.data() + count_; }

  // Takes up to `want` fresh slots at the end of the batch, each at the start
  // of its packet area with length 0. Returns how many the pool had.
  size_t Grow(size_t want);

  // Gives back the slots of all packets from `count` on.
  void Truncate(size_t count);
  void Clear() { Truncate(0); }

  // Hands a packet over to this batch; the caller no longer owns the slot.
  void Adopt(const Packet& packet) { packets_[count_++] = packet; }

  // Gives back the slots of packets marked with a drop reason, counts each in
  // `tally`, and closes the ranks in order.
  void RemoveDropped(Tally& tally);

 private:
  Pool* pool_;
  size_t count_ = 0;
  std::array<Packet, kBatchMax> packets_;
};

}  // namespace twill
