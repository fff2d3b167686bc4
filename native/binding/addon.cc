// What the addon exports. Typed for JavaScript in src/native/binding.ts.
#include <napi.h>

#include "binding/engine_binding.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("openEngine", Napi::Function::New<twill::OpenEngine>(env, "openEngine"));
  return exports;
}

NODE_API_MODULE(twill, Init)
