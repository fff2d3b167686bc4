// UDP sockets on loopback.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>

#include <map>
#include <set>
#include <string>

#include "port/udp.h"
#include "support/packets.h"
#include "support/random.h"

namespace twill {

namespace {

using test::Address;

struct Side {
  explicit Side(const char* address, size_t source_ports = 0, size_t packet_bytes = 65536,
                uint32_t wanted = kAllOffloads)
      : offloads(wanted) {
    auto opened_pool = Pool::Open(4 * kBatchMax, packet_bytes);
    REQUIRE(opened_pool.ok());
    pool = std::move(*opened_pool);
    UdpConfig config;
    config.bind_address = config.source_address = Address(address);
    config.source_ports = source_ports;
    auto sockets = OpenUdp(config, 1, offloads);
    if (!sockets) return;
    port =
        std::make_unique<UdpPort>(std::move(sockets->receivers[0]), sockets->bank, sockets->family, offloads);
    sockaddr_in6 bound{};
    socklen_t len = sizeof bound;
    REQUIRE(getsockname(port->poll_fd(), reinterpret_cast<sockaddr*>(&bound), &len) == 0);
    // The port stands at the same place in both families.
    endpoint = {config.bind_address, ntohs(reinterpret_cast<sockaddr_in&>(bound).sin_port)};
  }

  Packet& Add(Batch& batch, const Endpoint& to, std::span<const uint8_t> bytes) {
    REQUIRE(batch.Grow(1) == 1);
    Packet& p = batch[batch.size() - 1];
    std::copy(bytes.begin(), bytes.end(), p.data);
    p.len = static_cast<uint32_t>(bytes.size());
    p.remote = to;
    return p;
  }
  Packet& Add(Batch& batch, const Endpoint& to, const std::string& text) {
    return Add(batch, to, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }

  // Waits for something to be there, then takes all of it.
  size_t Receive(Batch& batch) const {
    pollfd fd{port->poll_fd(), POLLIN, 0};
    if (poll(&fd, 1, 10'000) != 1) return 0;
    return port->Recv(batch);
  }

  Offloads offloads;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<UdpPort> port;
  Endpoint endpoint;
};

std::string TextOf(const Packet& p) {
  return std::string(reinterpret_cast<const char*>(p.data), p.len);
}

size_t Count(const Batch& batch, DropReason reason) {
  size_t n = 0;
  for (size_t i = 0; i < batch.size(); i++) n += batch[i].drop == reason;
  return n;
}

// IPv6 may be off where the tests run.
bool HasIpv6() {
  static const bool has = Side("::1").port != nullptr;
  if (!has) MESSAGE("no IPv6 on loopback: left out");
  return has;
}

}  // namespace

TEST_CASE("udp port: a datagram longer than the buffer is marked, its neighbours are not") {
  // Without UDP_GRO: an engine's buffers hold the longest that it makes.
  Side a("127.0.0.1"), b("127.0.0.1", 0, 100, kAllOffloads & ~OffloadBit(Offload::kUdpGro));
  Batch out(*a.pool), in(*b.pool);
  a.Add(out, b.endpoint, test::Bytes(100, 1));
  a.Add(out, b.endpoint, test::Bytes(101, 2));
  a.Add(out, b.endpoint, test::Bytes(1900, 3));
  a.Add(out, b.endpoint, test::Bytes(99, 4));
  a.port->Send(out);
  REQUIRE(Count(out, DropReason::kNone) == 4);
  while (in.size() < 4) REQUIRE(b.Receive(in) > 0);
  CHECK_FALSE(in[0].truncated);
  CHECK(in[0].len == 100);
  CHECK(in[1].truncated);
  CHECK(in[2].truncated);
  CHECK_FALSE(in[3].truncated);
  for (size_t i = 0; i < 4; i++) {
    CHECK(in[i].data[0] == i + 1);
    CHECK(in[i].len <= 100);
    CHECK(in[i].remote == a.endpoint);
  }
}

TEST_CASE("udp port: a datagram without a byte is received as such and ends nothing") {
  for (const char* address : {"127.0.0.1", "::1"}) {
    if (std::string(address) == "::1" && !HasIpv6()) continue;
    Side a(address), b(address);
    Batch out(*a.pool), in(*b.pool);
    for (const char* text : {"", "one", "", "", "two", ""}) a.Add(out, b.endpoint, std::string(text));
    a.port->Send(out);
    while (in.size() < 6) REQUIRE(b.Receive(in) > 0);
    std::string all;
    for (const Packet& p : in) all += TextOf(p) + ",";
    CHECK(all == ",one,,,two,,");
  }
}

TEST_CASE("udp port: destinations that fail harm no neighbour, wherever they stand in the batch") {
  TWILL_RANDOM(random);
  for (size_t bank : {0, 4}) {
    CAPTURE(bank);
    Side a("127.0.0.1", bank), b("127.0.0.1");
    const Endpoint nowhere{Address("127.0.0.1"), 0};          // no port: EINVAL
    const Endpoint everybody{Address("255.255.255.255"), 9};  // broadcast without leave: EACCES
    const Endpoint six{Address("2001:db8::1"), 9};            // another family: not this port's to send
    for (int round = 0; round < 200; round++) {
      Batch out(*a.pool), in(*b.pool);
      std::multiset<std::string> wanted;
      size_t invalid = 0, denied = 0;
      for (size_t i = 0; i < kBatchMax; i++) {
        std::string text = std::to_string(i);
        size_t kind = random.Below(6);
        const Endpoint& to = kind == 0 ? nowhere : kind == 1 ? everybody : kind == 2 ? six : b.endpoint;
        Packet& p = a.Add(out, to, text);
        p.flow_hash = static_cast<uint32_t>(random());
        invalid += kind == 0;
        denied += kind == 1;
        if (kind > 2) wanted.insert(text);
      }
      a.port->Send(out);
      REQUIRE(Count(out, DropReason::kSendError) == invalid);
      REQUIRE(Count(out, DropReason::kSendDenied) == denied);
      REQUIRE(Count(out, DropReason::kNone) == kBatchMax - invalid - denied);
      while (in.size() < wanted.size()) REQUIRE(b.Receive(in) > 0);
      std::multiset<std::string> got;
      for (const Packet& p : in) got.insert(TextOf(p));
      REQUIRE(got == wanted);
    }
  }
}

TEST_CASE("udp port: a flow keeps its source port and its order, flows spread over the bank") {
  TWILL_RANDOM(random);
  Side a("127.0.0.1", 8), b("127.0.0.1");
  std::map<uint32_t, uint16_t> ports;
  std::map<uint32_t, uint32_t> next;
  std::vector<uint32_t> flows(40);
  for (uint32_t& flow : flows) flow = static_cast<uint32_t>(random());
  for (uint32_t round = 0; round < 50; round++) {
    Batch out(*a.pool), in(*b.pool);
    for (uint32_t i = 0; i < kBatchMax; i++) {
      uint32_t flow = flows[random.Below(flows.size())];
      uint8_t bytes[8];
      StoreBe32(bytes, flow);
      StoreBe32(bytes + 4, round * kBatchMax + i);
      a.Add(out, b.endpoint, std::span<const uint8_t>(bytes)).flow_hash = flow;
    }
    a.port->Send(out);
    while (in.size() < kBatchMax) REQUIRE(b.Receive(in) > 0);
    for (const Packet& p : in) {
      uint32_t flow = LoadBe32(p.data), number = LoadBe32(p.data + 4);
      uint16_t& port = ports.try_emplace(flow, p.remote.port).first->second;
      REQUIRE(port == p.remote.port);
      REQUIRE(number >= next[flow]);
      next[flow] = number + 1;
    }
  }
  std::set<uint16_t> used;
  for (const auto& [_, port] : ports) used.insert(port);
  CHECK(used.size() > 4);
  CHECK_FALSE(used.contains(a.endpoint.port));
}

TEST_CASE("udp port: the traffic class goes out and comes in, per datagram") {
  for (const char* address : {"127.0.0.1", "::1"}) {
    if (std::string(address) == "::1" && !HasIpv6()) continue;
    Side a(address), b(address);
    CHECK(a.port->family() == (std::string(address) == "::1" ? 6 : 4));
    const uint8_t marks[] = {0, 2, 0, 1, 3, 0xb8, 0};
    Batch out(*a.pool), in(*b.pool);
    for (uint8_t tos : marks) a.Add(out, b.endpoint, std::string("x")).tos = tos;
    a.port->Send(out);
    while (in.size() < std::size(marks)) REQUIRE(b.Receive(in) > 0);
    for (size_t i = 0; i < std::size(marks); i++) {
      CHECK(in[i].tos == marks[i]);
      CHECK(in[i].remote == a.endpoint);
    }
  }
}

TEST_CASE("udp port: receiving takes what there is room for, and gives back what it did not need") {
  Side a("127.0.0.1"), b("127.0.0.1");
  {
    Batch nothing(*b.pool);
    CHECK(b.port->Recv(nothing) == 0);
    CHECK(b.pool->free() == b.pool->slots());
  }
  for (int i = 0; i < 2; i++) {
    Batch out(*a.pool);
    for (size_t n = 0; n < 50; n++) a.Add(out, b.endpoint, std::string("x"));
    a.port->Send(out);
  }
  size_t got = 0;
  while (got < 100) {
    Batch in(*b.pool);
    REQUIRE(b.Receive(in) > 0);
    CHECK(in.size() <= kBatchMax);
    CHECK(b.pool->free() >= b.pool->slots() - in.size());
    got += in.size();
  }
  CHECK(got == 100);
  Batch full(*b.pool);
  full.Grow(kBatchMax);
  CHECK(b.port->Recv(full) == 0);
  CHECK(full.size() == kBatchMax);
}

TEST_CASE("udp port: an address that is not ours, or a port in use, is an error that says which") {
  UdpConfig config;
  config.bind_address = config.source_address = Address("192.0.2.77");
  Offloads offloads(kAllOffloads);
  auto foreign = OpenUdp(config, 1, offloads);
  REQUIRE_FALSE(foreign.ok());
  CHECK(std::string(foreign.error().code) == "ERR_TWILL_SOCKET");
  CHECK(foreign.error().message.find("192.0.2.77") != std::string::npos);
  Side holder("127.0.0.1");
  config.bind_address = config.source_address = holder.endpoint.address;
  config.port = holder.endpoint.port;
  for (size_t workers : {1, 2}) {
    auto taken = OpenUdp(config, workers, offloads);
    REQUIRE_FALSE(taken.ok());
    CHECK(taken.error().sys_errno == EADDRINUSE);
  }
}

}  // namespace twill
