// What openEngine is told, checked: see NativeEngineOptions in src/native/binding.ts.
#pragma once

#include <napi.h>

#include "binding/js_values.h"
#include "engine/engine.h"

namespace twill {

// Packed prefixes: family, length, 16 bytes of address.
inline constexpr size_t kPackedPrefixBytes = 18;

template <typename Visit>
bool EachPrefix(const Napi::Value& value, Visit visit) {
  Bytes b = BytesOf(value);
  if (b.size % kPackedPrefixBytes != 0) return false;
  for (size_t at = 0; at < b.size; at += kPackedPrefixBytes) {
    const uint8_t* p = b.data + at;
    if ((p[0] != 4 && p[0] != 6) || p[1] > (p[0] == 4 ? 32 : 128)) return false;
    visit(IpPrefix{p[0] == 4 ? IpAddr::V4(p + 2) : IpAddr::V6(p + 2), p[1]});
  }
  return true;
}

Result<EngineConfig> EngineConfigOf(const Napi::Object& options);

}  // namespace twill
