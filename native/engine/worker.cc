#include "engine/worker.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/glibc_floor.h"
#include "engine/accounting.h"

namespace twill {

namespace {

// A descriptor that reports an error is left alone for this long: a TUN that is down
// or gone must not make the worker spin.
constexpr int kTroubleMs = 100;
constexpr int kNoSlotMs = 1;
// Of a port that is replaced: more than its socket's buffer holds, so that it ends however fast more comes.
constexpr size_t kLastSweeps = 512;

// The tap, if one is open, for the time of a batch.
class TapUse {
 public:
  TapUse(TapSlot& slot, size_t worker) : slot_(slot), worker_(worker), tap_(slot.Enter(worker)) {}
  ~TapUse() {
    if (tap_ != nullptr) slot_.Leave(worker_);
  }
  TapUse(const TapUse&) = delete;
  TapUse& operator=(const TapUse&) = delete;
  TapSweep Sweep(TapDirection direction) const {
    return TapSweep(tap_, worker_, direction, tap_ == nullptr ? 0 : WallNs());
  }

 private:
  TapSlot& slot_;
  size_t worker_;
  Tap* tap_;
};

}  // namespace

Worker::Worker(Parts parts) : parts_(std::move(parts)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Result<> Worker::Start() {
  stop_.store(false, std::memory_order_relaxed);
  // The program's signals are for its own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&thread_, nullptr, &Worker::Main, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0)
    return Error::System("ERR_TWILL_INTERNAL", "pthread_create", failed, "cannot start a worker");
  if (parts_.cpu >= 0) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<size_t>(parts_.cpu), &only);
    int refused = pthread_setaffinity_np(thread_, sizeof only, &only);
    running_ = true;
    if (refused != 0) {
      Stop();
      return Error::System("ERR_TWILL_ARGUMENT", "pthread_setaffinity_np", refused,
                           "cannot bind a worker to processor " + std::to_string(parts_.cpu));
    }
  }
  pthread_setname_np(thread_, ("twill-" + std::to_string(parts_.index)).c_str());
  running_ = true;
  return Unit{};
}

void Worker::Stop() {
  if (!running_) return;
  stop_.store(true, std::memory_order_release);
  eventfd_write(wake_.get(), 1);
  pthread_join(thread_, nullptr);
  running_ = false;
}

void Worker::Replace(Parts parts) {
  const PeerTable& table = parts_.mailbox->Adopt(parts_.index);
  for (auto& underlay : parts_.underlays) {
    for (size_t i = 0; i < kLastSweeps && SweepIn(table, *underlay, MonotonicNs()) > 0; i++) {
    }
  }
  parts_.mailbox->Leave(parts_.index);
  parts_ = std::move(parts);
}

int Worker::underlay_fd(uint8_t family) const {
  for (const auto& underlay : parts_.underlays) {
    if (underlay->family() == family) return underlay->poll_fd();
  }
  return -1;
}

void Worker::Knock() {
  asked_.fetch_add(1, std::memory_order_relaxed);
  eventfd_write(wake_.get(), 1);
}

void* Worker::Main(void* self) {
  static_cast<Worker*>(self)->Run();
  return nullptr;
}

void Worker::Run() {
  while (!stop_.load(std::memory_order_acquire)) {
    answered_.store(asked_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    if (Step() == 0) Await();
  }
  // Stopped amid traffic it still holds a table, which a later Publish would wait for.
  parts_.mailbox->Leave(parts_.index);
}

size_t Worker::Step() {
  const PeerTable& table = parts_.mailbox->Adopt(parts_.index);
  uint64_t now_ns = MonotonicNs();
  size_t moved = SweepOut(table, now_ns);
  for (auto& underlay : parts_.underlays) moved += SweepIn(table, *underlay, now_ns);
  if (moved == 0) parts_.mailbox->Leave(parts_.index);
  return moved;
}

size_t Worker::SweepOut(const PeerTable& table, uint64_t now_ns) {
  Batch batch(*parts_.pool), answers(*parts_.pool);
  size_t received = parts_.overlay->Recv(batch);
  if (received == 0) return 0;
  PeerCounters& peers = parts_.mailbox->counters(parts_.index);
  Tally tally;
  tally.peers = &peers;
  CountReceived(batch, tally);
  parts_.encap->Judge(table, batch, answers, now_ns, tally);
  for (Packet& p : batch) {
    if (p.drop == DropReason::kNone && SocketFor(p) == nullptr) p.drop = DropReason::kNoUnderlay;
  }
  TapUse tap(*parts_.tap, parts_.index);
  TapSweep sweep = tap.Sweep(TapDirection::kEncap);
  sweep.Copy(batch, [this](const Packet& p) {
    const Port* socket = SocketFor(p);
    return socket == nullptr ? uint16_t{0} : socket->LocalPort(p);
  });
  sweep.Judged(batch);
  batch.RemoveDropped(tally);
  if (!batch.empty()) {
    for (auto& underlay : parts_.underlays) underlay->Send(batch);
    CountSent(batch, tally);
  }
  sweep.Sent(batch);
  if (!answers.empty()) parts_.overlay->Send(answers);
  encap_counters.Publish(tally);
  CountPeers(batch, peers, Direction::kEncap, now_ns);
  return received;
}

size_t Worker::SweepIn(const PeerTable& table, Port& underlay, uint64_t now_ns) {
  Batch batch(*parts_.pool);
  size_t received = underlay.Recv(batch);
  if (received == 0) return 0;
  PeerCounters& peers = parts_.mailbox->counters(parts_.index);
  Tally tally;
  tally.peers = &peers;
  tally.peer_drops = PeerCount::kDecapDrops;
  CountReceived(batch, tally);
  TapUse tap(*parts_.tap, parts_.index);
  TapSweep sweep = tap.Sweep(TapDirection::kDecap);
  sweep.Copy(batch, [](const Packet&) { return uint16_t{0}; });
  parts_.decap->Judge(table, batch);
  sweep.Judged(batch);
  batch.RemoveDropped(tally);
  if (!batch.empty()) {
    parts_.overlay->Send(batch);
    CountSent(batch, tally);
  }
  sweep.Sent(batch);
  decap_counters.Publish(tally);
  CountPeers(batch, peers, Direction::kDecap, now_ns);
  return received;
}

const Port* Worker::SocketFor(const Packet& packet) const {
  for (const auto& underlay : parts_.underlays) {
    if (underlay->family() == 0 || underlay->family() == packet.remote.address.family) return underlay.get();
  }
  return nullptr;
}

// A wake-up that is not taken would keep the worker from sleeping.
void Worker::HearKnock() {
  eventfd_t count = 0;
  eventfd_read(wake_.get(), &count);
}

// Sleeps until a descriptor is readable. One in trouble is skipped for a while.
void Worker::Await() {
  parts_.mailbox->Leave(parts_.index);
  if (parts_.pool->free() == 0) {
    // The program holds every slot: descriptors stay readable, and asking them again and again would not
    // help.
    pollfd wake{wake_.get(), POLLIN, 0};
    if (poll(&wake, 1, kNoSlotMs) > 0) HearKnock();
    return;
  }
  std::array<pollfd, 8> fds;
  size_t n = 0;
  fds[n++] = {wake_.get(), POLLIN, 0};
  auto watch = [&](const Port& port) {
    if (port.poll_fd() >= 0 && n < fds.size()) fds[n++] = {port.poll_fd(), POLLIN, 0};
  };
  watch(*parts_.overlay);
  for (auto& underlay : parts_.underlays) watch(*underlay);
  int timeout_ms = -1;
  for (;;) {
    int ready = poll(fds.data(), n, timeout_ms);
    if (ready < 0) return;  // EINTR
    if (fds[0].revents & POLLIN) HearKnock();
    bool readable = ready == 0;  // the time-out is over: look at all again
    for (size_t i = 0; i < n; i++) {
      if (fds[i].revents & POLLIN) readable = true;
      if (fds[i].revents & (POLLERR | POLLHUP | POLLNVAL)) {
        fds[i].fd = -1;
        timeout_ms = kTroubleMs;
      }
    }
    if (readable) return;
  }
}

}  // namespace twill
