// The packet path from memory to memory: what Twill itself does to a packet, without any system call. Every
// packet is copied into a slot of the pool first, as a read from a device would.
#include <cstring>
#include <memory>

#include "base/clock.h"
#include "bench/native/loops.h"
#include "path/tunnel.h"
#include "transport_packets.h"

namespace twill_bench {
namespace {

using twill::Batch;
using twill::IpAddr;
using twill_test::Bytes;

constexpr uint32_t kPeers = 1000;

IpAddr Address(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  uint8_t bytes[4] = {a, b, c, d};
  return IpAddr::V4(bytes);
}

// A node with its table: the one that sends (10.5.2.0/24), or the one that receives (10.5.1.0/24), and
// fillers.
struct Node {
  Node(const char* encap, uint8_t own, uint8_t other) : table(7) {
    twill::TunnelConfig config;
    config.encap = encap;
    config.mac = {2, 0, 0, 0, 0, own};
    tunnel = std::move(*twill::MakeTunnel(config));
    node.AddOwn({Address(10, 5, own, 0), 24});
    node.cluster_port = 8472;
    Set(10, 5, other, other, {2, 0, 0, 0, 0, other});
    for (uint32_t i = 0; i < kPeers; i++)
      Set(10, static_cast<uint8_t>(8 + i / 250), static_cast<uint8_t>(i % 250), 200, {2, 0, 0, 0, 1, 0});
  }
  void Set(uint8_t a, uint8_t b, uint8_t c, uint8_t host, const twill::Mac& mac) {
    twill::Peer row;
    row.subnet = {Address(a, b, c, 0), 24};
    row.endpoint = {Address(192, 0, 2, host), 8472};
    tunnel->Cook(mac, row);
    table.Set(row);
  }

  twill::PeerTable table;
  twill::NodeIdentity node;
  std::unique_ptr<twill::Tunnel> tunnel;
};

struct Path {
  Path(const char* encap, size_t ip_bytes, size_t batch_size)
      : sender(encap, 2, 1),
        receiver(encap, 1, 2),
        out(sender.tunnel->NewEncapPath(sender.node, 1)),
        in(receiver.tunnel->NewDecapPath(receiver.node)),
        pool(std::move(*twill::Pool::Open(512, 2048))),
        size(batch_size) {
    twill_test::Shape shape;
    shape.tcp = false;
    shape.payload.assign(ip_bytes - 28, 0x5a);
    inner = twill_test::Build(shape);
    Batch batch(*pool), answers(*pool);
    Fill(batch, inner, 1);
    twill::Tally tally;
    out->Run(sender.table, batch, answers, 0, tally);
    if (!batch.empty()) datagram.assign(batch[0].data, batch[0].data + batch[0].len);
  }

  void Fill(Batch& batch, const Bytes& bytes, size_t count) const {
    size_t first = batch.size();
    batch.Grow(count);
    for (size_t i = first; i < batch.size(); i++) {
      std::memcpy(batch[i].data, bytes.data(), bytes.size());
      batch[i].len = static_cast<uint32_t>(bytes.size());
      batch[i].remote = {Address(192, 0, 2, 2), 8472};
    }
  }

  uint64_t Encap() {
    Batch batch(*pool), answers(*pool);
    Fill(batch, inner, size);
    twill::Tally tally;
    out->Run(sender.table, batch, answers, 0, tally);
    return batch.size();
  }
  uint64_t Decap() {
    Batch batch(*pool);
    Fill(batch, datagram, size);
    twill::Tally tally;
    in->Run(receiver.table, batch, tally);
    return batch.size();
  }

  Node sender, receiver;
  std::unique_ptr<twill::EncapPath> out;
  std::unique_ptr<twill::DecapPath> in;
  std::unique_ptr<twill::Pool> pool;
  Bytes inner, datagram;
  size_t size;
};

void Add(std::vector<Loop>& loops) {
  for (const char* encap : {"udp", "vxlan"}) {
    for (bool outward : {true, false}) {
      for (size_t bytes : {64u, 512u, 1450u}) {
        for (size_t batch : {1u, 8u, 64u}) {
          auto path = std::make_shared<Path>(encap, bytes, batch);
          std::string name =
              std::string(encap) + (outward ? " encap, " : " decap, ") + std::to_string(bytes) + " B";
          auto run = [path, outward] { return outward ? path->Encap() : path->Decap(); };
          loops.push_back({"path", name, "batch of " + std::to_string(batch), "packets", run});
        }
      }
    }
  }
}

const Registered kRegistered(Add);

}  // namespace
}  // namespace twill_bench
