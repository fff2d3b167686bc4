#include "wire/icmp.h"

#include <algorithm>
#include <cstring>

namespace twill {

namespace {

struct TypeCode {
  uint8_t type, code;
};

TypeCode For(IcmpError error, bool four) {
  switch (error) {
    case IcmpError::kNetUnreachable:
      return four ? TypeCode{3, 0} : TypeCode{1, 0};
    case IcmpError::kFragmentationNeeded:
      return four ? TypeCode{3, 4} : TypeCode{2, 0};
    case IcmpError::kTimeExceeded:
      return four ? TypeCode{11, 0} : TypeCode{3, 0};
  }
  return {0, 0};
}

bool MayAnswerV4(const InnerPacket& p) {
  const uint8_t* d = p.data;
  if (p.LaterFragment()) return false;
  if (IsMartianSource(p) || p.destination()[0] >= 224) return false;
  if (p.protocol() != kProtocolIcmp) return true;
  if (p.length <= p.header_len) return false;
  uint8_t type = d[p.header_len];
  return type != 3 && type != 4 && type != 5 && type != 11 && type != 12;
}

bool MayAnswerV6(const InnerPacket& p) {
  const uint8_t* d = p.data;
  if (IsMartianSource(p) || p.destination()[0] == 0xff) return false;
  uint8_t next = d[6];
  size_t at = kIpv6HeaderBytes;
  for (int n = 0; n < 8; n++) {
    if (next == kProtocolIcmpV6) return at < p.length && d[at] >= 128;
    bool extension = next == 0 || next == 43 || next == 60 || next == 44 || next == 51;
    if (!extension) return true;
    if (at + 8 > p.length) return false;
    if (next == 44) {  // fragment header (RFC 8200 section 4.5)
      if ((LoadBe16(d + at + 2) & 0xfff8) != 0) return false;
      next = d[at];
      at += 8;
    } else if (next == 51) {  // authentication header counts in 4-byte units
      next = d[at];
      at += (static_cast<size_t>(d[at + 1]) + 2) * 4;
    } else {
      next = d[at];
      at += (static_cast<size_t>(d[at + 1]) + 1) * 8;
    }
  }
  return false;
}

}  // namespace

bool MayAnswer(const InnerPacket& p) {
  return p.family == 4 ? MayAnswerV4(p) : MayAnswerV6(p);
}

size_t BuildIcmpError(IcmpError error, const InnerPacket& offender, const IpAddr& source, uint8_t ttl,
                      uint32_t mtu, uint8_t* out) {
  bool four = offender.family == 4;
  TypeCode what = For(error, four);
  size_t header = four ? kIpv4HeaderBytes : kIpv6HeaderBytes;
  size_t quote = four ? std::min<size_t>(offender.header_len + 8u, offender.length)
                      : std::min<size_t>(offender.length, kIcmpErrorMaxBytes - header - 8);
  size_t total = header + 8 + quote;
  std::memset(out, 0, header + 8);
  uint8_t* icmp = out + header;
  icmp[0] = what.type;
  icmp[1] = what.code;
  if (error == IcmpError::kFragmentationNeeded) {
    if (four) {
      StoreBe16(icmp + 6, static_cast<uint16_t>(std::min<uint32_t>(mtu, 0xffff)));
    } else {
      StoreBe32(icmp + 4, mtu);
    }
  }
  std::memcpy(icmp + 8, offender.data, quote);
  if (four) {
    out[0] = 0x45;
    StoreBe16(out + 2, static_cast<uint16_t>(total));
    out[8] = ttl;
    out[9] = kProtocolIcmp;
    std::memcpy(out + 12, source.bytes.data(), 4);
    std::memcpy(out + 16, offender.source(), 4);
    StoreBe16(out + 10, Checksum(out, header));
    StoreBe16(icmp + 2, Checksum(icmp, 8 + quote));
  } else {
    out[0] = 0x60;
    StoreBe16(out + 4, static_cast<uint16_t>(8 + quote));
    out[6] = kProtocolIcmpV6;
    out[7] = ttl;
    std::memcpy(out + 8, source.bytes.data(), 16);
    std::memcpy(out + 24, offender.source(), 16);
    uint32_t pseudo = ChecksumSum(out + 8, 32) + static_cast<uint32_t>(8 + quote) + kProtocolIcmpV6;
    StoreBe16(icmp + 2, Checksum(icmp, 8 + quote, pseudo));
  }
  return total;
}

}  // namespace twill
