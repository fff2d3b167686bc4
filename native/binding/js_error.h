// Errors to JavaScript: an Error with `code`, `errno` and `syscall`, which
// src/native/errors.ts turns into the one error class.
#pragma once

#include <napi.h>

#include "base/result.h"

namespace twill {

inline void ThrowError(Napi::Env env, const Error& error) {
  Napi::Error js = Napi::Error::New(env, error.message);
  js.Set("code", Napi::String::New(env, error.code));
  if (error.sys_errno != 0) js.Set("errno", Napi::Number::New(env, error.sys_errno));
  if (error.syscall != nullptr) js.Set("syscall", Napi::String::New(env, error.syscall));
  js.ThrowAsJavaScriptException();
}

inline Napi::Value Thrown(Napi::Env env, const Error& error) {
  ThrowError(env, error);
  return env.Undefined();
}

inline Napi::Value DoneOrThrown(Napi::Env env, const Result<>& result) {
  if (!result) ThrowError(env, result.error());
  return env.Undefined();
}

}  // namespace twill
