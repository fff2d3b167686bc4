// What the addon exports. Typed for JavaScript in src/native/binding.ts.
#include <napi.h>

#include "binding/engine_binding.h"
#include "binding/lock_binding.h"
#include "binding/netlink_binding.h"
#include "binding/notify_binding.h"
#include "binding/traffic_binding.h"
#include "binding/tun_binding.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("openEngine", Napi::Function::New<twill::OpenEngine>(env, "openEngine"));
  exports.Set("dropReasons", twill::DropReasonNames(env));
  exports.Set("tryLockFile", Napi::Function::New<twill::TryLockFile>(env, "tryLockFile"));
  exports.Set("sendToUnixSocket", Napi::Function::New<twill::SendToUnixSocket>(env, "sendToUnixSocket"));
  exports.Set("netlink", twill::NetlinkObject(env));
  exports.Set("traffic", twill::TrafficObject(env));
  exports.Set("openTun", Napi::Function::New<twill::OpenTunDevice>(env, "openTun"));
  return exports;
}

NODE_API_MODULE(twill, Init)
