// One overlay dataplane: its pool, peer table, ports and workers. A process may
// hold several; nothing here is shared between them. Calls of one engine come from
// one thread at a time; its workers run beside. Channels and pool take any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/mailbox.h"
#include "engine/tap_slot.h"
#include "engine/worker.h"
#include "path/node_identity.h"
#include "path/tunnel.h"
#include "port/tun.h"
#include "port/udp.h"
#include "port/user.h"

namespace twill {

// What a program at a user port may be told of, as bits.
enum class UserEvent : uint32_t {
  kOverlayReadable = 1,
  kUnderlayReadable = 2,
  kPoolFree = 4,
  kOverlayRoom = 8,
  kUnderlayRoom = 16,
};

struct EngineConfig {
  std::string encap;
  TunnelConfig tunnel;  // `tunnel.encap` views `encap`
  NodeIdentity node;
  // The overlay: a TUN device, or the program.
  bool overlay_user = false;
  std::string device_name;
  bool device_persist = false;
  // The underlay: sockets, or the program.
  bool underlay_user = false;
  std::vector<UdpConfig> underlays;
  std::vector<int>
      worker_cpus;     // worker i stays on the i-th, from the start again when there are fewer; empty: any
  size_t workers = 1;  // 0: no thread; the caller steps
  uint32_t pool_slots = 1024;
  uint32_t offloads = kAllOffloads;  // wanted, by OffloadBit; user ports take no part in them
  // Called from workers when a user port has packets for the program; from any thread when slots or room are
  // there that somebody waits for (Pool::AwaitFree, PacketQueue::AwaitRoom).
  std::function<void(UserEvent)> on_user_event;
};

struct EngineStats {
  Tally encap, decap;
  uint64_t generation = 0;
  size_t peers = 0;
  size_t workers = 0;
  uint32_t pool_free = 0, pool_slots = 0;
};

struct TraceResult {
  DropReason drop = DropReason::kNone;
  Peer peer;
};

class Engine {
 public:
  // Largest inner packet or datagram: what IP's 16-bit length can say, and a header.
  static constexpr size_t kPacketBytes = 65535 + kCookedBytes;

  static Result<std::unique_ptr<Engine>> Open(EngineConfig config);
  ~Engine() { Close(); }

  Result<uint64_t> Publish(std::span<const uint8_t> ops);
  // Takes another place on the underlay, another largest inner packet and other addresses of its own from
  // `config`; all else stays as it is open. Workers rest meanwhile: what comes waits in the kernel's queues.
  // A socket that receives as before stays open, and of one that goes everything is carried that had arrived.
  // Where it fails, all is as it was; only where the workers cannot be started again the engine is closed.
  Result<> Rebind(EngineConfig config);
  EngineStats Stats() const;
  // What all workers counted under the peer with exactly this subnet; false: there is none.
  bool ReadPeer(const IpPrefix& subnet, PeerTotals& totals) const;
  // Of all packets that no peer in the table accounts for.
  PeerTotals ReadNoPeer() const { return mailbox_->numbers().ReadOthers(); }
  // Whose packets carry this number; family 0: nobody's.
  IpPrefix PeerSubnet(uint32_t number) const { return mailbox_->numbers().SubnetOf(number); }
  TraceResult Trace(const IpAddr& destination) const;
  size_t Step();
  // Copies what passes from now on. One at a time; the calls below are for the one that is open.
  Result<> OpenTap(const TapFilter& filter, uint32_t snap_bytes, size_t ring_bytes);
  // Whole records (tap/record.h); how many bytes.
  size_t ReadTap(std::span<uint8_t> out);
  TapCounts CountTap() const { return tap_ && tap_->tap() ? tap_->tap()->Counts() : TapCounts{}; }
  void CloseTap();
  // Whether every worker has turned since the last call, which asks them anew. The first call finds them
  // turning.
  bool Turning();
  // Stops the workers and closes the ports: no descriptor stays. Calls after it find an engine without
  // workers.
  void Close();
  bool closed() const { return closed_; }

  const Offloads& offloads() const { return *offloads_; }
  const std::string& device_name() const { return device_name_; }
  int device_index() const { return device_index_; }
  const std::shared_ptr<Pool>& pool() const { return pool_; }
  // Null where that side is no user port, and after Close.
  UserChannel* overlay_channel() { return overlay_channel_.get(); }
  UserChannel* underlay_channel() { return underlay_channel_.get(); }

 private:
  explicit Engine(EngineConfig config) : config_(std::move(config)) {}
  Result<> OpenParts();
  std::shared_ptr<UserChannel> OpenChannel(UserEvent readable, UserEvent room);
  Worker::Parts PartsOf(size_t worker, Fd queue, std::vector<UdpSockets>& sockets);
  Result<> StartWorkers();
  Result<UdpSockets> OpenAgain(const UdpConfig& config);
  void Keep(const std::vector<UdpSockets>& sockets);

  EngineConfig config_;
  std::string device_name_;
  int device_index_ = 0;
  std::unique_ptr<Offloads> offloads_;
  std::shared_ptr<Pool> pool_;  // outlives everything that holds slots
  std::unique_ptr<Mailbox> mailbox_;
  std::unique_ptr<TapSlot> tap_;
  std::unique_ptr<Tunnel> tunnel_;
  std::unique_ptr<EncapPath> tracer_;
  uint32_t flow_seed_ = 0;
  std::vector<std::shared_ptr<const SourceBank>> banks_;  // of config_.underlays, one each
  std::shared_ptr<UserChannel> overlay_channel_, underlay_channel_;
  std::vector<std::unique_ptr<Worker>> workers_;
  EngineStats last_;  // what Close found
  bool closed_ = false;
};

}  // namespace twill
