// IPv4 (RFC 791) and IPv6 (RFC 8200) as the packet path needs them. ParseInner
// checks once; what it returns can then be read without further checks.
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/byte_order.h"
#include "base/checksum.h"
#include "base/counters.h"

namespace twill {

//  0                   1                   2                   3
//  |Version|  IHL  |      TOS      |          Total Length         |
//  |         Identification        |Flags|      Fragment Offset    |
//  |      TTL      |    Protocol   |         Header Checksum       |
//  |                       Source Address                          |
//  |                    Destination Address                        |
inline constexpr size_t kIpv4HeaderBytes = 20;
inline constexpr size_t kIpv6HeaderBytes = 40;
inline constexpr uint8_t kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolUdp = 17, kProtocolIcmpV6 = 58;

// Source and destination stand side by side in both families.
inline uint16_t SumAddresses(const uint8_t* ip, bool four, uint32_t initial) {
  return four ? ChecksumSumFixed<8>(ip + 12, initial) : ChecksumSumFixed<32>(ip + 8, initial);
}

struct InnerPacket {
  const uint8_t* data = nullptr;
  uint32_t length = 0;  // by the header; what follows is padding
  uint8_t family = 0;
  uint8_t header_len = 0;  // of the first IP header

  const uint8_t* source() const { return data + (family == 4 ? 12 : 8); }
  const uint8_t* destination() const { return data + (family == 4 ? 16 : 24); }
  IpAddr SourceAddress() const { return family == 4 ? IpAddr::V4(source()) : IpAddr::V6(source()); }
  IpAddr DestinationAddress() const {
    return family == 4 ? IpAddr::V4(destination()) : IpAddr::V6(destination());
  }
  // One's-complement sum of both addresses, for pseudo-headers.
  uint16_t AddressSum(uint32_t initial) const { return SumAddresses(data, family == 4, initial); }
  uint8_t protocol() const { return family == 4 ? data[9] : data[6]; }
  uint8_t ttl() const { return family == 4 ? data[8] : data[7]; }
  uint8_t tos() const { return family == 4 ? data[1] : static_cast<uint8_t>(LoadBe16(data) >> 4); }
  bool LaterFragment() const { return family == 4 && (LoadBe16(data + 6) & 0x1fff) != 0; }
  bool Fragment() const { return family == 4 && (LoadBe16(data + 6) & 0x3fff) != 0; }
};

// Checks the IP header against the bytes present. kNone: `out` is valid.
DropReason ParseInner(const uint8_t* data, size_t len, InnerPacket& out);

// Lowers the TTL (hop limit) of a parsed packet by one, patching the checksum.
void DecrementTtl(const InnerPacket& packet, uint8_t* data);

// Sets the two ECN bits of a parsed packet, patching the IPv4 checksum.
void SetEcn(const InnerPacket& packet, uint8_t* data, uint8_t ecn);

// LSRR or SSRR option (RFC 791), or routing header type 0 (RFC 5095).
bool AsksForSourceRoute(const InnerPacket& packet);

// A source address that can belong to no sender (RFC 1122 section 3.2.1.3).
bool IsMartianSource(const InnerPacket& packet);

// Mixes addresses, protocol and ports: equal for all packets of a flow.
uint32_t FlowHash(const InnerPacket& packet, uint32_t seed);

}  // namespace twill
