// Values between JavaScript and C++: bytes, addresses, numbers by key.
#pragma once

#include <napi.h>

#include <array>
#include <cstring>
#include <string>

#include "base/address.h"

namespace twill {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

inline Bytes BytesOf(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

// 4 or 16 bytes in network order.
inline bool AddressOf(const Napi::Value& value, IpAddr& out) {
  Bytes b = BytesOf(value);
  if (b.size != 4 && b.size != 16) return false;
  out = b.size == 4 ? IpAddr::V4(b.data) : IpAddr::V6(b.data);
  return true;
}

// 6 bytes.
inline bool MacOf(const Napi::Value& value, std::array<uint8_t, 6>& out) {
  Bytes b = BytesOf(value);
  if (b.size != out.size()) return false;
  std::memcpy(out.data(), b.data, b.size);
  return true;
}

inline uint32_t NumberOf(const Napi::Object& object, const char* key) {
  Napi::Value value = object.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : 0;
}

inline bool BooleanOf(const Napi::Object& object, const char* key) {
  Napi::Value value = object.Get(key);
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

inline std::string TextOf(const Napi::Object& object, const char* key) {
  Napi::Value value = object.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

// A copy as Uint8Array; null for the family 0.
inline Napi::Value AddressToJs(Napi::Env env, const IpAddr& address) {
  if (address.family == 0) return env.Null();
  return Napi::Buffer<uint8_t>::Copy(env, address.bytes.data(), address.size());
}

}  // namespace twill
