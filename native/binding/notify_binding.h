#pragma once

#include <napi.h>

namespace twill {

// sendToUnixSocket(path, bytes): see NativeAddon in src/native/binding.ts.
Napi::Value SendToUnixSocket(const Napi::CallbackInfo& info);

}  // namespace twill
