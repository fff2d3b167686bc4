// A TUN device by itself, for JavaScript: read and written without waiting, watched on the event loop.
#pragma once

#include <napi.h>

namespace twill {

// (name) -> NativeTun
Napi::Value OpenTunDevice(const Napi::CallbackInfo& info);

}  // namespace twill
