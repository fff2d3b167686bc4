// Tells the event loop of what a program at a user port waits for. Called from any thread; many calls become
// one. Nobody is told of what nobody has asked for.
#pragma once

#include <node_api.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "engine/engine.h"

namespace twill {

class Wakeup {
 public:
  // `listener` is called on the event loop with bits of UserEvent, and must not throw. Lives, and with it all
  // that it refers to, until Close. Null where Node-API refuses.
  static std::shared_ptr<Wakeup> Open(napi_env env, napi_value listener);

  void Notify(UserEvent event);
  // From here on those with their bit set are told; while any is set, the process stays alive. The loop's
  // thread.
  void Arm(napi_env env, uint32_t bits);
  // The listener is not called any more. A second time does nothing. The loop's thread.
  void Close();

 private:
  static void Call(napi_env env, napi_value listener, void* context, void* data);

  std::mutex mutex_;  // of function_
  napi_threadsafe_function function_ = nullptr;
  std::atomic<uint32_t> armed_{0}, untold_{0};
};

}  // namespace twill
