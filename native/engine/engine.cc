#include "engine/engine.h"

#include <sys/random.h>

namespace twill {

namespace {

uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
    seed = reinterpret_cast<uintptr_t>(&seed);
  }
  return seed;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Open(EngineConfig config) {
  std::unique_ptr<Engine> engine(new Engine(std::move(config)));
  auto opened = engine->OpenParts();
  if (!opened) return opened.error();
  auto started = engine->StartWorkers();
  if (!started) return started.error();
  return engine;
}

Result<> Engine::StartWorkers() {
  for (auto& worker : workers_) {
    if (config_.workers == 0) break;
    auto started = worker->Start();
    if (!started) return started.error();
  }
  return Unit{};
}

Result<> Engine::OpenParts() {
  size_t queues = config_.workers == 0 ? 1 : config_.workers;
  config_.tunnel.encap = config_.encap;
  auto tunnel = MakeTunnel(config_.tunnel);
  if (!tunnel) return tunnel.error();
  tunnel_ = std::move(*tunnel);
  auto pool = Pool::Open(config_.pool_slots, kPacketBytes);
  if (!pool) return pool.error();
  pool_ = std::move(*pool);
  if (config_.on_user_event) {
    pool_->on_free = [tell = config_.on_user_event] { tell(UserEvent::kPoolFree); };
  }
  mailbox_ = std::make_unique<Mailbox>(RandomSeed(), queues);
  mailbox_->on_numbers_end = [this](std::span<const uint32_t> numbers) {
    for (UserChannel* channel : {overlay_channel(), underlay_channel()}) {
      if (channel != nullptr) channel->from_engine().ForgetPeers(numbers);
    }
  };
  tap_ = std::make_unique<TapSlot>(queues);

  // A program at either side sees plain packets, one to a buffer. What sockets do is not its concern.
  uint32_t usable = kAllOffloads;
  if (config_.overlay_user || config_.underlay_user) usable = OffloadBit(Offload::kUdpSegment);
  if (config_.overlay_user) usable |= OffloadBit(Offload::kUdpGro);
  offloads_ = std::make_unique<Offloads>(config_.offloads & usable);

  // Sockets first: a port in use is found before a device appears.
  std::vector<UdpSockets> sockets;
  for (const UdpConfig& udp : config_.underlays) {
    auto opened = OpenUdp(udp, queues, *offloads_);
    if (!opened) return opened.error();
    sockets.push_back(std::move(*opened));
  }
  TunDevice tun;
  if (!config_.overlay_user) {
    auto opened = OpenTun(config_.device_name, queues, config_.device_persist, *offloads_);
    if (!opened) return opened.error();
    tun = std::move(*opened);
    device_name_ = tun.name;
    device_index_ = tun.index;
  } else {
    overlay_channel_ = OpenChannel(UserEvent::kOverlayReadable, UserEvent::kOverlayRoom);
  }
  if (config_.underlay_user) {
    underlay_channel_ = OpenChannel(UserEvent::kUnderlayReadable, UserEvent::kUnderlayRoom);
  }

  flow_seed_ = static_cast<uint32_t>(RandomSeed());
  tracer_ = tunnel_->NewEncapPath(config_.node, flow_seed_);
  Keep(sockets);
  tun.queues.resize(queues);
  for (size_t i = 0; i < queues; i++) {
    workers_.push_back(std::make_unique<Worker>(PartsOf(i, std::move(tun.queues[i]), sockets)));
  }
  return Unit{};
}

std::shared_ptr<UserChannel> Engine::OpenChannel(UserEvent readable, UserEvent room) {
  auto channel = std::make_shared<UserChannel>(*pool_);
  if (config_.on_user_event) {
    channel->on_readable = [tell = config_.on_user_event, readable] { tell(readable); };
    channel->to_engine().on_room = [tell = config_.on_user_event, room] { tell(room); };
  }
  return channel;
}

// `queue` of the TUN device, if that is the overlay; takes the worker's receivers out of `sockets`.
Worker::Parts Engine::PartsOf(size_t worker, Fd queue, std::vector<UdpSockets>& sockets) {
  Worker::Parts parts;
  parts.index = worker;
  const auto& cpus = config_.worker_cpus;
  if (!cpus.empty()) parts.cpu = cpus[worker % cpus.size()];
  parts.mailbox = mailbox_.get();
  parts.tap = tap_.get();
  parts.pool = pool_.get();
  parts.encap = tunnel_->NewEncapPath(config_.node, flow_seed_);
  parts.decap = tunnel_->NewDecapPath(config_.node);
  if (config_.overlay_user) {
    parts.overlay = std::make_unique<UserPort>(overlay_channel_, DropReason::kDeviceBusy);
  } else {
    parts.overlay = std::make_unique<TunPort>(std::move(queue), config_.node.inner_mtu_bytes, *offloads_);
  }
  for (UdpSockets& s : sockets) {
    parts.underlays.push_back(
        std::make_unique<UdpPort>(std::move(s.receivers[worker]), s.bank, s.family, *offloads_));
  }
  if (config_.underlay_user)
    parts.underlays.push_back(std::make_unique<UserPort>(underlay_channel_, DropReason::kSendNoBuffer));
  return parts;
}

void Engine::Keep(const std::vector<UdpSockets>& sockets) {
  banks_.clear();
  for (const UdpSockets& s : sockets) banks_.push_back(s.bank);
}

Result<uint64_t> Engine::Publish(std::span<const uint8_t> bytes) {
  auto ops = ParsePeerOps(bytes);
  if (!ops) return ops.error();
  for (PeerOp& op : *ops) {
    if (op.kind == PeerOp::Kind::kSet) tunnel_->Cook(op.mac, op.row);
  }
  return mailbox_->Publish(*ops);
}

EngineStats Engine::Stats() const {
  if (closed_) return last_;
  EngineStats stats;
  for (const auto& worker : workers_) {
    stats.encap.Add(worker->encap_counters.Read());
    stats.decap.Add(worker->decap_counters.Read());
  }
  stats.generation = mailbox_->current().generation;
  stats.peers = mailbox_->current().size();
  stats.workers = config_.workers;
  stats.pool_free = pool_->free();
  stats.pool_slots = pool_->slots();
  return stats;
}

bool Engine::ReadPeer(const IpPrefix& subnet, PeerTotals& totals) const {
  const Peer* peer = mailbox_->current().Find(subnet);
  if (peer != nullptr) totals = mailbox_->numbers().Read(peer->number);
  return peer != nullptr;
}

TraceResult Engine::Trace(const IpAddr& destination) const {
  TraceResult result;
  const Peer* peer = nullptr;
  result.drop = tracer_->Trace(mailbox_->current(), destination, peer);
  if (peer != nullptr) result.peer = *peer;
  return result;
}

size_t Engine::Step() {
  if (config_.workers != 0 || closed_) return 0;
  size_t moved = workers_[0]->Step();
  // The caller may publish before the next step, and would wait for itself.
  mailbox_->Leave(0);
  return moved;
}

Result<> Engine::OpenTap(const TapFilter& filter, uint32_t snap_bytes, size_t ring_bytes) {
  if (closed_) return Error{"ERR_TWILL_CLOSED", "the dataplane is closed"};
  if (tap_->tap() != nullptr) return Error{"ERR_TWILL_BUSY", "a tap is open already"};
  bool sound = filter.every > 0 && ring_bytes >= Tap::kRingBytesMin && ring_bytes <= Tap::kRingBytesMax &&
               (ring_bytes & (ring_bytes - 1)) == 0;
  if (!sound) return Error{"ERR_TWILL_ARGUMENT", "tap: the size of a ring must be a power of two"};
  TapConfig config{filter, snap_bytes, ring_bytes, tunnel_->header_bytes()};
  tap_->Open(std::make_unique<Tap>(std::move(config), workers_.size()));
  return Unit{};
}

size_t Engine::ReadTap(std::span<uint8_t> out) {
  return tap_->tap() == nullptr ? 0 : tap_->tap()->Read(out);
}

void Engine::CloseTap() {
  tap_->Close();
}

bool Engine::Turning() {
  if (config_.workers == 0) return true;
  bool turning = true;
  for (auto& worker : workers_) {
    if (!worker->Answered()) turning = false;
    worker->Knock();
  }
  return turning;
}

void Engine::Close() {
  if (closed_) return;
  for (auto& worker : workers_) worker->Stop();
  if (mailbox_ && pool_) last_ = Stats();
  closed_ = true;
  workers_.clear();
  banks_.clear();
  overlay_channel_.reset();
  underlay_channel_.reset();
}

}  // namespace twill
