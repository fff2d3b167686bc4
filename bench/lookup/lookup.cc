// What a packet costs with 10, 1,000 and 100,000 peers: the bare lookup, with the calls that the encap path
// makes; and both paths whole, from memory to memory. `npm run bench:lookup [-- rounds]`; medians over
// rounds.
//
// The peer counts take turns within each round, so that foreign load meets all of them alike; ratios are
// taken inside a round. Every packet is for a peer drawn at random.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "base/clock.h"
#include "encap/vxlan.h"
#include "engine/accounting.h"
#include "path/tunnel.h"

namespace {

using namespace twill;

constexpr size_t kSizes[] = {10, 1'000, 100'000};
constexpr size_t kSizeCount = std::size(kSizes);
constexpr size_t kBlocks = 2048;  // per measurement; each is drawn anew, outside the clock
constexpr size_t kBlockPackets = 256;
constexpr size_t kPackets = kBlocks * kBlockPackets;
constexpr size_t kPingBytes = 84;
constexpr Mac kOwnMac{2, 0, 0, 0, 0, 1}, kPeerMac{2, 0, 0, 0, 0, 2};

struct Family {
  const char* name;
  uint8_t version;
};
constexpr Family kFamilies[] = {{"IPv4", 4}, {"IPv6", 6}};

// The subnet of peer `n`: 10.0.0.0/8 cut into /24 and beyond it, or fd00::/48 cut into /64.
IpPrefix SubnetOf(uint8_t version, uint32_t n) {
  uint8_t bytes[16] = {};
  if (version == 4) {
    StoreBe32(bytes, (10u << 24) + (n << 8));
    return {IpAddr::V4(bytes), 24};
  }
  bytes[0] = 0xfd;
  StoreBe32(bytes + 4, n);
  return {IpAddr::V6(bytes), 64};
}

IpPrefix OwnSubnet(uint8_t version) {
  return SubnetOf(version, (1 << 24) - 1);
}

IpAddr EndpointOf(uint32_t n) {
  uint8_t bytes[4];
  StoreBe32(bytes, 0xac100000u + n);
  return IpAddr::V4(bytes);
}

struct Workload {
  size_t peers;
  std::unique_ptr<PeerTable> table;
};

Workload MakeWorkload(const Tunnel& tunnel, uint8_t version, size_t peers, std::mt19937& random) {
  Workload w{peers, std::make_unique<PeerTable>(random())};
  // In no order, as leases come.
  std::vector<uint32_t> order(peers);
  for (uint32_t i = 0; i < peers; i++) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  for (uint32_t n : order) {
    Peer row;
    row.subnet = SubnetOf(version, n);
    row.endpoint = {EndpointOf(n), 8472};
    tunnel.Cook(kPeerMac, row);
    w.table->Set(row);
  }
  return w;
}

// Hosts of peers drawn at random.
struct Block {
  std::array<std::array<uint8_t, 16>, kBlockPackets> addresses;
  std::array<uint32_t, kBlockPackets> peers;

  void Draw(std::mt19937& random, uint8_t version, size_t peer_count) {
    for (size_t i = 0; i < kBlockPackets; i++) {
      peers[i] = static_cast<uint32_t>(random() % peer_count);
      addresses[i] = SubnetOf(version, peers[i]).address.bytes;
      addresses[i][version == 4 ? 3 : 15] = static_cast<uint8_t>(random());
    }
  }
};

// The time of `run(block, at)` for 64 packets from `at` on, per packet.
template <typename Run>
double NsPerPacket(const Workload& w, uint8_t version, Run run) {
  static std::mt19937 random(1);
  Block block;
  uint64_t total = 0;
  for (size_t b = 0; b < kBlocks; b++) {
    block.Draw(random, version, w.peers);
    uint64_t start = MonotonicNs();
    for (size_t at = 0; at < kBlockPackets; at += kBatchMax) run(block, at);
    total += MonotonicNs() - start;
  }
  return static_cast<double>(total) / kPackets;
}

uint64_t sink;  // keeps the compiler from leaving work out

double LookupNs(const Workload& w, uint8_t version) {
  const PeerTable& table = *w.table;
  std::array<uint32_t, kBatchMax> guess;
  return NsPerPacket(w, version, [&](const Block& block, size_t at) {
    auto address = [&](size_t i) { return block.addresses[at + i].data(); };
    for (size_t i = 0; i < kBatchMax; i++) table.Prefetch(version, address(i));
    for (size_t i = 0; i < kBatchMax; i++) guess[i] = table.Guess(version, address(i));
    for (size_t i = 0; i < kBatchMax; i++) {
      const Peer* peer = table.Confirm(version, address(i), guess[i]);
      if (peer == nullptr) abort();
      sink += peer->header[20] + peer->endpoint.port;  // what the encap path reads
    }
  });
}

void WriteInner(uint8_t* p, uint8_t version) {
  std::memset(p, 0, kPingBytes);
  p[0] = version == 4 ? 0x45 : 0x60;
  StoreBe16(p + (version == 4 ? 2 : 4), kPingBytes - (version == 4 ? 0 : kIpv6HeaderBytes));
  p[version == 4 ? 8 : 7] = 64;
}

double EncapNs(const Workload& w, EncapPath& path, Pool& pool, uint8_t version) {
  Batch batch(pool), answers(pool);
  if (batch.Grow(kBatchMax) != kBatchMax) abort();
  for (Packet& p : batch) WriteInner(p.data, version);
  size_t destination = version == 4 ? 16 : 24, bytes = version == 4 ? 4 : 16;
  Tally tally;
  return NsPerPacket(w, version, [&](const Block& block, size_t at) {
    for (size_t i = 0; i < kBatchMax; i++) {
      Packet& p = batch[i];
      p.data = pool.PacketStart(p.slot);
      p.len = kPingBytes;
      std::memcpy(p.data + destination, block.addresses[at + i].data(), bytes);
    }
    path.Run(*w.table, batch, answers, 0, tally);
    if (batch.size() != kBatchMax) abort();
    sink += batch[at % kBatchMax].len;
  });
}

double DecapNs(const Workload& w, DecapPath& path, Pool& pool, uint8_t version) {
  Batch batch(pool);
  if (batch.Grow(kBatchMax) != kBatchMax) abort();
  Peer header;  // as a peer would put it in front: from its MAC to ours
  header.subnet.address.family = version;
  Vxlan(1, kPeerMac).Cook(kOwnMac, header);
  for (Packet& p : batch) {
    std::memcpy(p.data, header.header.data(), header.header_len);
    WriteInner(p.data + header.header_len, version);
    IpPrefix own = OwnSubnet(version);
    std::memcpy(p.data + header.header_len + (version == 4 ? 16 : 24), own.address.bytes.data(),
                own.address.size());
  }
  size_t source = header.header_len + (version == 4 ? 12u : 8u), bytes = version == 4 ? 4 : 16;
  Tally tally;
  return NsPerPacket(w, version, [&](const Block& block, size_t at) {
    for (size_t i = 0; i < kBatchMax; i++) {
      Packet& p = batch[i];
      p.data = pool.PacketStart(p.slot);
      p.len = header.header_len + kPingBytes;
      p.remote = {EndpointOf(block.peers[at + i]), 40'000};
      std::memcpy(p.data + source, block.addresses[at + i].data(), bytes);
    }
    path.Run(*w.table, batch, tally);
    if (batch.size() != kBatchMax) abort();
    sink += batch[at % kBatchMax].len;
  });
}

// The counting of what was sent, as a worker does it: all in all, and peer by peer.
double CountNs(const Workload& w, PeerCounters& counters, Pool& pool, uint8_t version, bool by_peer) {
  Batch batch(pool);
  if (batch.Grow(kBatchMax) != kBatchMax) abort();
  return NsPerPacket(w, version, [&](const Block& block, size_t at) {
    for (size_t i = 0; i < kBatchMax; i++) {
      batch[i].len = kPingBytes;
      batch[i].peer_number = block.peers[at + i] + 1;
    }
    Tally tally;
    CountSent(batch, tally);
    if (by_peer) CountPeers(batch, counters, Direction::kEncap, 0);
    sink += tally.delivered;
  });
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <typename Measure>
void Report(const char* what, const char* family, size_t rounds, Measure measure) {
  std::vector<double> ns[kSizeCount], ratios[kSizeCount];
  for (size_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < kSizeCount; i++) {
      measure(i);  // another table was in the caches
      ns[i].push_back(measure(i));
      ratios[i].push_back(ns[i].back() / ns[0].back());
    }
  }
  for (size_t i = 0; i < kSizeCount; i++) {
    double least = *std::min_element(ns[i].begin(), ns[i].end());
    double least_of_ten = *std::min_element(ns[0].begin(), ns[0].end());
    std::printf("%-12s %s %7zu peers  median %7.2f ns %6.1f M/s %6.2f x   least %7.2f ns %6.2f x\n", what,
                family, kSizes[i], Median(ns[i]), 1000 / Median(ns[i]), Median(ratios[i]), least,
                least / least_of_ten);
  }
}

}  // namespace

int main(int argc, char** argv) {
  size_t rounds = argc > 1 ? static_cast<size_t>(atoi(argv[1])) : 31;
  auto pool = Pool::Open(256, 2048);
  if (!pool) return 1;
  std::mt19937 random(1);
  for (const Family& family : kFamilies) {
    NodeIdentity node;
    node.cluster_port = 8472;
    node.AddOwn(OwnSubnet(family.version));
    TunnelConfig config;
    config.encap = "vxlan";
    config.mac = kOwnMac;
    auto tunnel = MakeTunnel(config);
    if (!tunnel) return 1;
    std::vector<Workload> workloads;
    for (size_t peers : kSizes) workloads.push_back(MakeWorkload(**tunnel, family.version, peers, random));
    Report("lookup", family.name, rounds, [&](size_t i) { return LookupNs(workloads[i], family.version); });
    auto encap = (*tunnel)->NewEncapPath(node, 1);
    Report("vxlan encap", family.name, rounds,
           [&](size_t i) { return EncapNs(workloads[i], *encap, **pool, family.version); });
    PeerCounters counters;
    for (uint32_t n = 0; n <= kSizes[kSizeCount - 1]; n++) counters.Reserve(n);
    for (bool by_peer : {false, true}) {
      Report(by_peer ? "count, peers" : "count", family.name, rounds,
             [&](size_t i) { return CountNs(workloads[i], counters, **pool, family.version, by_peer); });
    }
    auto decap = (*tunnel)->NewDecapPath(node);
    Report("vxlan decap", family.name, rounds,
           [&](size_t i) { return DecapNs(workloads[i], *decap, **pool, family.version); });
  }
  return sink == 0;
}
