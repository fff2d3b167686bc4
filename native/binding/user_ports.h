// The program's side of user ports: packets as slots of the pool, which JavaScript sees as one ArrayBuffer.
//
// Beside the slab both sides see two tables: a record for each slot, which says what packet it holds, and a
// list of slots, which says what a call is about. So a call carries numbers only, and a packet that crosses
// costs no object here. Which slots JavaScript holds is kept in `held_`, out of its reach, so that no mistake
// over there (a packet sent twice, or after its release) can get to the pool.
#pragma once

#include <napi.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "binding/js_values.h"
#include "engine/engine.h"

namespace twill {

// Integers as the machine stores them.
struct PacketRecord {
  uint32_t offset, length;  // bytes; from the start of the slot
  uint32_t peer;            // number of the peer that it came from or goes to; 0: none
  uint16_t port;            // underlay: the other end
  uint8_t family, tos;      // 4, 6, or 0: no other end
  uint8_t address[16];
};
static_assert(sizeof(PacketRecord) == 32);

class UserPorts {
 public:
  explicit UserPorts(std::shared_ptr<Pool> pool);

  // {slab, records, list}: ArrayBuffers that live as long as JavaScript holds them.
  Napi::Object Memory(Napi::Env env) const;

  // Each puts slots into the list from its start, or finds them there; `count` is how many at most.

  // Fresh slots for the program; how many there were.
  size_t Take(size_t count);
  Result<> Give(size_t count);
  // Packets from the engine, with their records; how many.
  size_t Pull(UserChannel& channel, size_t count);
  // Hands packets to the engine, in order; how many it took. The rest stay the program's.
  Result<size_t> Push(UserChannel& channel, size_t count, size_t headroom);
  // Hands over a copy of these bytes; false where no slot or no room is left.
  Result<bool> Write(UserChannel& channel, Bytes bytes);

 private:
  struct Tables {
    std::vector<PacketRecord> records;
    std::vector<uint32_t> list;
  };

  std::span<uint32_t> Listed(size_t count) {
    return std::span(tables_->list).first(std::min(count, tables_->list.size()));
  }
  template <typename Check>
  Result<> Surrender(std::span<const uint32_t> slots, Check check);
  std::optional<Error> Misfit(uint32_t slot, size_t headroom) const;
  Packet PacketIn(uint32_t slot) const;

  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Tables> tables_;
  std::vector<bool> held_;
  // Of one call; here, so that no call clears 10 kB first.
  std::array<Packet, kBatchMax> crossing_;
};

}  // namespace twill
