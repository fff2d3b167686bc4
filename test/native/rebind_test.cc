// An engine that moves on the underlay while datagrams are on their way: real sockets on loopback.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>

#include <thread>

#include "engine/engine.h"
#include "support/path.h"
#include "support/user_ports.h"

namespace twill {

namespace {

// Of this process alone, or two runs at once would meet.
uint16_t ClusterPort() {
  return static_cast<uint16_t>(20'000 + getpid() % 10'000);
}

UdpConfig At(const char* address, bool vxlan) {
  UdpConfig udp;
  udp.source_address = test::Address(address);
  udp.bind_address = vxlan ? test::Address("0.0.0.0") : udp.source_address;
  udp.port = ClusterPort();
  udp.source_ports = vxlan ? 4 : 0;
  return udp;
}

EngineConfig ConfigOf(bool vxlan, size_t workers, const char* address, uint32_t mtu = 1450) {
  EngineConfig config;
  config.encap = vxlan ? "vxlan" : "udp";
  config.tunnel.mac = test::kOwnMac;
  config.node.cluster_port = ClusterPort();
  config.node.inner_mtu_bytes = mtu;
  config.node.AddOwn(test::Prefix("10.5.1.0/24"));
  config.overlay_user = true;
  config.workers = workers;
  config.pool_slots = 4096;
  config.underlays.push_back(At(address, vxlan));
  return config;
}

// 10.5.2.0/24 at 127.0.0.9, the cluster's port.
std::vector<uint8_t> SetPeer() {
  auto op = test::Hex(
      "01 04 18 04 0000 c6d2326f8f44 00000000 0a050200000000000000000000000000 "
      "7f000009000000000000000000000000");
  StoreBe16(&op[4], ClusterPort());
  return op;
}

// The node at 127.0.0.9; it speaks udp.
class Peer9 {
 public:
  Peer9() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own = To("127.0.0.9");
    bound = bind(fd_.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) == 0;
  }
  void Send(const char* address) {
    test::Bytes payload = test::IpPacket({});
    sockaddr_in to = To(address);
    CHECK(sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) ==
          static_cast<ssize_t>(payload.size()));
  }
  // Where the next datagram comes from; empty: none came.
  std::string From() {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (poll(&ready, 1, 10'000) != 1) return "";
    sockaddr_in from{};
    socklen_t len = sizeof from;
    uint8_t byte;
    recvfrom(fd_.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &len);
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
    return text;
  }
  bool bound = false;

 private:
  static sockaddr_in To(const char* address) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(ClusterPort());
    inet_pton(AF_INET, address, &out.sin_addr);
    return out;
  }
  Fd fd_;
};

void DrainOverlay(Engine& engine) {
  Packet out[kBatchMax];
  while (size_t n = engine.overlay_channel()->Pull(out, kBatchMax)) {
    for (size_t i = 0; i < n; i++) engine.pool()->Give(&out[i].slot, 1);
  }
}

size_t Delivered(Engine& engine) {
  DrainOverlay(engine);
  return engine.Stats().decap.delivered;
}

void StepAll(Engine& engine) {
  while (engine.Step() > 0) DrainOverlay(engine);
}

void PushOut(Engine& engine) {
  test::Shape out;
  out.source = "10.5.1.9";
  out.destination = "10.5.2.9";
  REQUIRE(test::Push(engine, *engine.overlay_channel(), test::IpPacket(out)));
}

std::unique_ptr<Engine> NewEngine(EngineConfig config) {
  auto engine = Engine::Open(std::move(config));
  REQUIRE(engine.ok());
  REQUIRE((*engine)->Publish(SetPeer()).ok());
  return std::move(*engine);
}

}  // namespace

TEST_CASE("rebind: what had arrived is carried, then the new address receives and sends") {
  auto engine = NewEngine(ConfigOf(false, 0, "127.0.0.11"));
  Peer9 peer;
  REQUIRE(peer.bound);
  for (int i = 0; i < 100; i++) peer.Send("127.0.0.11");
  REQUIRE(engine->Rebind(ConfigOf(false, 0, "127.0.0.12")).ok());
  CHECK(Delivered(*engine) == 100);
  peer.Send("127.0.0.12");
  StepAll(*engine);
  CHECK(Delivered(*engine) == 101);
  PushOut(*engine);
  StepAll(*engine);
  CHECK(peer.From() == "127.0.0.12");
  // The old place is free for somebody else.
  auto other = Engine::Open(ConfigOf(false, 0, "127.0.0.11"));
  CHECK(other.ok());
}

TEST_CASE("rebind: where the new place cannot be had all is as it was") {
  auto engine = NewEngine(ConfigOf(false, 0, "127.0.0.11"));
  Peer9 peer;
  auto moved = engine->Rebind(ConfigOf(false, 0, "192.0.2.77"));
  REQUIRE(!moved.ok());
  CHECK(std::string(moved.error().code) == "ERR_TWILL_SOCKET");
  CHECK(moved.error().message.find("192.0.2.77 (no interface has that address)") != std::string::npos);
  peer.Send("127.0.0.11");
  PushOut(*engine);
  StepAll(*engine);
  CHECK(Delivered(*engine) == 1);
  CHECK(peer.From() == "127.0.0.11");
}

TEST_CASE("rebind: the largest inner packet changes, and the sockets stay") {
  auto engine = NewEngine(ConfigOf(true, 0, "127.0.0.11"));
  const size_t size = test::IpPacket({}).size();
  PushOut(*engine);
  StepAll(*engine);
  CHECK(engine->Stats().encap.delivered == 1);
  REQUIRE(engine->Rebind(ConfigOf(true, 0, "127.0.0.11", static_cast<uint32_t>(size - 1))).ok());
  PushOut(*engine);
  StepAll(*engine);
  CHECK(engine->Stats().encap.drops[static_cast<size_t>(DropReason::kTooBig)] == 1);
  REQUIRE(engine->Rebind(ConfigOf(true, 0, "127.0.0.11", static_cast<uint32_t>(size))).ok());
  PushOut(*engine);
  StepAll(*engine);
  CHECK(engine->Stats().encap.delivered == 2);
}

TEST_CASE("rebind: a closed engine refuses") {
  auto engine = NewEngine(ConfigOf(false, 0, "127.0.0.11"));
  engine->Close();
  auto moved = engine->Rebind(ConfigOf(false, 0, "127.0.0.12"));
  REQUIRE(!moved.ok());
  CHECK(std::string(moved.error().code) == "ERR_TWILL_CLOSED");
}

TEST_CASE("rebind: amid traffic nothing is lost" * doctest::test_suite("threads")) {
  for (size_t workers : {1, 2}) {
    CAPTURE(workers);
    auto engine = NewEngine(ConfigOf(false, workers, "127.0.0.11"));
    Peer9 peer;
    const size_t count = test::Times(2'000);
    size_t moves = 0;
    std::atomic<bool> done{false};
    std::thread program([&] {
      Packet out[kBatchMax];
      while (!done.load()) {
        size_t n = engine->overlay_channel()->Pull(out, kBatchMax);
        for (size_t i = 0; i < n; i++) engine->pool()->Give(&out[i].slot, 1);
        if (n == 0) std::this_thread::yield();
      }
    });
    size_t mtu = 1400;
    for (size_t i = 0; i < count; i++) {
      peer.Send("127.0.0.11");
      if (i % 100 != 0) continue;
      // The same address: the socket stays, whoever reads from it.
      moves += engine->Rebind(ConfigOf(false, workers, "127.0.0.11", static_cast<uint32_t>(++mtu))).ok();
    }
    CHECK(moves == (count + 99) / 100);
    for (int i = 0; i < 10'000 && engine->Stats().decap.received < count; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EngineStats stats = engine->Stats();
    CHECK(stats.decap.received == count);
    CHECK(stats.decap.received == stats.decap.delivered + stats.decap.TotalDrops());
    done.store(true);
    program.join();
  }
}

}  // namespace twill
