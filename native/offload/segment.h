// Super-packet to packets: what a network card's segmentation offload does.
//
//   super   | encap | IP | TCP or UDP | piece 0 | piece 1 | ... | last |
//   wire    | encap | IP | TCP or UDP | piece 0 |
//           | encap | IP | TCP or UDP | piece 1 |  ...      headers written here, pieces left where they are
//
// Per segment: IPv4 total length, identification + i and header checksum; IPv6 payload length; TCP sequence
// number, FIN and PSH on the last segment alone, CWR on the first alone; UDP length; the transport checksum
// in full.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "buffer/batch.h"

namespace twill {

class Segmenter {
 public:
  // `super` as ApplyVirtioHeader left it, with an encapsulation header pushed in front or not. Keeps pointing
  // into it.
  explicit Segmenter(const Packet& super);

  size_t count() const { return count_; }
  // Of each segment's headers, the encapsulation's included.
  size_t header_bytes() const { return header_bytes_; }
  // Writes the headers of segment `i` and returns its payload, which stays in the super-packet.
  std::span<const uint8_t> Write(size_t i, uint8_t* headers) const;

 private:
  const uint8_t* data_;
  size_t encap_bytes_, transport_, header_bytes_, payload_bytes_, segment_bytes_, count_;
  bool tcp_, four_;
  uint16_t identification_ = 0;
  uint32_t sequence_ = 0;
  // One's-complement sums of what is the same in all segments: of the IPv4 header all but length,
  // identification and checksum; of transport and pseudo-header all but lengths, sequence number, flags and
  // checksum.
  uint32_t ip_sum_ = 0, transport_sum_ = 0;
};

}  // namespace twill
