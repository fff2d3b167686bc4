#include "wire/checksum_offload.h"

namespace twill {

PartialChecksum FindPartialChecksum(const InnerPacket& p) {
  uint16_t offset, minimum;
  switch (p.protocol()) {
    case kProtocolTcp:
      offset = 16, minimum = 20;
      break;
    case kProtocolUdp:
      offset = 6, minimum = 8;
      break;
    default:
      return {};
  }
  if (p.Fragment() || p.length < p.header_len + minimum) return {};
  uint32_t transport_len = p.length - p.header_len;
  uint16_t pseudo = p.AddressSum(p.protocol() + transport_len);
  const uint8_t* transport = p.data + p.header_len;
  if (LoadBe16(transport + offset) != pseudo) return {};
  if (ChecksumSum(transport, transport_len, pseudo) == 0xffff) return {};
  return {p.header_len, offset};
}

void FinishChecksum(uint8_t* data, uint32_t len, PartialChecksum partial) {
  if (partial.start == 0) return;
  uint8_t* field = data + partial.start + partial.offset;
  uint16_t sum = Checksum(data + partial.start, len - partial.start);
  StoreBe16(field, sum == 0 ? 0xffff : sum);  // 0 would mean "none" to UDP (RFC 768)
}

}  // namespace twill
