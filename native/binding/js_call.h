// A call of JavaScript from the event loop, where nobody is below us.
#pragma once

#include <napi.h>

#include <initializer_list>
#include <vector>

namespace twill {

// False where JavaScript can run no more, because the environment ends: before the function was called or in
// its middle. What the function throws is the process's, as with any event. Needs a HandleScope.
inline bool CallFromLoop(Napi::Env env, napi_value function, std::initializer_list<napi_value> arguments) {
  std::vector<napi_value> values(arguments);
  napi_value receiver = nullptr;
  if (napi_get_global(env, &receiver) != napi_ok) return false;
  napi_status status =
      napi_make_callback(env, nullptr, receiver, function, values.size(), values.data(), nullptr);
  if (status == napi_ok) return true;
  napi_value thrown = nullptr;
  if (status != napi_pending_exception || napi_get_and_clear_last_exception(env, &thrown) != napi_ok)
    return false;
  return napi_fatal_exception(env, thrown) == napi_ok;
}

}  // namespace twill
