#include "binding/traffic_binding.h"

#include "binding/js_error.h"
#include "binding/js_values.h"
#include "traffic/flannel_loop.h"
#include "traffic/ping.h"
#include "traffic/tcp.h"
#include "traffic/udp.h"

namespace twill {

namespace {

using Napi::CallbackInfo;

// The options and the address that every tool takes.
struct Call {
  Napi::Object options;
  Endpoint endpoint;
  bool ok = false;
};

Call CallOf(const CallbackInfo& info) {
  Call call;
  if (info[0].IsObject()) {
    call.options = info[0].As<Napi::Object>();
    call.ok = AddressOf(call.options.Get("address"), call.endpoint.address);
    call.endpoint.port = static_cast<uint16_t>(NumberOf(call.options, "port"));
  }
  if (!call.ok) ThrowError(info.Env(), Error{"ERR_TWILL_ARGUMENT", "traffic: an address has 4 or 16 bytes"});
  return call;
}

uint64_t WholeOf(const Napi::Object& o, const char* key) {
  Napi::Value value = o.Get(key);
  return value.IsNumber() ? static_cast<uint64_t>(value.As<Napi::Number>().Int64Value()) : 0;
}

traffic::ReadyCallback ReadyOf(const CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Value ready = info[1];
  return [env, ready](uint16_t port) {
    if (ready.IsFunction()) ready.As<Napi::Function>().Call({Napi::Number::New(env, port)});
  };
}

void SetNumber(Napi::Object& o, const char* key, double value) {
  o.Set(key, Napi::Number::New(o.Env(), value));
}
void SetCount(Napi::Object& o, const char* key, uint64_t value) {
  SetNumber(o, key, static_cast<double>(value));
}

Napi::Value Ping(const CallbackInfo& info) {
  Call call = CallOf(info);
  if (!call.ok) return info.Env().Undefined();
  traffic::PingOptions options;
  options.to = call.endpoint.address;
  options.count = NumberOf(call.options, "count");
  options.interval_us = WholeOf(call.options, "intervalMicros");
  options.payload_bytes = NumberOf(call.options, "payloadBytes");
  options.timeout_ms = WholeOf(call.options, "timeoutMs");
  auto result = traffic::IcmpPing(options);
  if (!result) return Thrown(info.Env(), result.error());
  Napi::Object o = Napi::Object::New(info.Env());
  SetCount(o, "sent", result->sent);
  SetCount(o, "received", result->received);
  SetCount(o, "duplicated", result->duplicated);
  SetCount(o, "corrupted", result->corrupted);
  Napi::Array rtts = Napi::Array::New(info.Env(), result->rtts_us.size());
  for (size_t i = 0; i < result->rtts_us.size(); i++)
    rtts.Set(static_cast<uint32_t>(i), Napi::Number::New(info.Env(), result->rtts_us[i]));
  o.Set("rttMicros", rtts);
  return o;
}

Napi::Value TcpToJs(Napi::Env env, const traffic::TcpResult& result) {
  Napi::Object o = Napi::Object::New(env);
  SetCount(o, "bytes", result.bytes);
  SetNumber(o, "seconds", result.seconds);
  Napi::Array streams = Napi::Array::New(env);
  for (const traffic::TcpStreamResult& s : result.streams) {
    Napi::Object stream = Napi::Object::New(env);
    SetCount(stream, "bytes", s.bytes);
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(s.hash));
    stream.Set("hash", Napi::String::New(env, hash));
    stream.Set("complete", Napi::Boolean::New(env, s.complete));
    streams.Set(streams.Length(), stream);
  }
  o.Set("streams", streams);
  return o;
}

Napi::Value TcpSend(const CallbackInfo& info) {
  Call call = CallOf(info);
  if (!call.ok) return info.Env().Undefined();
  traffic::TcpSendOptions options;
  options.to = call.endpoint;
  options.duration_ms = WholeOf(call.options, "durationMs");
  options.bytes = WholeOf(call.options, "bytes");
  options.streams = NumberOf(call.options, "streams");
  options.timeout_ms = WholeOf(call.options, "timeoutMs");
  auto result = traffic::TcpSend(options);
  if (!result) return Thrown(info.Env(), result.error());
  return TcpToJs(info.Env(), *result);
}

Napi::Value TcpReceive(const CallbackInfo& info) {
  Call call = CallOf(info);
  if (!call.ok) return info.Env().Undefined();
  traffic::TcpReceiveOptions options;
  options.at = call.endpoint;
  options.streams = NumberOf(call.options, "streams");
  options.timeout_ms = WholeOf(call.options, "timeoutMs");
  auto result = traffic::TcpReceive(options, ReadyOf(info));
  if (!result) return Thrown(info.Env(), result.error());
  return TcpToJs(info.Env(), *result);
}

Napi::Value UdpSend(const CallbackInfo& info) {
  Call call = CallOf(info);
  if (!call.ok) return info.Env().Undefined();
  traffic::UdpSendOptions options;
  options.to = call.endpoint;
  options.payload_bytes = NumberOf(call.options, "payloadBytes");
  options.packets_per_second = WholeOf(call.options, "packetsPerSecond");
  options.duration_ms = WholeOf(call.options, "durationMs");
  if (options.payload_bytes < traffic::kUdpHeadBytes ||
      options.payload_bytes > traffic::kUdpMaxPayloadBytes) {
    return Thrown(info.Env(), Error{"ERR_TWILL_ARGUMENT", "traffic: payloadBytes must be 16 to 65507"});
  }
  auto result = traffic::UdpSend(options);
  if (!result) return Thrown(info.Env(), result.error());
  Napi::Object o = Napi::Object::New(info.Env());
  SetCount(o, "sent", result->sent);
  SetCount(o, "refused", result->refused);
  SetNumber(o, "seconds", result->seconds);
  return o;
}

Napi::Value UdpReceive(const CallbackInfo& info) {
  Call call = CallOf(info);
  if (!call.ok) return info.Env().Undefined();
  traffic::UdpReceiveOptions options;
  options.at = call.endpoint;
  options.quiet_ms = WholeOf(call.options, "quietMs");
  options.timeout_ms = WholeOf(call.options, "timeoutMs");
  auto result = traffic::UdpReceive(options, ReadyOf(info));
  if (!result) return Thrown(info.Env(), result.error());
  Napi::Object o = Napi::Object::New(info.Env());
  SetCount(o, "received", result->received);
  SetCount(o, "bytes", result->bytes);
  SetCount(o, "duplicated", result->duplicated);
  SetCount(o, "reordered", result->reordered);
  SetCount(o, "malformed", result->malformed);
  SetNumber(o, "seconds", result->seconds);
  SetNumber(o, "meanDelayMicros", result->mean_delay_us);
  return o;
}

// Routes as rows of bytes: network, mask, next hop.
Napi::Value FlannelLoop(const CallbackInfo& info) {
  Call call = CallOf(info);
  if (!call.ok) return info.Env().Undefined();
  constexpr size_t kRouteBytes = 12;
  Bytes routes = BytesOf(call.options.Get("routes"));
  traffic::FlannelLoopOptions options;
  bool own_is_address = AddressOf(call.options.Get("ownAddress"), options.own);
  bool are_functions = info[1].IsFunction() && info[2].IsFunction();
  if (!own_is_address || options.own.family != 4 || call.endpoint.address.family != 4 || !are_functions ||
      routes.size % kRouteBytes != 0)
    return Thrown(info.Env(), Error{"ERR_TWILL_ARGUMENT", "traffic: flannel's loop needs IPv4 addresses"});
  options.device = TextOf(call.options, "device");
  options.local = call.endpoint;
  options.mtu_bytes = NumberOf(call.options, "mtuBytes");
  options.stop_fd = static_cast<int>(NumberOf(call.options, "stopDescriptor"));
  for (size_t at = 0; at < routes.size; at += kRouteBytes) {
    const uint8_t* p = routes.data + at;
    traffic::SocketAddress hop = traffic::ToSocketAddress(Endpoint{IpAddr::V4(p + 8), call.endpoint.port});
    traffic::FlannelRoute route{LoadRaw<uint32_t>(p), LoadRaw<uint32_t>(p + 4), {}};
    std::memcpy(&route.next_hop, hop.get(), sizeof route.next_hop);
    options.routes.push_back(route);
  }
  Napi::Env env = info.Env();
  auto opened = [&](const std::string& name, int index) {
    info[1].As<Napi::Function>().Call({Napi::String::New(env, name), Napi::Number::New(env, index)});
    return !env.IsExceptionPending();
  };
  auto ready = [&] { info[2].As<Napi::Function>().Call({}); };
  auto result = traffic::RunFlannelLoop(options, opened, ready);
  if (!result && !env.IsExceptionPending()) return Thrown(env, result.error());
  return env.Undefined();
}

}  // namespace

Napi::Object TrafficObject(Napi::Env env) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("ping", Napi::Function::New<Ping>(env));
  o.Set("tcpSend", Napi::Function::New<TcpSend>(env));
  o.Set("tcpReceive", Napi::Function::New<TcpReceive>(env));
  o.Set("udpSend", Napi::Function::New<UdpSend>(env));
  o.Set("udpReceive", Napi::Function::New<UdpReceive>(env));
  o.Set("flannelLoop", Napi::Function::New<FlannelLoop>(env));
  return o;
}

}  // namespace twill
