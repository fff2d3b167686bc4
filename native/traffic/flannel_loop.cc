#include "traffic/flannel_loop.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "traffic/socket.h"

namespace twill::traffic {
namespace {

Result<Fd> OpenPlainTun(std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ)
    return Error{"ERR_TWILL_DEVICE", "a device name has 1 to 15 characters"};
  Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return Error::System("ERR_TWILL_DEVICE", "open", errno, "cannot open /dev/net/tun");
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), name.size());
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0)
    return Error::System("ERR_TWILL_DEVICE", "ioctl(TUNSETIFF)", errno, "cannot make TUN device " + name);
  name = request.ifr_name;
  return fd;
}

class FlannelLoop {
 public:
  FlannelLoop(Fd tun, Fd socket, const FlannelLoopOptions& options)
      : tun_(std::move(tun)),
        socket_(std::move(socket)),
        stop_fd_(options.stop_fd),
        own_address_(LoadRaw<uint32_t>(options.own.bytes.data())),
        buffer_(options.mtu_bytes) {
    for (const FlannelRoute& route : options.routes) routes_.Add(route);
  }

  Result<> Run() {
    pollfd fds[] = {{tun_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    for (;;) {
      if (::poll(fds, 3, -1) < 0) {
        if (errno == EINTR) continue;
        return Error::System("ERR_TWILL_INTERNAL", "poll", errno, "cannot wait for packets");
      }
      if (fds[2].revents != 0) return Unit{};
      // As long as either side gives something, poll is not asked: the control channel waits, as in flannel.
      for (bool active = true; active;) {
        active = Outward();
        active |= Inward();
      }
    }
  }

 private:
  bool Outward() {
    ssize_t n = ::read(tun_.get(), buffer_.data(), buffer_.size());
    if (n < 0) return false;
    size_t len = static_cast<size_t>(n);
    if (len < kFlannelHeaderBytes) return true;
    const sockaddr_in* next_hop = routes_.Find(FlannelDestination(buffer_.data()));
    if (next_hop == nullptr) {
      uint8_t answer[kFlannelUnreachableMaxBytes];
      size_t bytes = FlannelUnreachable({buffer_.data(), len}, own_address_, answer);
      if (bytes > 0) WriteTun(answer, bytes);
      return true;
    }
    if (!FlannelDecrementTtl(buffer_.data())) return true;
    // What the system refuses is lost.
    (void)!::sendto(socket_.get(), buffer_.data(), len, 0, reinterpret_cast<const sockaddr*>(next_hop),
                    sizeof *next_hop);
    return true;
  }

  bool Inward() {
    ssize_t n = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n < 0) return false;
    size_t len = static_cast<size_t>(n);
    if (len >= kFlannelHeaderBytes && FlannelDecrementTtl(buffer_.data())) WriteTun(buffer_.data(), len);
    return true;
  }

  void WriteTun(const uint8_t* data, size_t len) const {
    while (::write(tun_.get(), data, len) < 0 && errno == EAGAIN) {
    }
  }

  Fd tun_, socket_;
  int stop_fd_;
  uint32_t own_address_;
  FlannelRoutes routes_;
  std::vector<uint8_t> buffer_;  // longer datagrams are cut to it
};

}  // namespace

Result<> RunFlannelLoop(const FlannelLoopOptions& options,
                        const std::function<bool(const std::string& name, int index)>& opened,
                        const std::function<void()>& ready) {
  std::string name = options.device;
  Result<Fd> tun = OpenPlainTun(name);
  if (!tun) return tun.error();
  if (!opened(name, static_cast<int>(if_nametoindex(name.c_str())))) return Unit{};
  Result<Fd> socket = OpenSocket(options.local.address, SOCK_DGRAM, 0);
  if (!socket) return socket.error();
  if (Result<uint16_t> bound = BindTo(*socket, options.local); !bound) return bound.error();
  FlannelLoop loop(std::move(*tun), std::move(*socket), options);
  ready();
  return loop.Run();
}

}  // namespace twill::traffic
