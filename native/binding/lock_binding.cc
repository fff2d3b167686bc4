#include "binding/lock_binding.h"

#include <sys/file.h>

#include "binding/js_error.h"

namespace twill {

Napi::Value TryLockFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : -1;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return Napi::Boolean::New(env, true);
  if (errno != EWOULDBLOCK && errno != EINTR)
    ThrowError(env, Error::System("ERR_TWILL_STORE", "flock", errno, "cannot lock a file"));
  return Napi::Boolean::New(env, false);
}

}  // namespace twill
