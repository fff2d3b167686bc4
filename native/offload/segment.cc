#include "offload/segment.h"

#include <algorithm>
#include <cstring>

#include "base/byte_order.h"
#include "base/checksum.h"
#include "wire/ip.h"

namespace twill {

namespace {
constexpr uint8_t kTcpFin = 0x01, kTcpPsh = 0x08, kTcpCwr = 0x80;
}

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
  const uint8_t* ip = data_ + encap_bytes_;
  if (four_) identification_ = LoadBe16(ip + 4);
  if (tcp_) sequence_ = LoadBe32(data_ + transport_ + 4);
  // The sender's kernel left the sum of the pseudo-header in the field, the length of the whole included:
  // taken back out, the rest is right for each segment, also where a routing header makes another address the
  // destination.
  uint16_t transport_bytes = static_cast<uint16_t>(super.len - transport_);
  pseudo_sum_ =
      uint32_t{LoadBe16(data_ + transport_ + super.csum_offset)} + static_cast<uint16_t>(~transport_bytes);
}

std::span<const uint8_t> Segmenter::Write(size_t i, uint8_t* out) const {
  std::memcpy(out, data_, header_bytes_);
  size_t offset = i * segment_bytes_;
  std::span<const uint8_t> payload(data_ + header_bytes_ + offset,
                                   std::min(segment_bytes_, payload_bytes_ - offset));
  uint8_t* ip = out + encap_bytes_;
  uint8_t* transport = out + transport_;
  size_t transport_bytes = header_bytes_ - transport_ + payload.size();
  size_t inner_bytes = header_bytes_ - encap_bytes_ + payload.size();
  if (four_) {
    StoreBe16(ip + 2, static_cast<uint16_t>(inner_bytes));
    StoreBe16(ip + 4, static_cast<uint16_t>(identification_ + i));
    StoreBe16(ip + 10, 0);
    StoreBe16(ip + 10, Checksum(ip, transport_ - encap_bytes_));
  } else {
    StoreBe16(ip + 4, static_cast<uint16_t>(inner_bytes - kIpv6HeaderBytes));
  }
  uint8_t* checksum;
  if (tcp_) {
    StoreBe32(transport + 4, sequence_ + static_cast<uint32_t>(offset));
    if (i > 0) transport[13] &= static_cast<uint8_t>(~kTcpCwr);
    if (i + 1 < count_) transport[13] &= static_cast<uint8_t>(~(kTcpFin | kTcpPsh));
    checksum = transport + 16;
  } else {
    StoreBe16(transport + 4, static_cast<uint16_t>(transport_bytes));
    checksum = transport + 6;
  }
  StoreBe16(checksum, 0);
  uint32_t headers = ChecksumSum(transport, header_bytes_ - transport_,
                                 pseudo_sum_ + static_cast<uint32_t>(transport_bytes));
  uint16_t sum = Checksum(payload.data(), payload.size(), headers);
  StoreBe16(checksum, sum == 0 && !tcp_ ? 0xffff : sum);  // to UDP 0 means "none" (RFC 768)
  return payload;
}

}  // namespace twill
