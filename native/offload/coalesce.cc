#include "offload/coalesce.h"

#include <cstring>

#include "wire/ip.h"

namespace twill {

namespace {

constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20, kCwr = 0x80;
constexpr size_t kTcpMin = 20, kUdpHeader = 8;
constexpr size_t kLongestPacket = 65535;
// What the kernel cuts one UDP super-packet into at most (UDP_MAX_SEGMENTS of all versions).
constexpr uint8_t kMostDatagrams = 64;
constexpr uint16_t kDontFragment = 0x4000;

bool ChecksumRight(const uint8_t* ip, bool four, size_t transport, size_t length, uint8_t protocol) {
  uint32_t transport_bytes = static_cast<uint32_t>(length - transport);
  uint32_t pseudo = SumAddresses(ip, four, protocol + transport_bytes);
  return ChecksumSum(ip + transport, transport_bytes, pseudo) == 0xffff;
}

bool Ipv4ChecksumRight(const uint8_t* ip) {
  return ChecksumSumFixed<kIpv4HeaderBytes>(ip) == 0xffff;
}

}  // namespace

// What of a packet decides whether and where it may join.
struct Coalescer::Candidate {
  const uint8_t* data;
  size_t length;
  bool four;
  bool hides_flow = false;  // fragment, options, extension header: nobody can tell its flow
  bool has_flow = false;    // TCP or UDP with whole headers
  bool joinable = false;
  uint8_t protocol = 0;
  size_t transport = 0, headers = 0, payload = 0;

  explicit Candidate(const Packet& p) : data(p.data), length(p.len), four(p.data[0] >> 4 == 4) {
    transport = four ? kIpv4HeaderBytes : kIpv6HeaderBytes;
    protocol = four ? data[9] : data[6];
    if (four && ((data[0] & 0x0f) != 5 || (LoadBe16(data + 6) & 0x3fff) != 0)) {
      hides_flow = true;
      return;
    }
    if (!four && (protocol == 0 || protocol == 43 || protocol == 44 || protocol == 51 || protocol == 60)) {
      hides_flow = true;
      return;
    }
    if (protocol == kProtocolTcp && length >= transport + kTcpMin) {
      headers = transport + static_cast<size_t>(data[transport + 12] >> 4) * 4;
      if (headers < transport + kTcpMin || headers > length) return;
      has_flow = true;
      uint8_t flags = data[transport + 13];
      joinable = (flags & (kSyn | kRst | kUrg | kCwr)) == 0 && (flags & kAck) != 0;
    } else if (protocol == kProtocolUdp && length >= transport + kUdpHeader) {
      headers = transport + kUdpHeader;
      has_flow = true;
      // A length that leaves bytes over, or no checksum: passed on as it is.
      joinable = LoadBe16(data + transport + 4) == length - transport && LoadBe16(data + transport + 6) != 0;
    }
    if (!has_flow) return;
    payload = length - headers;
    joinable = joinable && payload > 0 && p.csum_start == 0;
  }

  uint8_t FlowSlot() const {
    uint64_t h = protocol;
    auto mix = [&h](uint64_t v) { h = (h ^ v) * 0x9e3779b97f4a7c15u; };
    if (four) {
      mix(LoadRaw<uint64_t>(data + 12));
    } else {
      for (size_t i = 8; i < 40; i += 8) mix(LoadRaw<uint64_t>(data + i) ^ h >> 32);
    }
    mix(LoadRaw<uint32_t>(data + transport) ^ h >> 32);
    return static_cast<uint8_t>(h >> 56);
  }

  bool SameFlow(const uint8_t* other) const {
    size_t at = four ? 12 : 8, bytes = four ? 8 : 32;
    return std::memcmp(data + at, other + at, bytes) == 0 &&
           LoadRaw<uint32_t>(data + transport) == LoadRaw<uint32_t>(other + transport);
  }

  bool ChecksumsRight() const {
    return (!four || Ipv4ChecksumRight(data)) && ChecksumRight(data, four, transport, length, protocol);
  }
};

namespace {

// TTL, traffic class, DF or flow label, and the step of the identification. `nth`: how many members came
// before.
bool SameIp(const uint8_t* first, const uint8_t* last, const uint8_t* next, bool four, size_t nth) {
  if (!four) return LoadRaw<uint32_t>(first) == LoadRaw<uint32_t>(next) && first[7] == next[7];
  uint16_t fragment = LoadBe16(first + 6);
  if (first[1] != next[1] || first[8] != next[8] || fragment != LoadBe16(next + 6)) return false;
  uint16_t id = LoadBe16(first + 4), id_last = LoadBe16(last + 4), id_next = LoadBe16(next + 4);
  if (static_cast<uint16_t>(id + nth) == id_next) return static_cast<uint16_t>(id + nth - 1) == id_last;
  return (fragment & kDontFragment) != 0 && id_next == id && id_last == id;
}

// Acknowledgement, window, options, and the flags but for those that may stand at the end.
bool SameTcp(const uint8_t* first, const uint8_t* next, size_t header_bytes) {
  constexpr uint8_t kMayDiffer = kFin | kPsh;
  return LoadRaw<uint32_t>(first + 8) == LoadRaw<uint32_t>(next + 8) && first[12] == next[12] &&
         ((first[13] ^ next[13]) & ~kMayDiffer) == 0 &&
         LoadRaw<uint16_t>(first + 14) == LoadRaw<uint16_t>(next + 14) &&
         std::memcmp(first + kTcpMin, next + kTcpMin, header_bytes - kTcpMin) == 0;
}

}  // namespace

bool Coalescer::Join(const Batch& batch, Group& group, const Candidate& c, uint8_t index) {
  const uint8_t* first = batch[group.first].data;
  if (!group.open) return false;
  if (group.header_bytes != c.headers || c.payload > group.segment_bytes) return false;
  if (group.header_bytes + group.payload_bytes + c.payload > kLongestPacket) return false;
  if (!SameIp(first, batch[group.last].data, c.data, c.four, group.count)) return false;
  const uint8_t* transport = c.data + c.transport;
  bool tcp = c.protocol == kProtocolTcp;
  if (tcp) {
    if (LoadBe32(transport + 4) != group.next_sequence) return false;
    if (!SameTcp(first + c.transport, transport, c.headers - c.transport)) return false;
  } else if (group.count >= kMostDatagrams) {
    return false;
  }
  if (!group.verified) {
    const Packet& head = batch[group.first];
    group.verified = (!c.four || Ipv4ChecksumRight(head.data)) &&
                     ChecksumRight(head.data, c.four, c.transport, head.len, c.protocol);
    if (!group.verified) {
      group.open = false;
      return false;
    }
  }
  if (!c.ChecksumsRight()) return false;
  next_[group.last] = index;
  next_[index] = kNobody;
  group.last = index;
  group.count++;
  group.payload_bytes += static_cast<uint32_t>(c.payload);
  group.next_sequence += static_cast<uint32_t>(c.payload);
  if (tcp) {
    group.pushed = transport[13] & kPsh;
    group.finished = transport[13] & kFin;
  }
  group.open = c.payload == group.segment_bytes && !group.pushed && !group.finished;
  return true;
}

void Coalescer::CloseAll() {
  if (any_flow_) flows_.fill(kNobody);
  any_flow_ = false;
}

std::span<const Coalescer::Group> Coalescer::Run(const Batch& batch, Limits limits) {
  CloseAll();
  group_count_ = 0;
  for (size_t i = 0; i < batch.size(); i++) {
    uint8_t index = static_cast<uint8_t>(i);
    Candidate c(batch[i]);
    uint8_t slot = 0;
    if (c.hides_flow) CloseAll();
    if (c.has_flow) {
      slot = c.FlowSlot();
      bool wanted = c.protocol == kProtocolTcp ? limits.tcp : limits.udp;
      if (c.joinable && wanted && flows_[slot] != kNobody) {
        Group& group = groups_[flows_[slot]];
        // A packet of another kind under the same hash may be too short to be compared.
        bool same_kind = group.protocol == c.protocol && group.family == (c.four ? 4 : 6);
        if (same_kind && c.SameFlow(batch[group.first].data) && Join(batch, group, c, index)) continue;
      }
    }
    Group& group = groups_[group_count_];
    group = Group{};
    group.first = group.last = index;
    next_[index] = kNobody;
    if (c.has_flow) {
      group.family = c.four ? 4 : 6;
      group.protocol = c.protocol;
      group.transport = static_cast<uint8_t>(c.transport);
      group.header_bytes = static_cast<uint16_t>(c.headers);
      group.segment_bytes = static_cast<uint16_t>(c.payload);
      group.payload_bytes = static_cast<uint32_t>(c.payload);
      bool ends = false;
      if (c.protocol == kProtocolTcp) {
        const uint8_t* tcp = c.data + c.transport;
        group.next_sequence = LoadBe32(tcp + 4) + static_cast<uint32_t>(c.payload);
        ends = tcp[13] & (kPsh | kFin);
      }
      group.open = c.joinable && !ends;
      flows_[slot] = static_cast<uint8_t>(group_count_);
      any_flow_ = true;
    }
    group_count_++;
  }
  return {groups_.data(), group_count_};
}

VirtioHeader WriteGroupHeaders(const Coalescer::Group& group, const Packet& first, uint8_t* out) {
  bool four = group.family == 4, tcp = group.protocol == kProtocolTcp;
  std::memcpy(out, first.data, group.header_bytes);
  size_t total = group.header_bytes + group.payload_bytes;
  uint8_t* transport = out + group.transport;
  uint32_t transport_bytes = static_cast<uint32_t>(total - group.transport);
  if (four) {
    StoreBe16(out + 2, static_cast<uint16_t>(total));
    StoreBe16(out + 10, 0);
    StoreBe16(out + 10, Checksum(out, kIpv4HeaderBytes));
  } else {
    StoreBe16(out + 4, static_cast<uint16_t>(total - kIpv6HeaderBytes));
  }
  VirtioHeader h;
  h.flags = kVirtioNeedsChecksum;
  h.hdr_len = group.header_bytes;
  h.gso_size = group.segment_bytes;
  h.csum_start = group.transport;
  h.csum_offset = tcp ? 16 : 6;
  h.gso_type = !tcp ? kGsoUdp : four ? kGsoTcp4 : kGsoTcp6;
  if (tcp) {
    if (group.pushed) transport[13] |= kPsh;
    if (group.finished) transport[13] |= kFin;
  } else {
    StoreBe16(transport + 4, static_cast<uint16_t>(transport_bytes));
  }
  // The kernel finishes it: the field holds the sum of the pseudo-header.
  uint16_t pseudo = SumAddresses(out, four, group.protocol + transport_bytes);
  StoreBe16(transport + h.csum_offset, pseudo);
  return h;
}

}  // namespace twill
