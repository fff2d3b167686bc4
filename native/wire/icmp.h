// ICMP errors (RFC 792, RFC 1191, RFC 4443) as a router sends them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.h"
#include "wire/ip.h"

namespace twill {

enum class IcmpError { kNetUnreachable, kFragmentationNeeded, kTimeExceeded };

// What an answer may hold at most: IPv6's minimum MTU.
inline constexpr size_t kIcmpErrorMaxBytes = 1280;

// Whether an ICMP error may be sent about this packet: never about ICMP errors,
// later fragments, or what was sent to or from a group or nobody (RFC 1122
// section 3.2.2, RFC 4443 section 2.4 e).
bool MayAnswer(const InnerPacket& offender);

// Writes the error into `out` (kIcmpErrorMaxBytes) and returns its length.
//   IPv4: IP header (20) | type code checksum | rest | offender's header + 8 bytes
//   IPv6: IP header (40) | type code checksum | rest | as much of the offender as fits in 1,280 bytes
size_t BuildIcmpError(IcmpError error, const InnerPacket& offender, const IpAddr& source, uint8_t ttl,
                      uint32_t mtu, uint8_t* out);

}  // namespace twill
