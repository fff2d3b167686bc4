// After open nothing on the packet path allocates: every allocation of this program is counted, and the path
// makes none.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "offload/coalesce.h"
#include "path/tunnel.h"
#include "port/udp.h"
#include "transport_packets.h"

static std::atomic<size_t> allocations{0};

void* operator new(size_t bytes) {
  allocations++;
  void* p = std::malloc(bytes);
  if (p == nullptr) std::abort();
  return p;
}
void* operator new[](size_t bytes) {
  return operator new(bytes);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p, size_t) noexcept {
  std::free(p);
}

using namespace twill;
using namespace twill_test;

namespace {

const uint8_t kLoopback[] = {127, 0, 0, 1};
const uint8_t kAny[] = {0, 0, 0, 0};

void Fill(Packet& packet, const Bytes& bytes) {
  std::memcpy(packet.data, bytes.data(), bytes.size());
  packet.len = static_cast<uint32_t>(bytes.size());
}

}  // namespace

TEST_CASE("no allocation per packet: encap, send with UDP_SEGMENT, receive with UDP_GRO, decap, coalesce") {
  Offloads offloads(kAllOffloads);
  UdpConfig udp;
  udp.bind_address = IpAddr::V4(kLoopback);
  udp.source_address = IpAddr::V4(kAny);
  auto sockets = OpenUdp(udp, 1, offloads);
  REQUIRE(sockets.ok());
  sockaddr_in bound{};
  socklen_t length = sizeof bound;
  REQUIRE(getsockname(sockets->receivers[0].get(), reinterpret_cast<sockaddr*>(&bound), &length) == 0);
  UdpPort port(std::move(sockets->receivers[0]), sockets->bank, 4, offloads);

  auto pool = std::move(*Pool::Open(256, 65600));
  TunnelConfig config;
  config.encap = "vxlan";
  config.mac = {2, 0, 0, 0, 0, 1};
  auto tunnel = std::move(*MakeTunnel(config));
  // One node at both ends: what it sends as 10.5.2.1 comes back as from the peer that holds 10.5.2.0/24.
  NodeIdentity node;
  const uint8_t own[] = {10, 5, 1, 0}, theirs[] = {10, 5, 2, 0};
  node.AddOwn({IpAddr::V4(own), 24});
  PeerTable table(1);
  for (const uint8_t* subnet : {own, theirs}) {
    Peer peer;
    peer.subnet = {IpAddr::V4(subnet), 24};
    peer.endpoint = {IpAddr::V4(kLoopback), ntohs(bound.sin_port)};
    tunnel->Cook({2, 0, 0, 0, 0, 1}, peer);
    // Its own MAC as the sender's would be dropped: another stands in the inner source.
    peer.header[19] = 9;
    table.Set(peer);
  }
  auto encap = tunnel->NewEncapPath(node, 7);
  auto decap = tunnel->NewDecapPath(node);
  Coalescer coalescer;

  Shape super;
  super.payload = Bytes(20000, 3);
  Bytes whole = Build(super, true);
  Shape small = super;
  small.tcp = false;
  small.payload = Bytes(64, 4);
  Bytes datagram = Build(small);
  // Warm up once: the port makes its own batch at the first receive.
  size_t before = 0, merged = 0;
  Tally sent, received;
  for (int round = 0; round < 200; round++) {
    if (round == 1) before = allocations;
    Batch out(*pool), answers(*pool);
    REQUIRE(out.Grow(9) == 9);
    Fill(out[0], whole);
    VirtioHeader header;
    header.flags = kVirtioNeedsChecksum;
    header.gso_type = kGsoTcp4;
    header.gso_size = 1398;
    header.csum_start = 20;
    header.csum_offset = 16;
    REQUIRE(ApplyVirtioHeader(header, out[0]) == DropReason::kNone);
    for (size_t i = 1; i < 9; i++) Fill(out[i], datagram);
    encap->Run(table, out, answers, 1, sent);
    REQUIRE(out.size() == 9);
    port.Send(out);
    size_t arrived = 0;
    while (arrived < 15 + 8) {
      Batch in(*pool);
      size_t n = port.Recv(in);
      arrived += n;
      decap->Run(table, in, received);
      REQUIRE(in.size() == n);
      for (const auto& group : coalescer.Run(in, {})) merged += group.count > 1 ? group.count : 0;
    }
  }
  size_t after = allocations;
  CHECK(after == before);
  CHECK(merged > 1000);
  CHECK(sent.TotalDrops() == 0);
  CHECK(received.TotalDrops() == 0);
  CHECK(pool->free() == 256);
}
