#include "binding/engine_options.h"

#include <sched.h>

namespace twill {

namespace {

uint32_t OffloadBitByName(const std::string& name) {
  for (size_t i = 0; i < kOffloads; i++) {
    auto offload = static_cast<Offload>(i);
    if (name == OffloadName(offload)) return OffloadBit(offload);
  }
  return 0;
}

}  // namespace

Result<EngineConfig> EngineConfigOf(const Napi::Object& o) {
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

}  // namespace twill
