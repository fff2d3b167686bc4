#include "wire/ip.h"

namespace twill {

DropReason ParseInner(const uint8_t* data, size_t len, InnerPacket& out) {
  if (len < 1) return DropReason::kInnerShort;
  uint8_t version = data[0] >> 4;
  out.data = data;
  if (version == 4) {
    if (len < kIpv4HeaderBytes) return DropReason::kInnerShort;
    size_t header = static_cast<size_t>(data[0] & 0x0f) * 4;
    size_t total = LoadBe16(data + 2);
    if (header < kIpv4HeaderBytes || header > len) return DropReason::kInnerLength;
    if (total < header || total > len) return DropReason::kInnerLength;
    out.family = 4;
    out.header_len = static_cast<uint8_t>(header);
    out.length = static_cast<uint32_t>(total);
    return DropReason::kNone;
  }
  if (version == 6) {
    if (len < kIpv6HeaderBytes) return DropReason::kInnerShort;
    size_t total = kIpv6HeaderBytes + LoadBe16(data + 4);
    if (total > len) return DropReason::kInnerLength;
    out.family = 6;
    out.header_len = kIpv6HeaderBytes;
    out.length = static_cast<uint32_t>(total);
    return DropReason::kNone;
  }
  return DropReason::kInnerVersion;
}

void DecrementTtl(const InnerPacket& packet, uint8_t* data) {
  if (packet.family == 4) {
    data[8]--;
    StoreBe16(data + 10, ChecksumAfterTtlDecrement(LoadBe16(data + 10)));
  } else {
    data[7]--;
  }
}

void SetEcn(const InnerPacket& packet, uint8_t* data, uint8_t ecn) {
  if (packet.family == 4) {
    uint16_t before = LoadBe16(data);
    uint16_t after = static_cast<uint16_t>((before & ~3u) | ecn);
    StoreBe16(data, after);
    StoreBe16(data + 10, ChecksumUpdate(LoadBe16(data + 10), before, after));
  } else {
    data[1] = static_cast<uint8_t>((data[1] & 0xcf) | (ecn << 4));
  }
}

bool AsksForSourceRoute(const InnerPacket& packet) {
  const uint8_t* d = packet.data;
  if (packet.family == 4) {
    size_t at = kIpv4HeaderBytes;
    while (at < packet.header_len) {
      uint8_t type = d[at];
      if (type == 0) return false;  // end of options
      if (type == 1) {              // no-operation
        at++;
        continue;
      }
      if (type == 131 || type == 137) return true;  // LSRR, SSRR
      if (at + 1 >= packet.header_len || d[at + 1] < 2) return false;
      at += d[at + 1];
    }
    return false;
  }
  // Walk at most eight extension headers: a packet has no business with more.
  uint8_t next = d[6];
  size_t at = kIpv6HeaderBytes;
  for (int n = 0; n < 8; n++) {
    bool routing = next == 43;
    if (!routing && next != 0 && next != 60) return false;  // hop-by-hop, destination options
    if (at + 8 > packet.length) return false;
    if (routing) return d[at + 2] == 0;
    next = d[at];
    at += (static_cast<size_t>(d[at + 1]) + 1) * 8;
  }
  return false;
}

bool IsMartianSource(const InnerPacket& packet) {
  const uint8_t* s = packet.source();
  if (packet.family == 4) return s[0] == 0 || s[0] == 127 || s[0] >= 224;
  if (s[0] == 0xff) return true;
  uint64_t high = LoadRaw<uint64_t>(s);
  if (high != 0) return false;
  uint32_t third = LoadBe32(s + 8), last = LoadBe32(s + 12);
  if (third == 0x0000ffff) return true;  // v4-mapped
  return third == 0 && last <= 1;        // ::, ::1
}

uint32_t FlowHash(const InnerPacket& packet, uint32_t seed) {
  const uint8_t* d = packet.data;
  uint64_t h = (static_cast<uint64_t>(seed) << 8) | packet.protocol();
  auto mix = [&h](uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
  };
  if (packet.family == 4) {
    mix(LoadRaw<uint64_t>(d + 12));
  } else {
    for (size_t i = 8; i < 40; i += 8) mix(LoadRaw<uint64_t>(d + i));
  }
  bool ports = packet.protocol() == kProtocolTcp || packet.protocol() == kProtocolUdp;
  if (ports && !packet.Fragment() && packet.length >= packet.header_len + 4u) {
    mix(LoadRaw<uint32_t>(d + packet.header_len));
  }
  return static_cast<uint32_t>(h >> 16);
}

}  // namespace twill
