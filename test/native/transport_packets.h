// TCP and UDP packets built the slow and obvious way: the oracle for segmentation and coalescing.
#pragma once

#include <cstdint>
#include <vector>

namespace twill_test {

using Bytes = std::vector<uint8_t>;

struct Shape {
  bool four = true, tcp = true;
  uint8_t host = 1;      // last byte of the source address
  uint16_t port = 1000;  // source port
  uint8_t ttl = 64, tos = 0;
  uint16_t id = 0;
  bool df = true;
  uint32_t sequence = 0, acknowledgement = 7;
  uint8_t flags = 0x10;  // ACK
  uint16_t window = 500;
  Bytes options;  // of TCP, a multiple of four
  Bytes payload;
};

inline void Put16(Bytes& b, size_t at, uint32_t v) {
  b[at] = static_cast<uint8_t>(v >> 8);
  b[at + 1] = static_cast<uint8_t>(v);
}

inline uint16_t SlowSum(const uint8_t* p, size_t n, uint32_t sum = 0) {
  for (size_t i = 0; i < n; i += 2) {
    sum += static_cast<uint32_t>(p[i] << 8) | (i + 1 < n ? p[i + 1] : 0u);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

inline size_t TransportAt(const Shape& s) {
  return s.four ? 20 : 40;
}
inline size_t HeaderBytes(const Shape& s) {
  return TransportAt(s) + (s.tcp ? 20 + s.options.size() : 8);
}

inline uint32_t PseudoSum(const Bytes& b, const Shape& s) {
  uint32_t length = static_cast<uint32_t>(b.size() - TransportAt(s));
  return SlowSum(&b[s.four ? 12 : 8], s.four ? 8 : 32, (s.tcp ? 6u : 17u) + length);
}

// `partial`: the checksum field holds the sum of the pseudo-header, as a kernel leaves it to a device.
inline Bytes Build(const Shape& s, bool partial = false) {
  size_t transport = TransportAt(s);
  Bytes b(HeaderBytes(s));
  b.insert(b.end(), s.payload.begin(), s.payload.end());
  if (s.four) {
    b[0] = 0x45;
    b[1] = s.tos;
    Put16(b, 2, static_cast<uint32_t>(b.size()));
    Put16(b, 4, s.id);
    Put16(b, 6, s.df ? 0x4000 : 0);
    b[8] = s.ttl;
    b[9] = s.tcp ? 6 : 17;
    b[12] = 10, b[13] = 5, b[14] = 2, b[15] = s.host;
    b[16] = 10, b[17] = 5, b[18] = 1, b[19] = 1;
    Put16(b, 10, static_cast<uint16_t>(~SlowSum(b.data(), 20)));
  } else {
    b[0] = static_cast<uint8_t>(0x60 | s.tos >> 4);
    b[1] = static_cast<uint8_t>(s.tos << 4);
    Put16(b, 4, static_cast<uint32_t>(b.size() - 40));
    b[6] = s.tcp ? 6 : 17;
    b[7] = s.ttl;
    b[8] = 0xfd, b[23] = s.host;
    b[24] = 0xfd, b[39] = 1;
  }
  uint8_t* t = &b[transport];
  Put16(b, transport, s.port);
  Put16(b, transport + 2, 80);
  if (s.tcp) {
    Put16(b, transport + 4, s.sequence >> 16);
    Put16(b, transport + 6, s.sequence & 0xffff);
    Put16(b, transport + 8, s.acknowledgement >> 16);
    Put16(b, transport + 10, s.acknowledgement & 0xffff);
    t[12] = static_cast<uint8_t>((20 + s.options.size()) / 4 << 4);
    t[13] = s.flags;
    Put16(b, transport + 14, s.window);
    for (size_t i = 0; i < s.options.size(); i++) t[20 + i] = s.options[i];
  } else {
    Put16(b, transport + 4, static_cast<uint32_t>(b.size() - transport));
  }
  uint32_t pseudo = PseudoSum(b, s);
  uint16_t sum = static_cast<uint16_t>(~SlowSum(t, b.size() - transport, pseudo));
  if (!s.tcp && sum == 0) sum = 0xffff;
  Put16(b, transport + (s.tcp ? 16 : 6), partial ? pseudo : sum);
  return b;
}

}  // namespace twill_test
