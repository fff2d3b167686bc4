#include "offload/segment.h"

#include <algorithm>
#include <cstring>

#include "base/byte_order.h"
#include "base/checksum.h"
#include "wire/ip.h"

namespace twill {

namespace {
constexpr uint8_t kTcpFin = 0x01, kTcpPsh = 0x08, kTcpCwr = 0x80;

uint16_t Fold(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

}  // namespace

Segmenter::Segmenter(const Packet& super)
    : data_(super.data),
      encap_bytes_(super.encap_bytes),
      transport_(size_t{super.encap_bytes} + super.csum_start),
      header_bytes_(size_t{super.encap_bytes} + super.header_bytes),
      payload_bytes_(super.len - header_bytes_),
      segment_bytes_(super.segment_bytes),
      count_(super.segments),
      tcp_(super.csum_offset == 16),
      four_(super.data[super.encap_bytes] >> 4 == 4) {
  // Adding the complement takes a word out of a sum.
  auto without = [](const uint8_t* word) { return static_cast<uint16_t>(~LoadBe16(word)); };
  const uint8_t* ip = data_ + encap_bytes_;
  if (four_) {
    identification_ = LoadBe16(ip + 4);
    ip_sum_ =
        uint32_t{ChecksumSum(ip, super.csum_start)} + without(ip + 2) + without(ip + 4) + without(ip + 10);
  }
  const uint8_t* transport = data_ + transport_;
  // The sender's kernel left the sum of the pseudo-header in the checksum field, the length of the whole
  // included. So the field itself stays in the sum; also where a routing header makes another address the
  // destination it is right.
  uint16_t whole = static_cast<uint16_t>(~(super.len - transport_));
  transport_sum_ = uint32_t{ChecksumSum(transport, header_bytes_ - transport_)} + whole;
  if (tcp_) {
    sequence_ = LoadBe32(transport + 4);
    transport_sum_ += uint32_t{without(transport + 4)} + without(transport + 6) + without(transport + 12);
  } else {
    transport_sum_ += without(transport + 4);
  }
}

std::span<const uint8_t> Segmenter::Write(size_t i, uint8_t* out) const {
  std::memcpy(out, data_, header_bytes_);
  size_t offset = i * segment_bytes_;
  std::span<const uint8_t> payload(data_ + header_bytes_ + offset,
                                   std::min(segment_bytes_, payload_bytes_ - offset));
  uint8_t* ip = out + encap_bytes_;
  uint8_t* transport = out + transport_;
  uint16_t transport_bytes = static_cast<uint16_t>(header_bytes_ - transport_ + payload.size());
  uint16_t inner_bytes = static_cast<uint16_t>(header_bytes_ - encap_bytes_ + payload.size());
  if (four_) {
    uint16_t id = static_cast<uint16_t>(identification_ + i);
    StoreBe16(ip + 2, inner_bytes);
    StoreBe16(ip + 4, id);
    StoreBe16(ip + 10, static_cast<uint16_t>(~Fold(ip_sum_ + inner_bytes + id)));
  } else {
    StoreBe16(ip + 4, static_cast<uint16_t>(inner_bytes - kIpv6HeaderBytes));
  }
  uint32_t varying = transport_bytes;
  uint8_t* checksum;
  if (tcp_) {
    uint32_t sequence = sequence_ + static_cast<uint32_t>(offset);
    StoreBe32(transport + 4, sequence);
    if (i > 0) transport[13] &= static_cast<uint8_t>(~kTcpCwr);
    if (i + 1 < count_) transport[13] &= static_cast<uint8_t>(~(kTcpFin | kTcpPsh));
    varying += (sequence >> 16) + (sequence & 0xffff) + LoadBe16(transport + 12);
    checksum = transport + 16;
  } else {
    StoreBe16(transport + 4, transport_bytes);
    varying += transport_bytes;
    checksum = transport + 6;
  }
  uint16_t sum = Checksum(payload.data(), payload.size(), transport_sum_ + varying);
  StoreBe16(checksum, sum == 0 && !tcp_ ? 0xffff : sum);  // to UDP 0 means "none" (RFC 768)
  return payload;
}

}  // namespace twill
