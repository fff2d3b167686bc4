#include "binding/user_ports.h"

namespace twill {

namespace {

struct PacketRecord {
  uint32_t slot, offset, length;
  uint16_t port;
  uint8_t family, tos;
  uint8_t address[16];
};
static_assert(sizeof(PacketRecord) == kPacketRecordBytes);

Error NotHeld(uint32_t slot) {
  return Error{"ERR_TWILL_POOL", "packet buffer " + std::to_string(slot) +
                                     " is not the program's: it was sent or released before"};
}

}  // namespace

void Wakeup::Listen(Napi::Env env, const Napi::Value& listener) {
  Close();
  if (!listener.IsFunction()) return;
  std::lock_guard lock(mutex_);
  function_ = Napi::ThreadSafeFunction::New(env, listener.As<Napi::Function>(), "twill packets", 0, 1);
  open_ = true;
  pending_ = false;
}

void Wakeup::Notify() {
  std::lock_guard lock(mutex_);
  if (!open_ || pending_) return;
  pending_ = function_.NonBlockingCall(this, [](Napi::Env, Napi::Function listener, Wakeup* self) {
    {
      std::lock_guard inner(self->mutex_);
      self->pending_ = false;
      if (!self->open_) return;
    }
    listener.Call({});
  }) == napi_ok;
}

void Wakeup::Close() {
  std::lock_guard lock(mutex_);
  if (!open_) return;
  open_ = false;
  function_.Release();
}

Napi::Value UserPorts::Slab(Napi::Env env) {
  auto* owner = new std::shared_ptr<Pool>(pool_);
  return Napi::ArrayBuffer::New(
      env, pool_->slab(), pool_->slab_bytes(),
      [](Napi::Env, void*, std::shared_ptr<Pool>* held) { delete held; }, owner);
}

size_t UserPorts::Take(const Napi::Value& out) {
  Bytes bytes = BytesOf(out);
  auto* slots = reinterpret_cast<uint32_t*>(const_cast<uint8_t*>(bytes.data));
  size_t taken = pool_->Take(slots, bytes.size / sizeof *slots);
  for (size_t i = 0; i < taken; i++) held_[slots[i]] = true;
  return taken;
}

Result<> UserPorts::Give(const Napi::Value& value) {
  Bytes bytes = BytesOf(value);
  for (size_t at = 0; at + 4 <= bytes.size; at += 4) {
    uint32_t slot = LoadRaw<uint32_t>(bytes.data + at);
    if (slot >= held_.size() || !held_[slot]) return NotHeld(slot);
    held_[slot] = false;
    pool_->Give(&slot, 1);
  }
  return Unit{};
}

size_t UserPorts::Pull(UserChannel& channel, const Napi::Value& records) {
  Bytes bytes = BytesOf(records);
  uint8_t* out = const_cast<uint8_t*>(bytes.data);
  std::array<Packet, kBatchMax> packets;
  size_t count = channel.Pull(packets.data(), std::min(bytes.size / kPacketRecordBytes, kBatchMax));
  for (size_t i = 0; i < count; i++) {
    const Packet& p = packets[i];
    held_[p.slot] = true;
    PacketRecord record{};
    record.slot = p.slot;
    record.offset = static_cast<uint32_t>(p.data - pool_->Slot(p.slot));
    record.length = p.len;
    record.port = p.remote.port;
    record.family = p.remote.address.family;
    record.tos = p.tos;
    std::memcpy(record.address, p.remote.address.bytes.data(), sizeof record.address);
    std::memcpy(out + i * kPacketRecordBytes, &record, sizeof record);
  }
  return count;
}

Result<size_t> UserPorts::Push(UserChannel& channel, const Napi::Value& records, size_t headroom) {
  Bytes bytes = BytesOf(records);
  size_t count = bytes.size / kPacketRecordBytes;
  for (size_t i = 0; i < count; i++) {
    PacketRecord record;
    std::memcpy(&record, bytes.data + i * kPacketRecordBytes, sizeof record);
    if (record.slot >= held_.size() || !held_[record.slot]) return NotHeld(record.slot);
    size_t end = static_cast<size_t>(record.offset) + record.length;
    if (record.offset < headroom || end > pool_->stride()) {
      return Error{"ERR_TWILL_POOL", "a packet of " + std::to_string(record.length) + " bytes at offset " +
                                         std::to_string(record.offset) + " does not fit its buffer (" +
                                         std::to_string(headroom) + " to " + std::to_string(pool_->stride()) +
                                         ")"};
    }
    Packet p;
    p.slot = record.slot;
    p.data = pool_->Slot(record.slot) + record.offset;
    p.len = record.length;
    p.tos = record.tos;
    p.remote.port = record.port;
    if (record.family == 4) p.remote.address = IpAddr::V4(record.address);
    if (record.family == 6) p.remote.address = IpAddr::V6(record.address);
    held_[record.slot] = false;
    if (!channel.Push(p)) {
      held_[record.slot] = true;
      return i;
    }
  }
  return count;
}

}  // namespace twill
