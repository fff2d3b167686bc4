#include "netlink/message.h"

namespace twill {

void NetlinkRequest::Append(const void* data, size_t len) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  bytes_.insert(bytes_.end(), p, p + len);
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NetlinkRequest::Attribute(uint16_t type, const void* data, size_t len) {
  nlattr header{};
  header.nla_type = type;
  header.nla_len = static_cast<uint16_t>(NLA_HDRLEN + len);
  Append(&header, sizeof header);
  Append(data, len);
}

size_t NetlinkRequest::Begin(uint16_t type) {
  size_t begun = bytes_.size();
  Attribute(type, nullptr, 0);
  return begun;
}

void NetlinkRequest::End(size_t begun) {
  nlattr header;
  std::memcpy(&header, bytes_.data() + begun, sizeof header);
  header.nla_len = static_cast<uint16_t>(bytes_.size() - begun);
  std::memcpy(bytes_.data() + begun, &header, sizeof header);
}

ByteSpan NetlinkRequest::Finish(uint32_t sequence) {
  nlmsghdr header;
  std::memcpy(&header, bytes_.data(), sizeof header);
  header.nlmsg_len = static_cast<uint32_t>(bytes_.size());
  header.nlmsg_seq = sequence;
  std::memcpy(bytes_.data(), &header, sizeof header);
  return bytes_;
}

bool NetlinkRequest::IsDump() const {
  nlmsghdr header;
  std::memcpy(&header, bytes_.data(), sizeof header);
  return (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
}

ByteSpan FindAttribute(ByteSpan attributes, uint16_t type) {
  while (attributes.size() >= NLA_HDRLEN) {
    nlattr header;
    std::memcpy(&header, attributes.data(), sizeof header);
    if (header.nla_len < NLA_HDRLEN || header.nla_len > attributes.size()) break;
    if ((header.nla_type & NLA_TYPE_MASK) == type)
      return attributes.subspan(NLA_HDRLEN, header.nla_len - NLA_HDRLEN);
    size_t step = NLA_ALIGN(header.nla_len);
    if (step >= attributes.size()) break;
    attributes = attributes.subspan(step);
  }
  return {};
}

bool HasAttribute(ByteSpan attributes, uint16_t type) {
  return FindAttribute(attributes, type).data() != nullptr;
}

uint32_t AttributeU32(ByteSpan attributes, uint16_t type, uint32_t otherwise) {
  ByteSpan value = FindAttribute(attributes, type);
  if (value.size() != sizeof(uint32_t)) return otherwise;
  uint32_t number;
  std::memcpy(&number, value.data(), sizeof number);
  return number;
}

std::string AttributeText(ByteSpan attributes, uint16_t type) {
  ByteSpan value = FindAttribute(attributes, type);
  size_t len = value.empty() ? 0 : strnlen(reinterpret_cast<const char*>(value.data()), value.size());
  return std::string(reinterpret_cast<const char*>(value.data()), len);
}

IpAddr AttributeAddress(ByteSpan attributes, uint16_t type) {
  ByteSpan value = FindAttribute(attributes, type);
  if (value.size() == 4) return IpAddr::V4(value.data());
  if (value.size() == 16) return IpAddr::V6(value.data());
  return {};
}

}  // namespace twill
