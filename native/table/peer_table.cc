#include "table/peer_table.h"

namespace twill {

void PeerTable::Set(const Peer& peer) {
  const uint8_t* a = peer.subnet.address.bytes.data();
  bool four = peer.subnet.address.family == 4;
  uint32_t index =
      four ? v4_.Exact(KeyV4::Load(a), peer.subnet.length) : v6_.Exact(KeyV6::Load(a), peer.subnet.length);
  if (index != kNone) {
    EndpointErase(index);
  } else if (!unused_.empty()) {
    index = unused_.back();
    unused_.pop_back();
  } else {
    index = static_cast<uint32_t>(peers_.size());
    if (index > PrefixTable<KeyV4>::kMaxValue) return;  // 16 million peers
    peers_.emplace_back();
  }
  peers_[index] = peer;
  EndpointInsert(index);
  if (four) {
    v4_.Set(KeyV4::Load(a), peer.subnet.length, index);
  } else {
    v6_.Set(KeyV6::Load(a), peer.subnet.length, index);
  }
}

bool PeerTable::Delete(const IpPrefix& subnet) {
  const uint8_t* a = subnet.address.bytes.data();
  uint32_t index = subnet.address.family == 4 ? v4_.Delete(KeyV4::Load(a), subnet.length)
                                              : v6_.Delete(KeyV6::Load(a), subnet.length);
  if (index == kNone) return false;
  EndpointErase(index);
  peers_[index] = Peer{};
  unused_.push_back(index);
  return true;
}

void PeerTable::Clear() {
  uint64_t kept = generation;
  *this = PeerTable(seed_);
  generation = kept;
}

bool PeerTable::IsEndpoint(const IpAddr& outer) const {
  if (endpoints_.empty()) return false;
  size_t mask = endpoints_.size() - 1;
  for (size_t i = EndpointHome(outer); endpoints_[i] != kNone; i = (i + 1) & mask) {
    if (peers_[endpoints_[i]].endpoint.address == outer) return true;
  }
  return false;
}

size_t PeerTable::bytes() const {
  return v4_.bytes() + v6_.bytes() + peers_.capacity() * sizeof(Peer) + endpoints_.size() * 4;
}

size_t PeerTable::EndpointHome(const IpAddr& a) const {
  uint64_t h = KeyV6::Load(a.bytes.data()).Mix(seed_ + a.family);
  return static_cast<size_t>(h >> (64 - static_cast<unsigned>(__builtin_ctzll(endpoints_.size()))));
}

void PeerTable::EndpointInsert(uint32_t index) {
  if ((endpoint_count_ + 1) * 2 > endpoints_.size()) {
    std::vector<uint32_t> old(endpoints_.empty() ? 16 : endpoints_.size() * 2, kNone);
    old.swap(endpoints_);
    endpoint_count_ = 0;
    for (uint32_t i : old) {
      if (i != kNone) EndpointInsert(i);
    }
  }
  size_t mask = endpoints_.size() - 1;
  size_t i = EndpointHome(peers_[index].endpoint.address);
  while (endpoints_[i] != kNone) i = (i + 1) & mask;
  endpoints_[i] = index;
  endpoint_count_++;
}

// Linear probing without tombstones: later entries of the run move back.
void PeerTable::EndpointErase(uint32_t index) {
  size_t mask = endpoints_.size() - 1;
  size_t hole = EndpointHome(peers_[index].endpoint.address);
  while (endpoints_[hole] != index) hole = (hole + 1) & mask;
  for (size_t i = (hole + 1) & mask; endpoints_[i] != kNone; i = (i + 1) & mask) {
    size_t home = EndpointHome(peers_[endpoints_[i]].endpoint.address);
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      endpoints_[hole] = endpoints_[i];
      hole = i;
    }
  }
  endpoints_[hole] = kNone;
  endpoint_count_--;
}

}  // namespace twill
