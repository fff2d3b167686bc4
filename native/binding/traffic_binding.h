#pragma once

#include <napi.h>

namespace twill {

// The `traffic` object: see NativeTraffic in src/native/binding.ts.
Napi::Object TrafficObject(Napi::Env env);

}  // namespace twill
