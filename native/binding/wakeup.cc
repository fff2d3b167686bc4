#include "binding/wakeup.h"

namespace twill {

std::shared_ptr<Wakeup> Wakeup::Open(napi_env env, napi_value listener) {
  auto self = std::make_shared<Wakeup>();
  napi_value name;
  if (napi_create_string_utf8(env, "twill packets", NAPI_AUTO_LENGTH, &name) != napi_ok) return nullptr;
  // Calls on their way find the context also after Close.
  auto* context = new std::shared_ptr<Wakeup>(self);
  auto finalize = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Wakeup>*>(data); };
  napi_status created = napi_create_threadsafe_function(env, listener, nullptr, name, 0, 1, context, finalize,
                                                        context, &Wakeup::Call, &self->function_);
  if (created != napi_ok) {
    delete context;
    return nullptr;
  }
  napi_unref_threadsafe_function(env, self->function_);
  return self;
}

void Wakeup::Notify(UserEvent event) {
  auto bit = static_cast<uint32_t>(event);
  if ((armed_.load() & bit) == 0) return;
  if (untold_.fetch_or(bit) != 0) return;
  std::lock_guard lock(mutex_);
  if (function_ != nullptr) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void Wakeup::Arm(napi_env env, uint32_t bits) {
  armed_.store(bits);
  std::lock_guard lock(mutex_);
  if (function_ == nullptr) return;
  if (bits == 0) {
    napi_unref_threadsafe_function(env, function_);
  } else {
    napi_ref_threadsafe_function(env, function_);
  }
}

void Wakeup::Close() {
  armed_.store(0);
  std::lock_guard lock(mutex_);
  if (function_ == nullptr) return;
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

void Wakeup::Call(napi_env env, napi_value listener, void* context, void*) {
  // A call that was on its way when the function ended: Node has run `finalize` before, and the context is
  // gone.
  if (env == nullptr) return;
  Wakeup* self = static_cast<std::shared_ptr<Wakeup>*>(context)->get();
  uint32_t bits = self->untold_.exchange(0) & self->armed_.load();
  if (bits == 0) return;
  napi_value undefined, argument;
  napi_get_undefined(env, &undefined);
  napi_create_uint32(env, bits, &argument);
  if (napi_call_function(env, undefined, listener, 1, &argument, nullptr) == napi_ok) return;
  // It does not throw: this is a worker that somebody has terminated in the middle of it.
  napi_value error;
  napi_get_and_clear_last_exception(env, &error);
}

}  // namespace twill
