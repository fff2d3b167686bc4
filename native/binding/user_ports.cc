#include "binding/user_ports.h"

#include <algorithm>

namespace twill {

namespace {

Error NotHeld(uint32_t slot) {
  return Error{"ERR_TWILL_POOL", "packet buffer " + std::to_string(slot) +
                                     " is not the program's: it was sent or released before"};
}

// Memory of the engine as JavaScript sees it; `owner` goes when nobody over there holds it any more.
template <typename Owner>
Napi::Value Shared(Napi::Env env, void* data, size_t bytes, const std::shared_ptr<Owner>& owner) {
  auto* held = new std::shared_ptr<Owner>(owner);
  return Napi::ArrayBuffer::New(
      env, data, bytes, [](Napi::Env, void*, std::shared_ptr<Owner>* gone) { delete gone; }, held);
}

}  // namespace

UserPorts::UserPorts(std::shared_ptr<Pool> pool)
    : pool_(std::move(pool)), tables_(std::make_shared<Tables>()), held_(pool_->slots()) {
  tables_->records.resize(pool_->slots());
  tables_->list.resize(pool_->slots());
}

Napi::Object UserPorts::Memory(Napi::Env env) const {
  auto& [records, list] = *tables_;
  Napi::Object out = Napi::Object::New(env);
  out.Set("slab", Shared(env, pool_->slab(), pool_->slab_bytes(), pool_));
  out.Set("records", Shared(env, records.data(), records.size() * sizeof(PacketRecord), tables_));
  out.Set("list", Shared(env, list.data(), list.size() * sizeof(uint32_t), tables_));
  return out;
}

size_t UserPorts::Take(size_t count) {
  auto slots = Listed(count);
  size_t taken = pool_->Take(slots.data(), slots.size());
  for (uint32_t slot : slots.first(taken)) held_[slot] = true;
  return taken;
}

Result<> UserPorts::Give(size_t count) {
  auto slots = Listed(count);
  auto surrendered = Surrender(slots, [](uint32_t) { return std::optional<Error>(); });
  if (!surrendered) return surrendered;
  pool_->Give(slots.data(), slots.size());
  return Unit{};
}

size_t UserPorts::Pull(UserChannel& channel, size_t count) {
  size_t n = 0, most = Listed(count).size();
  auto& packets = crossing_;
  while (n < most) {
    size_t want = std::min(most - n, kBatchMax);
    size_t got = channel.Pull(packets.data(), want);
    for (size_t i = 0; i < got; i++) {
      const Packet& p = packets[i];
      held_[p.slot] = true;
      PacketRecord& record = tables_->records[p.slot];
      record.offset = static_cast<uint32_t>(p.data - pool_->Slot(p.slot));
      record.length = p.len;
      record.peer = p.peer_number;
      record.port = p.remote.port;
      record.family = p.remote.address.family;
      record.tos = p.tos;
      std::memcpy(record.address, p.remote.address.bytes.data(), sizeof record.address);
      tables_->list[n++] = p.slot;
    }
    if (got < want) break;
  }
  return n;
}

Result<size_t> UserPorts::Push(UserChannel& channel, size_t count, size_t headroom) {
  auto slots = Listed(count);
  auto surrendered = Surrender(slots, [&](uint32_t slot) { return Misfit(slot, headroom); });
  if (!surrendered) return surrendered.error();
  auto& packets = crossing_;
  size_t done = 0;
  while (done < slots.size()) {
    size_t group = std::min(slots.size() - done, kBatchMax);
    for (size_t i = 0; i < group; i++) packets[i] = PacketIn(slots[done + i]);
    size_t taken = channel.Push(packets.data(), group);
    done += taken;
    if (taken < group) break;
  }
  for (uint32_t slot : slots.subspan(done)) held_[slot] = true;
  return done;
}

// From the program's hands: all of them, or none where something is wrong with one.
template <typename Check>
Result<> UserPorts::Surrender(std::span<const uint32_t> slots, Check check) {
  for (size_t i = 0; i < slots.size(); i++) {
    uint32_t slot = slots[i];
    bool is_held = slot < held_.size() && held_[slot];
    std::optional<Error> wrong = is_held ? check(slot) : NotHeld(slot);
    if (!wrong) {
      held_[slot] = false;
      continue;
    }
    for (uint32_t before : slots.first(i)) held_[before] = true;
    return *wrong;
  }
  return Unit{};
}

std::optional<Error> UserPorts::Misfit(uint32_t slot, size_t headroom) const {
  const auto& [offset, length, peer, port, family, tos, address] = tables_->records[slot];
  if (offset >= headroom && static_cast<size_t>(offset) + length <= pool_->stride()) return std::nullopt;
  return Error{"ERR_TWILL_POOL", "a packet of " + std::to_string(length) + " bytes at offset " +
                                     std::to_string(offset) + " does not fit its buffer (" +
                                     std::to_string(headroom) + " to " + std::to_string(pool_->stride()) +
                                     ")"};
}

Packet UserPorts::PacketIn(uint32_t slot) const {
  const PacketRecord& record = tables_->records[slot];
  Packet p;
  p.slot = slot;
  p.data = pool_->Slot(slot) + record.offset;
  p.len = record.length;
  p.tos = record.tos;
  p.remote.port = record.port;
  if (record.family == 4) p.remote.address = IpAddr::V4(record.address);
  if (record.family == 6) p.remote.address = IpAddr::V6(record.address);
  return p;
}

Result<bool> UserPorts::Write(UserChannel& channel, Bytes bytes) {
  if (bytes.size > pool_->packet_bytes()) {
    return Error{"ERR_TWILL_POOL", "a packet of " + std::to_string(bytes.size) +
                                       " bytes does not fit a buffer of " +
                                       std::to_string(pool_->packet_bytes())};
  }
  Packet p;
  if (pool_->Take(&p.slot, 1) == 0) return false;
  p.data = pool_->PacketStart(p.slot);
  p.len = static_cast<uint32_t>(bytes.size);
  if (bytes.size > 0) std::memcpy(p.data, bytes.data, bytes.size);
  if (channel.Push(p)) return true;
  pool_->Give(&p.slot, 1);
  return false;
}

}  // namespace twill
