#pragma once

#include <napi.h>

namespace twill {

// The `netlink` object: see NativeNetlink in src/native/binding.ts.
Napi::Object NetlinkObject(Napi::Env env);

}  // namespace twill
