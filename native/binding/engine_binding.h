#pragma once

#include <napi.h>

namespace twill {

// openEngine(options): see NativeEngineOptions and NativeEngine in src/native/binding.ts.
Napi::Value OpenEngine(const Napi::CallbackInfo& info);

// In the order of their numbers.
Napi::Array DropReasonNames(Napi::Env env);

}  // namespace twill
