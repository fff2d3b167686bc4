#include "port/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "offload/virtio.h"
#include "wire/ip.h"

namespace twill {

namespace {

// TUN_F_USO4 and TUN_F_USO6 of Linux 6.2; older headers lack them.
constexpr unsigned kTunUso = 0x20 | 0x40;

// One sweep takes no more than this: further super-packets would push the first out of the processor's cache.
constexpr size_t kSweepBytes = 128 * 1024;
constexpr size_t kReadsPerSweep = 64;
constexpr size_t kSlotsAtOnce = 8;

// Asks for the widest offloads first; what the kernel has not is refused.
Result<> SetOffloads(int fd, const std::string& name, Offloads& offloads) {
  constexpr unsigned kTso = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  auto set = [&] {
    unsigned flags =
        (offloads.active(Offload::kTunTso) ? kTso : 0) | (offloads.active(Offload::kTunUso) ? kTunUso : 0);
    if (flags != 0) flags |= TUN_F_CSUM;
    return ioctl(fd, TUNSETOFFLOAD, flags) == 0;
  };
  if (set()) return Unit{};
  for (Offload narrower : {Offload::kTunUso, Offload::kTunTso}) {
    if (!offloads.active(narrower)) continue;
    offloads.Refuse(narrower);
    if (set()) return Unit{};
  }
  return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETOFFLOAD)", errno, "cannot set up " + name);
}

DropReason WriteFailure(int sys_errno) {
  bool busy = sys_errno == EAGAIN || sys_errno == ENOBUFS || sys_errno == ENOMEM;
  return busy ? DropReason::kDeviceBusy : DropReason::kDeviceError;
}

DropReason WriteAll(int fd, const iovec* pieces, size_t count) {
  for (;;) {
    if (writev(fd, pieces, static_cast<int>(count)) >= 0) return DropReason::kNone;
    if (errno != EINTR) return WriteFailure(errno);
  }
}

Error OpenError(int sys_errno) {
  switch (sys_errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return Error::System(
          "ERR_TWILL_DEVICE", "open", sys_errno,
          "no /dev/net/tun: load the module (modprobe tun), or give the container the device");
    case EACCES:
    case EPERM:
      return Error::System("ERR_TWILL_PRIVILEGE", "open", sys_errno,
                           "cannot open /dev/net/tun: run as root, or make the device readable and writable");
    default:
      return Error::System("ERR_TWILL_DEVICE", "open", sys_errno, "cannot open /dev/net/tun");
  }
}

Error AttachError(const std::string& name, int sys_errno) {
  switch (sys_errno) {
    case EPERM:
      return Error::System("ERR_TWILL_PRIVILEGE", "ioctl(TUNSETIFF)", sys_errno,
                           "cannot make TUN device " + name + ": needs CAP_NET_ADMIN (run as root)");
    case EBUSY:
      return Error::System(
          "ERR_TWILL_DEVICE", "ioctl(TUNSETIFF)", sys_errno,
          "TUN device " + name + " is in use by another process: stop that, or choose another name");
    case EINVAL:
      return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETIFF)", sys_errno,
                           "device " + name +
                               " exists and is not a TUN device of ours: remove it with \"ip link delete " +
                               name + "\", or choose another name");
    default:
      return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETIFF)", sys_errno,
                           "cannot make TUN device " + name);
  }
}

}  // namespace

Result<TunDevice> OpenTun(const std::string& name, size_t queues, std::optional<bool> persist,
                          Offloads& offloads) {
  TunDevice device;
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return Error{"ERR_TWILL_DEVICE", "device name \"" + name + "\" must have 1 to 15 characters"};
  }
  std::string wanted = name;
  for (size_t i = 0; i < queues; i++) {
    Fd fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) return OpenError(errno);
    ifreq request{};
    std::memcpy(request.ifr_name, wanted.c_str(), wanted.size());
    int flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0);
    request.ifr_flags = static_cast<short>(flags);
    if (ioctl(fd.get(), TUNSETIFF, &request) != 0) return AttachError(wanted, errno);
    wanted = request.ifr_name;  // further queues join the device that the first one made
    int little = 1;
    ioctl(fd.get(), TUNSETVNETLE, &little);  // the virtio header's byte order, whatever this machine's is
    auto set = SetOffloads(fd.get(), wanted, offloads);
    if (!set) return set.error();
    if (i == 0 && persist && ioctl(fd.get(), TUNSETPERSIST, *persist ? 1 : 0) != 0) {
      return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETPERSIST)", errno, "cannot set up " + wanted);
    }
    device.queues.push_back(std::move(fd));
  }
  device.name = wanted;
  // An ioctl on a socket of the current namespace, which is where the device is.
  Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, wanted.c_str(), wanted.size());
  if (!any.valid() || ioctl(any.get(), SIOCGIFINDEX, &request) != 0) {
    return Error::System("ERR_TWILL_DEVICE", "ioctl(SIOCGIFINDEX)", errno, "cannot find device " + wanted);
  }
  device.index = request.ifr_ifindex;
  return device;
}

size_t TunPort::Recv(Batch& batch) {
  size_t first = batch.size();
  size_t n = first, bytes = 0;
  while (n - first < kReadsPerSweep && bytes < kSweepBytes) {
    if (n == batch.size() && batch.Grow(std::min(batch.room(), kSlotsAtOnce)) == 0) break;
    Packet& p = batch[n];
    size_t room = kVirtioHeaderBytes + batch.pool().packet_bytes();
    ssize_t got = read(fd_.get(), p.data - kVirtioHeaderBytes, room);
    if (got < 0) {
      if (errno == EINTR) continue;
      break;  // EAGAIN: empty. EBADFD, EIO: the device is gone or down; the worker sees POLLERR.
    }
    if (static_cast<size_t>(got) <= kVirtioHeaderBytes) continue;
    p.len = static_cast<uint32_t>(std::min(static_cast<size_t>(got), room) - kVirtioHeaderBytes);
    p.drop = ApplyVirtioHeader(VirtioHeader::Load(p.data - kVirtioHeaderBytes), p);
    bytes += p.len;
    n++;
  }
  batch.Truncate(n);
  return n - first;
}

void TunPort::Send(Batch& batch) {
  Coalescer::Limits limits{offloads_->active(Offload::kTcpCoalesce),
                           offloads_->active(Offload::kUdpCoalesce)};
  if (batch.size() == 1 || (!limits.tcp && !limits.udp)) {
    for (Packet& p : batch) {
      DropReason reason = Write(p);
      if (reason != DropReason::kNone) p.Fail(reason, p.segments);
    }
    return;
  }
  for (const Coalescer::Group& group : coalescer_.Run(batch, limits)) SendGroup(batch, group);
}

void TunPort::SendGroup(Batch& batch, const Coalescer::Group& group) {
  DropReason whole = group.count > 1 ? WriteGroup(batch, group) : DropReason::kDeviceError;
  if (whole == DropReason::kNone) return;
  size_t written = 0;
  for (size_t i = 0, member = group.first; i < group.count;
       i++, member = coalescer_.next(static_cast<uint8_t>(member))) {
    Packet& p = batch[member];
    DropReason reason = whole == DropReason::kDeviceBusy ? whole : Write(p);
    if (reason != DropReason::kNone) p.Fail(reason, 1);
    written += reason == DropReason::kNone;
  }
  // Singly they went: it is the super-packet that this device does not take.
  if (group.count > 1 && written == group.count) {
    offloads_->Refuse(group.protocol == kProtocolTcp ? Offload::kTcpCoalesce : Offload::kUdpCoalesce);
  }
}

DropReason TunPort::WriteGroup(const Batch& batch, const Coalescer::Group& group) const {
  uint8_t headers[kVirtioHeaderBytes + kInnerHeadersMax];
  WriteGroupHeaders(group, batch[group.first], headers + kVirtioHeaderBytes).Store(headers);
  std::array<iovec, 1 + kBatchMax> pieces;
  pieces[0] = {headers, kVirtioHeaderBytes + group.header_bytes};
  size_t member = group.first;
  for (size_t i = 1; i <= group.count; i++, member = coalescer_.next(static_cast<uint8_t>(member))) {
    const Packet& p = batch[member];
    pieces[i] = {p.data + group.header_bytes, p.len - group.header_bytes};
  }
  return WriteAll(fd_.get(), pieces.data(), size_t{group.count} + 1);
}

DropReason TunPort::Write(const Packet& packet) const {
  VirtioHeader header;
  if (packet.csum_start != 0) {
    header.flags = kVirtioNeedsChecksum;
    header.csum_start = packet.csum_start;
    header.csum_offset = packet.csum_offset;
    // A TCP super-packet from a kernel peer on veth: hand it on as one.
    bool tcp = packet.csum_offset == 16;
    if (tcp && packet.len > mtu_bytes_) {
      const uint8_t* transport = packet.data + packet.csum_start;
      size_t headers = packet.csum_start + static_cast<size_t>(transport[12] >> 4) * 4;
      if (headers < mtu_bytes_ && headers < packet.len) {
        header.gso_type = packet.data[0] >> 4 == 4 ? kGsoTcp4 : kGsoTcp6;
        header.hdr_len = static_cast<uint16_t>(headers);
        header.gso_size = static_cast<uint16_t>(mtu_bytes_ - headers);
      }
    }
  }
  uint8_t bytes[kVirtioHeaderBytes];
  header.Store(bytes);
  iovec pieces[2] = {{bytes, sizeof bytes}, {packet.data, packet.len}};
  return WriteAll(fd_.get(), pieces, 2);
}

}  // namespace twill
