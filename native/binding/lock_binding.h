#pragma once

#include <napi.h>

namespace twill {

// tryLockFile(descriptor): see NativeAddon in src/native/binding.ts.
Napi::Value TryLockFile(const Napi::CallbackInfo& info);

}  // namespace twill
