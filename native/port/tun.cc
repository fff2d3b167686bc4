#include "port/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "wire/ip.h"

namespace twill {

namespace {

// Every packet to or from the device has a virtio header in front: with it the
// kernel finishes checksums and cuts super-packets for us (virtio 1.2, 5.1.6).
// Declared here because <linux/virtio_net.h> is not C++. Fields in host order.
struct VirtioHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
};
static_assert(sizeof(VirtioHeader) == 10 && sizeof(VirtioHeader) <= kHeadroomBytes);
constexpr uint8_t kNeedsChecksum = 1;            // VIRTIO_NET_HDR_F_NEEDS_CSUM
constexpr uint8_t kGsoTcpV4 = 1, kGsoTcpV6 = 4;  // VIRTIO_NET_HDR_GSO_*

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
          "TUN device " + name + " is in use by another process: stop that, or choose --tun-name");
    case EINVAL:
      return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETIFF)", sys_errno,
                           "device " + name +
                               " exists and is not a TUN device of ours: remove it with \"ip link delete " +
                               name + "\", or choose --tun-name");
    default:
      return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETIFF)", sys_errno,
                           "cannot make TUN device " + name);
  }
}

}  // namespace

Result<TunDevice> OpenTun(const std::string& name, size_t queues, bool persist) {
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
    // What comes out of the device is finished: no partial checksums, no super-packets.
    if (ioctl(fd.get(), TUNSETOFFLOAD, 0) != 0) {
      return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETOFFLOAD)", errno, "cannot set up " + wanted);
    }
    if (i == 0 && ioctl(fd.get(), TUNSETPERSIST, persist ? 1 : 0) != 0) {
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
  size_t grown = batch.Grow(batch.room());
  size_t end = first + grown;
  size_t n = first;
  while (n < end) {
    Packet& p = batch[n];
    size_t room = sizeof(VirtioHeader) + batch.pool().packet_bytes();
    ssize_t got = read(fd_.get(), p.data - sizeof(VirtioHeader), room);
    if (got < 0) {
      if (errno == EINTR) continue;
      break;  // EAGAIN: empty. EBADFD, EIO: the device is gone or down; the worker sees POLLERR.
    }
    if (static_cast<size_t>(got) <= sizeof(VirtioHeader)) continue;
    p.len = static_cast<uint32_t>(static_cast<size_t>(got) - sizeof(VirtioHeader));
    n++;
  }
  batch.Truncate(n);
  return n - first;
}

void TunPort::Send(Batch& batch) {
  for (Packet& p : batch) p.drop = Write(p);
}

DropReason TunPort::Write(Packet& packet) const {
  VirtioHeader header{};
  if (packet.csum_start != 0) {
    header.flags = kNeedsChecksum;
    header.csum_start = packet.csum_start;
    header.csum_offset = packet.csum_offset;
    // A TCP super-packet from a kernel peer on veth: hand it on as one.
    bool tcp = packet.csum_offset == 16;
    if (tcp && packet.len > mtu_bytes_) {
      const uint8_t* transport = packet.data + packet.csum_start;
      size_t headers = packet.csum_start + static_cast<size_t>(transport[12] >> 4) * 4;
      if (headers < mtu_bytes_ && headers < packet.len) {
        header.gso_type = packet.data[0] >> 4 == 4 ? kGsoTcpV4 : kGsoTcpV6;
        header.hdr_len = static_cast<uint16_t>(headers);
        header.gso_size = static_cast<uint16_t>(mtu_bytes_ - headers);
      }
    }
  }
  uint8_t* start = packet.data - sizeof header;
  std::memcpy(start, &header, sizeof header);
  for (;;) {
    ssize_t n = write(fd_.get(), start, sizeof header + packet.len);
    if (n >= 0) return DropReason::kNone;
    if (errno == EINTR) continue;
    bool busy = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
    return busy ? DropReason::kDeviceBusy : DropReason::kDeviceError;
  }
}

}  // namespace twill
