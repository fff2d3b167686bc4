#include "binding/engine_binding.h"

#include <limits>
#include <memory>

#include "base/checksum.h"
#include "base/clock.h"
#include "binding/engine_options.h"
#include "binding/js_error.h"
#include "binding/js_values.h"
#include "binding/user_ports.h"
#include "binding/wakeup.h"
#include "engine/engine.h"

namespace twill {

namespace {

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
    return DefineClass(env, "Engine",
                       {InstanceAccessor<&EngineObject::DeviceName>("deviceName"),
                        InstanceAccessor<&EngineObject::DeviceIndex>("deviceIndex"),
                        InstanceMethod<&EngineObject::Publish>("publish"),
                        InstanceMethod<&EngineObject::Stats>("stats"),
                        InstanceMethod<&EngineObject::PeerCounts>("peerCounts"),
                        InstanceMethod<&EngineObject::Rebind>("rebind"),
                        InstanceMethod<&EngineObject::Trace>("trace"),
                        InstanceMethod<&EngineObject::Step>("step"),
                        InstanceMethod<&EngineObject::Turning>("turning"),
                        InstanceMethod<&EngineObject::Buffers>("buffers"),
                        InstanceMethod<&EngineObject::Free>("free"),
                        InstanceMethod<&EngineObject::Take>("take"),
                        InstanceMethod<&EngineObject::Give>("give"),
                        InstanceMethod<&EngineObject::Pull>("pull"),
                        InstanceMethod<&EngineObject::Push>("push"),
                        InstanceMethod<&EngineObject::Write>("write"),
                        InstanceMethod<&EngineObject::Listen>("listen"),
                        InstanceMethod<&EngineObject::AwaitFree>("awaitFree"),
                        InstanceMethod<&EngineObject::AwaitRoom>("awaitRoom"),
                        InstanceMethod<&EngineObject::PeerSubnet>("peerSubnet"),
                        InstanceMethod<&EngineObject::OpenTap>("openTap"),
                        InstanceMethod<&EngineObject::ReadTap>("readTap"),
                        InstanceMethod<&EngineObject::CountTap>("countTap"),
                        InstanceMethod<&EngineObject::CloseTap>("closeTap"),
                        InstanceMethod<&EngineObject::Close>("close")});
  }
  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {}
  ~EngineObject() override { End(); }

  // False where Node-API refuses. The engine lives until it is closed or its environment ends, whoever holds
  // this object.
  bool Begin(Napi::Env env, std::unique_ptr<Engine> opened, std::shared_ptr<Wakeup> wakeup) {
    engine_ = std::move(opened);
    wakeup_ = std::move(wakeup);
    user_ports_ = std::make_unique<UserPorts>(engine_->pool());
    env_ = env;
    // Workers must be gone before the environment takes apart what they wake.
    return napi_add_env_cleanup_hook(env_, &EngineObject::EnvironmentEnds, this) == napi_ok;
  }

 private:
  static void EnvironmentEnds(void* self) {
    auto* object = static_cast<EngineObject*>(self);
    object->env_ = nullptr;
    object->End();
  }
  void End() {
    if (engine_) engine_->Close();
    if (wakeup_) wakeup_->Close();
    if (env_ != nullptr) napi_remove_env_cleanup_hook(env_, &EngineObject::EnvironmentEnds, this);
    env_ = nullptr;
  }

  static bool IsOverlay(const Napi::Value& side) { return CountOf(side) == 0; }
  static size_t CountOf(const Napi::Value& value) {
    return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : 0;
  }
  static Napi::Value NumberFrom(Napi::Env env, size_t n) {
    return Napi::Number::New(env, static_cast<double>(n));
  }
  UserChannel* ChannelOf(const Napi::CallbackInfo& info) {
    UserChannel* channel = IsOverlay(info[0]) ? engine_->overlay_channel() : engine_->underlay_channel();
    if (channel != nullptr) return channel;
    ThrowError(info.Env(), engine_->closed() ? Error{"ERR_TWILL_CLOSED", "the dataplane is closed"}
                                             : Error{"ERR_TWILL_INTERNAL", "this side has no user port"});
    return nullptr;
  }

  Napi::Value Buffers(const Napi::CallbackInfo& info) {
    const Pool& pool = *engine_->pool();
    Napi::Object out = user_ports_->Memory(info.Env());
    out.Set("slotBytes", NumberFrom(info.Env(), pool.stride()));
    out.Set("headroomBytes", NumberFrom(info.Env(), kHeadroomBytes));
    out.Set("headerBytes", NumberFrom(info.Env(), kCookedBytes));
    return out;
  }
  Napi::Value Free(const Napi::CallbackInfo& info) { return NumberFrom(info.Env(), engine_->pool()->free()); }
  Napi::Value Take(const Napi::CallbackInfo& info) {
    return NumberFrom(info.Env(), user_ports_->Take(CountOf(info[0])));
  }
  void Give(const Napi::CallbackInfo& info) {
    auto given = user_ports_->Give(CountOf(info[0]));
    if (!given) ThrowError(info.Env(), given.error());
  }
  Napi::Value Pull(const Napi::CallbackInfo& info) {
    UserChannel* channel = ChannelOf(info);
    if (channel == nullptr) return info.Env().Undefined();
    return NumberFrom(info.Env(), user_ports_->Pull(*channel, CountOf(info[1])));
  }
  Napi::Value Push(const Napi::CallbackInfo& info) {
    UserChannel* channel = ChannelOf(info);
    if (channel == nullptr) return info.Env().Undefined();
    // What leaves the overlay gets a header in front.
    size_t headroom = IsOverlay(info[0]) ? kCookedBytes : 0;
    auto pushed = user_ports_->Push(*channel, CountOf(info[1]), headroom);
    if (pushed) return NumberFrom(info.Env(), *pushed);
    ThrowError(info.Env(), pushed.error());
    return info.Env().Undefined();
  }
  Napi::Value Write(const Napi::CallbackInfo& info) {
    UserChannel* channel = ChannelOf(info);
    if (channel == nullptr) return info.Env().Undefined();
    auto written = user_ports_->Write(*channel, BytesOf(info[1]));
    if (written) return Napi::Boolean::New(info.Env(), *written);
    ThrowError(info.Env(), written.error());
    return info.Env().Undefined();
  }
  void Listen(const Napi::CallbackInfo& info) {
    auto bits = static_cast<uint32_t>(CountOf(info[0]));
    wakeup_->Arm(info.Env(), bits);
    // What came before anybody listened.
    auto tell = [&](UserChannel* channel, UserEvent readable) {
      bool is_asked = (bits & static_cast<uint32_t>(readable)) != 0;
      if (is_asked && channel != nullptr && !channel->from_engine().empty()) wakeup_->Notify(readable);
    };
    tell(engine_->overlay_channel(), UserEvent::kOverlayReadable);
    tell(engine_->underlay_channel(), UserEvent::kUnderlayReadable);
  }
  Napi::Value AwaitFree(const Napi::CallbackInfo& info) {
    bool is_free = engine_->pool()->AwaitFree(static_cast<uint32_t>(CountOf(info[0])));
    return Napi::Boolean::New(info.Env(), is_free);
  }
  Napi::Value AwaitRoom(const Napi::CallbackInfo& info) {
    UserChannel* channel = ChannelOf(info);
    if (channel == nullptr) return info.Env().Undefined();
    return Napi::Boolean::New(info.Env(), channel->to_engine().AwaitRoom(CountOf(info[1])));
  }
  Napi::Value PeerSubnet(const Napi::CallbackInfo& info) {
    IpPrefix subnet = engine_->PeerSubnet(static_cast<uint32_t>(CountOf(info[0])));
    if (subnet.address.family == 0) return info.Env().Null();
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("address", AddressToJs(info.Env(), subnet.address));
    out.Set("length", NumberFrom(info.Env(), subnet.length));
    return out;
  }

  Napi::Value DeviceName(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), engine_->device_name());
  }
  Napi::Value DeviceIndex(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), engine_->device_index());
  }

  Napi::Value Publish(const Napi::CallbackInfo& info) {
    Bytes ops = BytesOf(info[0]);
    auto generation = engine_->Publish({ops.data, ops.size});
    if (!generation) {
      ThrowError(info.Env(), generation.error());
      return info.Env().Undefined();
    }
    return Napi::Number::New(info.Env(), static_cast<double>(*generation));
  }

  void Rebind(const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) {
      ThrowError(info.Env(), Error{"ERR_TWILL_ARGUMENT", "rebind takes an options object"});
      return;
    }
    auto config = EngineConfigOf(info[0].As<Napi::Object>());
    auto rebound = config ? engine_->Rebind(std::move(*config)) : Result<>(config.error());
    if (!rebound) ThrowError(info.Env(), rebound.error());
  }

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    EngineStats stats = engine_->Stats();
    auto number = [env](uint64_t n) { return Napi::Number::New(env, static_cast<double>(n)); };
    Napi::Object out = Napi::Object::New(env);
    out.Set("encap", DirectionOf(env, stats.encap, 'E'));
    out.Set("decap", DirectionOf(env, stats.decap, 'D'));
    out.Set("icmpSent", number(stats.encap.icmp_sent));
    out.Set("icmpSuppressed", number(stats.encap.icmp_suppressed));
    out.Set("generation", number(stats.generation));
    out.Set("peers", number(stats.peers));
    out.Set("workers", number(stats.workers));
    out.Set("offloads", OffloadsOf(env, engine_->offloads()));
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
      engine_->ReadPeer(subnet, totals);
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
    TraceResult found = engine_->Trace(destination);
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
    return Napi::Number::New(info.Env(), static_cast<double>(engine_->Step()));
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
    auto opened = engine_->OpenTap(filter, NumberOf(o, "snapBytes"), NumberOf(o, "ringBytes"));
    if (!opened) ThrowError(env, opened.error());
  }
  Napi::Value ReadTap(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!info[0].IsTypedArray()) {
      ThrowError(env, Error{"ERR_TWILL_ARGUMENT", "readTap takes a Uint8Array"});
      return env.Undefined();
    }
    auto out = info[0].As<Napi::Uint8Array>();
    return Napi::Number::New(env, static_cast<double>(engine_->ReadTap({out.Data(), out.ByteLength()})));
  }
  Napi::Value CountTap(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    TapCounts counts = engine_->CountTap();
    Napi::Object out = Napi::Object::New(env);
    out.Set("kept", Napi::Number::New(env, static_cast<double>(counts.kept)));
    out.Set("lost", Napi::Number::New(env, static_cast<double>(counts.lost)));
    return out;
  }
  void CloseTap(const Napi::CallbackInfo&) { engine_->CloseTap(); }
  Napi::Value Turning(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), engine_->Turning());
  }

  void Close(const Napi::CallbackInfo&) { End(); }

  napi_env env_ = nullptr;  // null: no hook
  std::shared_ptr<Wakeup> wakeup_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<UserPorts> user_ports_;
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
  auto refuse = [env](const Error& error) {
    ThrowError(env, error);
    return env.Undefined();
  };
  if (!info[0].IsObject() || !info[1].IsFunction())
    return refuse(Error{"ERR_TWILL_ARGUMENT", "openEngine takes an options object and a listener"});
  auto config = EngineConfigOf(info[0].As<Napi::Object>());
  if (!config) return refuse(config.error());
  Napi::Object object = EngineObject::Class(env).New({});
  auto wakeup = Wakeup::Open(env, info[1]);
  if (!wakeup) return refuse(Error{"ERR_TWILL_INTERNAL", "no room for another listener"});
  config->on_user_event = [wakeup](UserEvent event) { wakeup->Notify(event); };
  auto engine = Engine::Open(std::move(*config));
  if (!engine) {
    wakeup->Close();
    return refuse(engine.error());
  }
  if (!EngineObject::Unwrap(object)->Begin(env, std::move(*engine), std::move(wakeup)))
    return refuse(Error{"ERR_TWILL_INTERNAL", "the environment is ending"});
  return object;
}

}  // namespace twill
