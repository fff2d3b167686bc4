// Result<T>: a value or an Error. The project is built without exceptions, so
// every call that may fail returns one of these and the caller looks.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

namespace twill {

// What failed. `code` is one of the stable codes of src/errors.ts.
struct Error {
  const char* code = "ERR_TWILL_INTERNAL";
  std::string message;
  int sys_errno = 0;              // 0 where no system call refused
  const char* syscall = nullptr;  // name of the call that refused, or null

  // "cannot open /dev/net/tun: Permission denied (EACCES ...)" in one line.
  static Error System(const char* code, const char* syscall, int sys_errno, std::string what) {
    what += ": ";
    what += std::strerror(sys_errno);
    return Error{code, std::move(what), sys_errno, syscall};
  }
};

struct Unit {};

template <typename T = Unit>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() { return *std::get_if<0>(&state_); }
  const T& value() const { return *std::get_if<0>(&state_); }
  T& operator*() { return value(); }
  T* operator->() { return std::get_if<0>(&state_); }

  Error& error() { return *std::get_if<1>(&state_); }
  const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace twill
