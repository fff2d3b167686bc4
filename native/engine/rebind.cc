// An open engine moves on the underlay: everything that can fail first, then the workers rest, change, go on.
#include "engine/engine.h"

namespace twill {

namespace {

Error CannotShare(int sys_errno) {
  return Error::System("ERR_TWILL_SOCKET", "fcntl(F_DUPFD_CLOEXEC)", sys_errno, "cannot keep a descriptor");
}

}  // namespace

Result<> Engine::Rebind(EngineConfig config) {
  if (closed_) return Error{"ERR_TWILL_CLOSED", "the dataplane is closed"};
  std::vector<UdpSockets> sockets;
  for (const UdpConfig& udp : config.underlays) {
    auto opened = OpenAgain(udp);
    if (!opened) return opened.error();
    sockets.push_back(std::move(*opened));
  }
  // Ports are made anew over the descriptors that stay.
  std::vector<Fd> queues(workers_.size());
  for (size_t i = 0; i < queues.size() && !config_.overlay_user; i++) {
    queues[i] = Fd::Share(workers_[i]->overlay_fd());
    if (!queues[i].valid()) return CannotShare(errno);
  }
  for (auto& worker : workers_) worker->Stop();
  config_.node = std::move(config.node);
  config_.underlays = std::move(config.underlays);
  tracer_ = tunnel_->NewEncapPath(config_.node, flow_seed_);
  Keep(sockets);
  for (size_t i = 0; i < workers_.size(); i++) {
    workers_[i]->Replace(PartsOf(i, std::move(queues[i]), sockets));
  }
  auto started = StartWorkers();
  if (!started) Close();
  return started;
}

// The sockets that are open where they are what is wanted, else new ones.
Result<UdpSockets> Engine::OpenAgain(const UdpConfig& config) {
  const uint8_t family = config.bind_address.family;
  size_t at = 0;
  const auto& held = config_.underlays;
  while (at < held.size() && held[at].bind_address.family != family) at++;
  if (at == held.size() || !config.ReceivesLike(held[at])) {
    return OpenUdp(config, workers_.size(), *offloads_);
  }
  UdpSockets sockets;
  sockets.family = family;
  for (auto& worker : workers_) {
    sockets.receivers.push_back(Fd::Share(worker->underlay_fd(family)));
    if (!sockets.receivers.back().valid()) return CannotShare(errno);
  }
  if (config.SendsLike(held[at])) {
    sockets.bank = banks_[at];
    return sockets;
  }
  auto bank = OpenBank(config);
  if (!bank) return bank.error();
  sockets.bank = std::move(*bank);
  return sockets;
}

}  // namespace twill
