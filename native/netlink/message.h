// rtnetlink messages: a header, a fixed part that the type decides, then attributes
// (netlink(7), rtnetlink(7)).
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"

namespace twill {

using ByteSpan = std::span<const uint8_t>;

// What is to become of an entry. `kAdd`: an error where one with its key is there. `kSet`: it is replaced
// then.
enum class NetlinkVerb { kAdd, kSet, kDelete };

constexpr uint16_t FlagsOf(NetlinkVerb verb) {
  if (verb == NetlinkVerb::kDelete) return NLM_F_ACK;
  return NLM_F_ACK | NLM_F_CREATE | (verb == NetlinkVerb::kAdd ? NLM_F_EXCL : NLM_F_REPLACE);
}

// Builds one request. Attributes are appended in call order.
class NetlinkRequest {
 public:
  template <typename Fixed>
  NetlinkRequest(uint16_t type, uint16_t flags, const Fixed& fixed) : bytes_(sizeof(nlmsghdr)) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    std::memcpy(bytes_.data(), &header, sizeof header);
    Append(&fixed, sizeof fixed);
  }

  void Attribute(uint16_t type, const void* data, size_t len);
  void U8(uint16_t type, uint8_t value) { Attribute(type, &value, sizeof value); }
  void U32(uint16_t type, uint32_t value) { Attribute(type, &value, sizeof value); }
  void Text(uint16_t type, const std::string& text) { Attribute(type, text.c_str(), text.size() + 1); }
  void Address(uint16_t type, const IpAddr& a) { Attribute(type, a.bytes.data(), a.size()); }

  // What is appended until End belongs to this attribute.
  size_t Begin(uint16_t type);
  void End(size_t begun);

  // The whole message, numbered.
  ByteSpan Finish(uint32_t sequence);
  bool IsDump() const;

 private:
  void Append(const void* data, size_t len);
  std::vector<uint8_t> bytes_;
};

// One answer: its type and what follows the netlink header.
struct NetlinkAnswer {
  uint16_t type = 0;
  std::vector<uint8_t> body;

  // The fixed part; zeros where the kernel sent less.
  template <typename Fixed>
  Fixed FixedPart() const {
    Fixed fixed{};
    std::memcpy(&fixed, body.data(), body.size() < sizeof fixed ? body.size() : sizeof fixed);
    return fixed;
  }
  template <typename Fixed>
  ByteSpan AttributesAfter() const {
    size_t at = NLMSG_ALIGN(sizeof(Fixed));
    return at < body.size() ? ByteSpan(body).subspan(at) : ByteSpan();
  }
};

// Finds one attribute in a run of them; empty where it is absent.
ByteSpan FindAttribute(ByteSpan attributes, uint16_t type);
// Also of an attribute without a value, which is a flag.
bool HasAttribute(ByteSpan attributes, uint16_t type);
uint32_t AttributeU32(ByteSpan attributes, uint16_t type, uint32_t otherwise = 0);
std::string AttributeText(ByteSpan attributes, uint16_t type);
// Family 0 where it is absent or of another size.
IpAddr AttributeAddress(ByteSpan attributes, uint16_t type);

}  // namespace twill
