#include "port/plain_tun.h"

#include <sys/uio.h>

#include <algorithm>

#include "offload/virtio.h"

namespace twill {

Result<PlainTun> PlainTun::Open(const std::string& name) {
  Offloads none;
  auto device = OpenTun(name, 1, std::nullopt, none);
  if (!device) return device.error();
  return PlainTun(std::move(*device));
}

// Without offloads the header in front of a packet says nothing.
ssize_t PlainTun::Read(uint8_t* out, size_t room) const {
  uint8_t header[kVirtioHeaderBytes];
  iovec pieces[2] = {{header, sizeof header}, {out, room}};
  for (;;) {
    ssize_t got = readv(fd(), pieces, 2);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    // Of a packet that was cut the kernel tells the true length.
    size_t length = static_cast<size_t>(got) > sizeof header ? static_cast<size_t>(got) - sizeof header : 0;
    return static_cast<ssize_t>(std::min(length, room));
  }
}

int PlainTun::Write(const uint8_t* packet, size_t length) const {
  uint8_t header[kVirtioHeaderBytes] = {};
  iovec pieces[2] = {{header, sizeof header}, {const_cast<uint8_t*>(packet), length}};
  for (;;) {
    if (writev(fd(), pieces, 2) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace twill
