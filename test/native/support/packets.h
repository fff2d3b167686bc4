// Packets to test with, and memory in which a byte too far is seen.
#pragma once

#include <arpa/inet.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "buffer/batch.h"
#include "wire/ip.h"

namespace twill::test {

using Bytes = std::vector<uint8_t>;

// `45000020 0001...` as bytes.
inline Bytes Hex(const char* text) {
  Bytes bytes;
  unsigned digits = 0, value = 0;
  for (; *text != 0; text++) {
    if (*text == ' ') continue;
    value = value * 16 + static_cast<unsigned>(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    if (++digits % 2 == 0) bytes.push_back(static_cast<uint8_t>(value));
  }
  return bytes;
}

inline IpAddr Address(const std::string& text) {
  uint8_t bytes[16];
  bool six = text.find(':') != std::string::npos;
  if (inet_pton(six ? AF_INET6 : AF_INET, text.c_str(), bytes) != 1) std::abort();
  return six ? IpAddr::V6(bytes) : IpAddr::V4(bytes);
}
inline IpPrefix Prefix(const std::string& text) {
  size_t slash = text.find('/');
  return {Address(text.substr(0, slash)), static_cast<uint8_t>(std::atoi(text.c_str() + slash + 1))};
}

struct Shape {
  std::string source = "10.5.2.9", destination = "10.5.1.9";
  Bytes payload = Hex("03e807d0 000c0000 61626364");  // UDP from 1000 to 2000
  uint8_t protocol = kProtocolUdp, ttl = 64, tos = 0;
  Bytes options = {};  // IPv4, a multiple of four
};

inline Bytes IpPacket(const Shape& shape) {
  IpAddr source = Address(shape.source), destination = Address(shape.destination);
  bool four = source.family == 4;
  size_t header = four ? kIpv4HeaderBytes + shape.options.size() : kIpv6HeaderBytes;
  Bytes p(header + shape.payload.size());
  if (four) {
    p[0] = static_cast<uint8_t>(0x40 + header / 4);
    p[1] = shape.tos;
    StoreBe16(&p[2], static_cast<uint16_t>(p.size()));
    StoreBe16(&p[6], 0x4000);
    p[8] = shape.ttl;
    p[9] = shape.protocol;
    std::memcpy(&p[12], source.bytes.data(), 4);
    std::memcpy(&p[16], destination.bytes.data(), 4);
    std::copy(shape.options.begin(), shape.options.end(), p.begin() + kIpv4HeaderBytes);
    StoreBe16(&p[10], Checksum(p.data(), header));
  } else {
    StoreBe16(&p[0], static_cast<uint16_t>(0x6000 | shape.tos << 4));
    StoreBe16(&p[4], static_cast<uint16_t>(shape.payload.size()));
    p[6] = shape.protocol;
    p[7] = shape.ttl;
    std::memcpy(&p[8], source.bytes.data(), 16);
    std::memcpy(&p[24], destination.bytes.data(), 16);
  }
  std::copy(shape.payload.begin(), shape.payload.end(), p.begin() + static_cast<ptrdiff_t>(header));
  return p;
}

// A copy that ends where its allocation ends, with some room in front: the address sanitizer sees one byte
// too far in either direction.
class Exact {
 public:
  explicit Exact(std::span<const uint8_t> bytes, size_t headroom = 0)
      : memory_(new uint8_t[headroom + bytes.size()]), headroom_(headroom), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(data(), bytes.data(), bytes.size());
  }
  uint8_t* data() const { return memory_.get() + headroom_; }
  size_t size() const { return size_; }
  Bytes bytes() const { return Bytes(data(), data() + size_); }

  // In no slot of any pool.
  Packet AsPacket() const {
    Packet p;
    p.data = data();
    p.len = static_cast<uint32_t>(size_);
    p.slot = kNoSlot;
    return p;
  }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  size_t headroom_, size_;
};

inline Bytes BytesOf(const Packet& p) {
  return Bytes(p.data, p.data + p.len);
}

}  // namespace twill::test
