// The program's side of user ports: packets as slots of the pool, which JavaScript
// sees as one ArrayBuffer. A packet crosses as a record of 32 bytes:
//
//   0 slot   4 offset in the slot   8 length   12 UDP port   14 family (4, 6; 0: none)   15 TOS   16 address
//   (16)
//
// integers as the machine stores them. Which slots JavaScript holds is kept here, so that no mistake over
// there (a packet sent twice, or after its release) can reach the pool.
#pragma once

#include <napi.h>

#include <memory>
#include <mutex>
#include <vector>

#include "binding/js_values.h"
#include "engine/engine.h"

namespace twill {

inline constexpr size_t kPacketRecordBytes = 32;

// Wakes the event loop when packets have come. Called from workers; many calls become one.
class Wakeup {
 public:
  // `listener` may be empty: then nobody is told.
  void Listen(Napi::Env env, const Napi::Value& listener);
  void Notify();
  void Close();

 private:
  std::mutex mutex_;
  Napi::ThreadSafeFunction function_;
  bool open_ = false;
  bool pending_ = false;
};

class UserPorts {
 public:
  explicit UserPorts(std::shared_ptr<Pool> pool) : pool_(std::move(pool)), held_(pool_->slots()) {}

  // The pool's memory; lives as long as JavaScript holds it.
  Napi::Value Slab(Napi::Env env);
  // Fresh slots for the program, at most as many as `out` (Uint32Array) has room for; how many.
  size_t Take(const Napi::Value& out);
  Result<> Give(const Napi::Value& slots);
  // Fills records with packets from the engine; how many.
  size_t Pull(UserChannel& channel, const Napi::Value& records);
  // Hands packets to the engine, in order; how many it took. The rest stay the program's.
  Result<size_t> Push(UserChannel& channel, const Napi::Value& records, size_t headroom);

 private:
  std::shared_ptr<Pool> pool_;
  std::vector<bool> held_;
};

}  // namespace twill
