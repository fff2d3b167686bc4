#include "binding/engine_binding.h"

#include <sched.h>

#include <limits>
#include <memory>

#include "base/checksum.h"
#include "base/clock.h"
#include "binding/js_error.h"
#include "binding/js_values.h"
#include "binding/user_ports.h"
#include "engine/engine.h"

namespace twill {

namespace {

// Packed prefixes: family, length, 16 bytes of address.
constexpr size_t kPackedPrefixBytes = 18;

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

uint32_t OffloadBitByName(const std::string& name) {
  for (size_t i = 0; i < kOffloads; i++) {
    auto offload = static_cast<Offload>(i);
    if (name == OffloadName(offload)) return OffloadBit(offload);
  }
  return 0;
}

Result<EngineConfig> ConfigOf(const Napi::Object& o) {
  auto wrong = [](const char* what) {
    return Error{"ERR_TWILL_ARGUMENT", std::string("engine option ") + what};
  };
  EngineConfig c;
  c.encap = TextOf(o, "encap");
  c.tunnel.vni = NumberOf(o, "vni");
  Bytes mac = BytesOf(o.Get("mac"));
  if (mac.size != 6) return wrong("mac must have 6 bytes");
  std::memcpy(c.tunnel.mac.data(), mac.data, 6);
  Bytes mac_v6 = BytesOf(o.Get("macV6"));
  if (mac_v6.size == 6) std::memcpy(c.tunnel.mac_v6.emplace().data(), mac_v6.data, 6);
  c.node.cluster_port = static_cast<uint16_t>(NumberOf(o, "port"));
  c.node.inner_mtu_bytes = NumberOf(o, "innerMtu");
  c.node.source_check = BooleanOf(o, "sourceCheck");
  auto own = [&c](const IpPrefix& prefix) { c.node.AddOwn(prefix); };
  if (!EachPrefix(o.Get("ownSubnets"), own)) return wrong("ownSubnets is malformed");
  if (!EachPrefix(o.Get("ownAddresses"), own)) return wrong("ownAddresses is malformed");
  auto source = [&c](const IpPrefix& prefix) {
    (prefix.address.family == 4 ? c.node.icmp_source_v4 : c.node.icmp_source_v6) = prefix.address;
  };
  if (!EachPrefix(o.Get("icmpSources"), source)) return wrong("icmpSources is malformed");
  c.workers = NumberOf(o, "workers");
  if (c.workers > 64) return wrong("workers must be 0 to 64");
  c.pool_slots = NumberOf(o, "poolSlots");
  if (c.pool_slots < 256) return wrong("poolSlots must be at least 256");

  if (!o.Get("workerCpus").IsArray()) return wrong("workerCpus must be an array");
  auto cpus = o.Get("workerCpus").As<Napi::Array>();
  for (uint32_t i = 0; i < cpus.Length(); i++) {
    Napi::Value cpu = cpus.Get(i);
    if (!cpu.IsNumber() || cpu.As<Napi::Number>().Uint32Value() >= CPU_SETSIZE)
      return wrong("workerCpus is malformed");
    c.worker_cpus.push_back(cpu.As<Napi::Number>().Int32Value());
  }
  if (!o.Get("offload").IsArray()) return wrong("offload must be an array");
  auto offload = o.Get("offload").As<Napi::Array>();
  c.offloads = 0;
  for (uint32_t i = 0; i < offload.Length(); i++) {
    Napi::Value name = offload.Get(i);
    uint32_t bit = name.IsString() ? OffloadBitByName(name.As<Napi::String>().Utf8Value()) : 0;
    if (bit == 0) return wrong("offload has an unknown name");
    c.offloads |= bit;
  }

  if (!o.Get("overlay").IsObject() || !o.Get("underlays").IsArray())
    return wrong("overlay or underlays is missing");
  Napi::Object overlay = o.Get("overlay").As<Napi::Object>();
  c.overlay_user = TextOf(overlay, "kind") == "user";
  c.device_name = TextOf(overlay, "name");
  c.device_persist = BooleanOf(overlay, "persist");
  auto underlays = o.Get("underlays").As<Napi::Array>();
  for (uint32_t i = 0; i < underlays.Length(); i++) {
    Napi::Object u = underlays.Get(i).As<Napi::Object>();
    if (TextOf(u, "kind") == "user") {
      c.underlay_user = true;
      continue;
    }
    UdpConfig udp;
    if (!AddressOf(u.Get("bindAddress"), udp.bind_address))
      return wrong("bindAddress must have 4 or 16 bytes");
    if (!AddressOf(u.Get("sourceAddress"), udp.source_address))
      return wrong("sourceAddress must have 4 or 16 bytes");
    udp.port = static_cast<uint16_t>(NumberOf(u, "port"));
    udp.source_ports = NumberOf(u, "sourcePorts");
    c.underlays.push_back(udp);
  }
  return c;
}

Napi::Object OffloadsOf(Napi::Env env, const Offloads& offloads) {
  Napi::Object out = Napi::Object::New(env);
  for (size_t i = 0; i < kOffloads; i++) {
    auto offload = static_cast<Offload>(i);
    Napi::Object state = Napi::Object::New(env);
    state.Set("wanted", Napi::Boolean::New(env, offloads.wanted(offload)));
    state.Set("active", Napi::Boolean::New(env, offloads.active(offload)));
    state.Set("refused", Napi::Number::New(env, static_cast<double>(offloads.refused(offload))));
    out.Set(OffloadName(offload), state);
  }
  return out;
}

Napi::Object DirectionOf(Napi::Env env, const Tally& tally, char direction) {
  auto number = [env](uint64_t n) { return Napi::Number::New(env, static_cast<double>(n)); };
  Napi::Object out = Napi::Object::New(env);
  out.Set("received", number(tally.received));
  out.Set("receivedBytes", number(tally.received_bytes));
  out.Set("delivered", number(tally.delivered));
  out.Set("deliveredBytes", number(tally.delivered_bytes));
  Napi::Object drops = Napi::Object::New(env);
  for (size_t i = 0; i < kDropReasons; i++) {
    auto reason = static_cast<DropReason>(i);
    if (DropReasonIn(reason, direction)) drops.Set(DropReasonName(reason), number(tally.drops[i]));
  }
  out.Set("drops", drops);
  return out;
}

// Numbers of drop reasons by name; "none": delivered. False where a name is unknown.
bool DropMaskOf(const Napi::Array& names, uint64_t& mask) {
  mask = 0;
  for (uint32_t i = 0; i < names.Length(); i++) {
    Napi::Value value = names.Get(i);
    std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
    size_t reason = 0;
    while (reason < kDropReasons && name != DropReasonName(static_cast<DropReason>(reason))) reason++;
    if (reason == kDropReasons && name != "none") return false;
    mask |= uint64_t{1} << reason;
  }
  return true;
}

class EngineObject final : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(
        env, "Engine",
        {InstanceAccessor<&EngineObject::DeviceName>("deviceName"),
         InstanceAccessor<&EngineObject::DeviceIndex>("deviceIndex"),
         InstanceMethod<&EngineObject::Publish>("publish"), InstanceMethod<&EngineObject::Stats>("stats"),
         InstanceMethod<&EngineObject::PeerCounts>("peerCounts"),
         InstanceMethod<&EngineObject::Trace>("trace"), InstanceMethod<&EngineObject::Step>("step"),
         InstanceMethod<&EngineObject::Turning>("turning"),
         InstanceAccessor<&EngineObject::Buffers>("buffers"), InstanceMethod<&EngineObject::Take>("take"),
         InstanceMethod<&EngineObject::Give>("give"), InstanceMethod<&EngineObject::Pull>("pull"),
         InstanceMethod<&EngineObject::Push>("push"), InstanceMethod<&EngineObject::Listen>("listen"),
         InstanceMethod<&EngineObject::OpenTap>("openTap"), InstanceMethod<&EngineObject::ReadTap>("readTap"),
         InstanceMethod<&EngineObject::CountTap>("countTap"),
         InstanceMethod<&EngineObject::CloseTap>("closeTap"), InstanceMethod<&EngineObject::Close>("close")});
  }
  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {}

  // Wake-ups come from workers, so they outlive the engine.
  Wakeup overlay_wakeup, underlay_wakeup;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<UserPorts> user_ports;

 private:
  bool IsOverlay(const Napi::Value& side) const {
    return side.IsString() && side.As<Napi::String>().Utf8Value() == "overlay";
  }
  UserChannel* ChannelOf(const Napi::CallbackInfo& info) {
    UserChannel* channel = IsOverlay(info[0]) ? engine->overlay_channel() : engine->underlay_channel();
    if (channel != nullptr) return channel;
    ThrowError(info.Env(), engine->closed() ? Error{"ERR_TWILL_CLOSED", "the dataplane is closed"}
                                            : Error{"ERR_TWILL_ARGUMENT", "this side has no user port"});
    return nullptr;
  }

  Napi::Value Buffers(const Napi::CallbackInfo& info) {
    const Pool& pool = *engine->pool();
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("slab", user_ports->Slab(info.Env()));
    out.Set("slotBytes", Napi::Number::New(info.Env(), static_cast<double>(pool.stride())));
    out.Set("headroomBytes", Napi::Number::New(info.Env(), static_cast<double>(kHeadroomBytes)));
    return out;
  }
  Napi::Value Take(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(user_ports->Take(info[0])));
  }
  void Give(const Napi::CallbackInfo& info) {
    auto given = user_ports->Give(info[0]);
    if (!given) ThrowError(info.Env(), given.error());
  }
  Napi::Value Pull(const Napi::CallbackInfo& info) {
    UserChannel* channel = ChannelOf(info);
    if (channel == nullptr) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), static_cast<double>(user_ports->Pull(*channel, info[1])));
  }
  Napi::Value Push(const Napi::CallbackInfo& info) {
    UserChannel* channel = ChannelOf(info);
    if (channel == nullptr) return info.Env().Undefined();
    // What leaves the overlay gets a header in front.
    size_t headroom = IsOverlay(info[0]) ? kCookedBytes : 0;
    auto pushed = user_ports->Push(*channel, info[1], headroom);
    if (!pushed) {
      ThrowError(info.Env(), pushed.error());
      return info.Env().Undefined();
    }
    return Napi::Number::New(info.Env(), static_cast<double>(*pushed));
  }
  void Listen(const Napi::CallbackInfo& info) {
    (IsOverlay(info[0]) ? overlay_wakeup : underlay_wakeup).Listen(info.Env(), info[1]);
  }

  Napi::Value DeviceName(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), engine->device_name());
  }
  Napi::Value DeviceIndex(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), engine->device_index());
  }

  Napi::Value Publish(const Napi::CallbackInfo& info) {
    Bytes ops = BytesOf(info[0]);
    auto generation = engine->Publish({ops.data, ops.size});
    if (!generation) {
      ThrowError(info.Env(), generation.error());
      return info.Env().Undefined();
    }
    return Napi::Number::New(info.Env(), static_cast<double>(*generation));
  }

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    EngineStats stats = engine->Stats();
    auto number = [env](uint64_t n) { return Napi::Number::New(env, static_cast<double>(n)); };
    Napi::Object out = Napi::Object::New(env);
    out.Set("encap", DirectionOf(env, stats.encap, 'E'));
    out.Set("decap", DirectionOf(env, stats.decap, 'D'));
    out.Set("icmpSent", number(stats.encap.icmp_sent));
    out.Set("icmpSuppressed", number(stats.encap.icmp_suppressed));
    out.Set("generation", number(stats.generation));
    out.Set("peers", number(stats.peers));
    out.Set("workers", number(stats.workers));
    out.Set("offloads", OffloadsOf(env, engine->offloads()));
    out.Set("checksum", Napi::String::New(env, ChecksumKind()));
    out.Set("poolFree", number(stats.pool_free));
    out.Set("poolSlots", number(stats.pool_slots));
    return out;
  }

  // For each packed prefix seven numbers; zeros where no peer has that subnet.
  void PeerCounts(const Napi::CallbackInfo& info) {
    constexpr size_t kWidth = 7;
    bool is_room =
        info[1].IsTypedArray() && info[1].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array;
    Bytes packed = BytesOf(info[0]);
    size_t peers = packed.size / kPackedPrefixBytes;
    if (!is_room || info[1].As<Napi::Float64Array>().ElementLength() != peers * kWidth) {
      ThrowError(info.Env(),
                 Error{"ERR_TWILL_ARGUMENT", "peerCounts takes prefixes and room for seven numbers of each"});
      return;
    }
    double* out = info[1].As<Napi::Float64Array>().Data();
    uint64_t now_ns = MonotonicNs();
    bool well = EachPrefix(info[0], [&](const IpPrefix& subnet) {
      PeerTotals totals{};
      engine->ReadPeer(subnet, totals);
      for (PeerCount count : {PeerCount::kEncapPackets, PeerCount::kEncapBytes, PeerCount::kEncapDrops,
                              PeerCount::kDecapPackets, PeerCount::kDecapBytes, PeerCount::kDecapDrops}) {
        *out++ = static_cast<double>(totals[static_cast<size_t>(count)]);
      }
      uint64_t last_ns = totals[static_cast<size_t>(PeerCount::kDecapLastNs)];
      double idle_ns = now_ns > last_ns ? static_cast<double>(now_ns - last_ns) : 0;
      *out++ = last_ns == 0 ? std::numeric_limits<double>::infinity() : idle_ns / 1e9;
    });
    if (!well) ThrowError(info.Env(), Error{"ERR_TWILL_ARGUMENT", "peerCounts: a prefix is malformed"});
  }

  Napi::Value Trace(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    IpAddr destination;
    if (!AddressOf(info[0], destination)) {
      ThrowError(env, Error{"ERR_TWILL_ARGUMENT", "trace takes an address of 4 or 16 bytes"});
      return env.Undefined();
    }
    TraceResult found = engine->Trace(destination);
    Napi::Object out = Napi::Object::New(env);
    if (found.drop != DropReason::kNone) {
      out.Set("drop", Napi::String::New(env, DropReasonName(found.drop)));
      return out;
    }
    out.Set("drop", env.Null());
    out.Set("endpointAddress", AddressToJs(env, found.peer.endpoint.address));
    out.Set("endpointPort", Napi::Number::New(env, found.peer.endpoint.port));
    out.Set("header", Napi::Buffer<uint8_t>::Copy(env, found.peer.header.data(), found.peer.header_len));
    return out;
  }

  Napi::Value Step(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(engine->Step()));
  }

  void OpenTap(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto wrong = [env](const char* what) {
      ThrowError(env, Error{"ERR_TWILL_ARGUMENT", std::string("openTap: ") + what});
    };
    if (!info[0].IsObject()) return wrong("takes an options object");
    auto o = info[0].As<Napi::Object>();
    TapFilter filter;
    auto peer = [&filter](const IpPrefix& prefix) { filter.peers.push_back(prefix.address); };
    if (!EachPrefix(o.Get("peers"), peer)) return wrong("peers is malformed");
    auto subnet = [&filter](const IpPrefix& prefix) { filter.subnets.push_back(prefix.Masked()); };
    if (!EachPrefix(o.Get("subnets"), subnet)) return wrong("subnets is malformed");
    Napi::Value drops = o.Get("drops");
    if (!drops.IsNull() && (!drops.IsArray() || !DropMaskOf(drops.As<Napi::Array>(), filter.drops)))
      return wrong("drops has an unknown name");
    filter.every = NumberOf(o, "every");
    auto opened = engine->OpenTap(filter, NumberOf(o, "snapBytes"), NumberOf(o, "ringBytes"));
    if (!opened) ThrowError(env, opened.error());
  }
  Napi::Value ReadTap(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!info[0].IsTypedArray()) {
      ThrowError(env, Error{"ERR_TWILL_ARGUMENT", "readTap takes a Uint8Array"});
      return env.Undefined();
    }
    auto out = info[0].As<Napi::Uint8Array>();
    return Napi::Number::New(env, static_cast<double>(engine->ReadTap({out.Data(), out.ByteLength()})));
  }
  Napi::Value CountTap(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    TapCounts counts = engine->CountTap();
    Napi::Object out = Napi::Object::New(env);
    out.Set("kept", Napi::Number::New(env, static_cast<double>(counts.kept)));
    out.Set("lost", Napi::Number::New(env, static_cast<double>(counts.lost)));
    return out;
  }
  void CloseTap(const Napi::CallbackInfo&) { engine->CloseTap(); }
  Napi::Value Turning(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), engine->Turning());
  }

  void Close(const Napi::CallbackInfo&) {
    engine->Close();
    overlay_wakeup.Close();
    underlay_wakeup.Close();
  }
};

}  // namespace

Napi::Array DropReasonNames(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env, kDropReasons);
  for (uint32_t i = 0; i < kDropReasons; i++) {
    names.Set(i, Napi::String::New(env, DropReasonName(static_cast<DropReason>(i))));
  }
  return names;
}

Napi::Value OpenEngine(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsObject()) {
    ThrowError(env, Error{"ERR_TWILL_ARGUMENT", "openEngine takes an options object"});
    return env.Undefined();
  }
  auto config = ConfigOf(info[0].As<Napi::Object>());
  if (!config) {
    ThrowError(env, config.error());
    return env.Undefined();
  }
  Napi::Object object = EngineObject::Class(env).New({});
  EngineObject* self = EngineObject::Unwrap(object);
  config->on_overlay_readable = [self] { self->overlay_wakeup.Notify(); };
  config->on_underlay_readable = [self] { self->underlay_wakeup.Notify(); };
  auto engine = Engine::Open(std::move(*config));
  if (!engine) {
    ThrowError(env, engine.error());
    return env.Undefined();
  }
  self->engine = std::move(*engine);
  self->user_ports = std::make_unique<UserPorts>(self->engine->pool());
  return object;
}

}  // namespace twill
