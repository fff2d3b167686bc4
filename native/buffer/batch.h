// A packet is a slot of the pool with an offset and a length; a batch is an
// owning array of packets. Destroying or clearing a batch returns its slots: no
// exit path has to remember to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/address.h"
#include "base/counters.h"
#include "buffer/pool.h"

namespace twill {

struct Packet {
  uint8_t* data = nullptr;  // first byte; moves into the headroom when a header is pushed
  uint32_t len = 0;
  uint32_t slot = 0;
  uint32_t flow_hash = 0;
  uint32_t peer_number = kNoPeer;  // whose it is, for the counters
  // Where a transport checksum is still to be finished, as virtio says it: sum from
  // `csum_start` of the inner packet to the end, store at `csum_start + csum_offset`. 0: nothing to finish.
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
  // A super-packet stands for several: the inner headers (IP and transport), to be repeated, in front of a
  // payload to be cut every `segment_bytes`, the last piece perhaps shorter.
  uint16_t segments = 1;
  uint16_t segment_bytes = 0;  // 0: an ordinary packet
  uint16_t header_bytes = 0;   // of the inner headers
  uint16_t lost = 0;           // after Send: how many of `segments` share the fate that `drop` names
  uint8_t encap_bytes = 0;     // of the encapsulation's header in front of the inner packet
  uint8_t tos = 0;             // outer TOS / traffic class: received or to be sent
  bool hides_flow = false;     // an inner fragment: its flow hash is not that of its flow's whole packets
  bool truncated = false;      // longer than the slot when it was received
  DropReason drop = DropReason::kNone;
  Endpoint remote;  // underlay: whence it came or whither it goes

  std::span<const uint8_t> bytes() const { return {data, len}; }
  bool IsSuper() const { return segment_bytes != 0; }
  // Of all inner packets that this one stands for, headers included.
  uint64_t InnerBytes() const { return len - encap_bytes + (segments - 1) * uint64_t{header_bytes}; }
  void PushFront(size_t n) {
    data -= n;
    len += static_cast<uint32_t>(n);
    encap_bytes = static_cast<uint8_t>(encap_bytes + n);
  }
  void PopFront(size_t n) {
    data += n;
    len -= static_cast<uint32_t>(n);
  }
  // For a port: `count` of the segments end here.
  void Fail(DropReason reason, size_t count) {
    drop = reason;
    lost = static_cast<uint16_t>(lost + count);
  }
};

// As many packets as one UDP_SEGMENT send of Linux may hold: a super-datagram always fits a fresh batch.
inline constexpr size_t kBatchMax = 128;

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
  void Clear();

  // Hands a packet over to this batch; the caller no longer owns the slot. A packet without a slot is a view
  // of bytes that somebody else keeps for as long as this batch is in use.
  void Adopt(const Packet& packet) { packets_[count_++] = packet; }

  // Keeps a slot that several packets are views of; Clear gives it back.
  void Hold(uint32_t slot) { held_[held_count_++] = slot; }

  // Gives back the slots of packets marked with a drop reason, counts their segments in
  // `tally`, and closes the ranks in order.
  void RemoveDropped(Tally& tally);

 private:
  Pool* pool_;
  size_t count_ = 0;
  size_t held_count_ = 0;
  std::array<uint32_t, kBatchMax> held_;
  // A union, so that a new batch does not clear 8 kB that nobody has asked for.
  static_assert(std::is_trivially_copyable_v<Packet> && std::is_trivially_destructible_v<Packet>);
  union {
    std::array<Packet, kBatchMax> packets_;
  };
};

}  // namespace twill
