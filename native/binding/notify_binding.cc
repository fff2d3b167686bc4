#include "binding/notify_binding.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>

#include "base/fd.h"
#include "binding/js_error.h"
#include "binding/js_values.h"

namespace twill {

namespace {

Error Refused(const char* syscall, int error) {
  return Error::System("ERR_TWILL_SOCKET", syscall, error, "cannot send to a Unix socket");
}

// A path, or a name in the abstract namespace, which is written with "@" for its leading zero byte.
Result<socklen_t> FillAddress(const std::string& path, sockaddr_un& address) {
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{"ERR_TWILL_ARGUMENT", "a Unix socket's path has 1 to 107 bytes"};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  size_t length = offsetof(sockaddr_un, sun_path) + path.size();
  if (path[0] == '@') {
    address.sun_path[0] = 0;
  } else {
    length += 1;  // with the end of the string
  }
  return static_cast<socklen_t>(length);
}

}  // namespace

Napi::Value SendToUnixSocket(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto refuse = [env](const Error& error) {
    ThrowError(env, error);
    return env.Undefined();
  };
  std::string path = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : std::string();
  Bytes bytes = BytesOf(info[1]);
  sockaddr_un address{};
  auto length = FillAddress(path, address);
  if (!length) return refuse(length.error());
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return refuse(Refused("socket", errno));
  ssize_t sent = sendto(fd.get(), bytes.data, bytes.size, MSG_NOSIGNAL,
                        reinterpret_cast<const sockaddr*>(&address), *length);
  if (sent < 0) return refuse(Refused("sendto", errno));
  return env.Undefined();
}

}  // namespace twill
