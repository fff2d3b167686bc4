#pragma once

#include <napi.h>

namespace twill {

// openEngine(options): see NativeEngineOptions and NativeEngine in src/native/binding.ts.
Napi::Value OpenEngine(const Napi::CallbackInfo& info);

}  // namespace twill
