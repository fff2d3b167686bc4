#include "table/peer_table.h"

namespace twill {

namespace {

IpPrefix Alone(const IpAddr& address) {
  return {address, static_cast<uint8_t>(address.family == 4 ? 32 : 128)};
}

}  // namespace

void PeerTable::Set(const Peer& peer) {
  const Peer* old = peers_.Find(peer.subnet);
  if (old != nullptr) RemoveEndpoint(old->endpoint.address);
  if (peers_.Set(peer)) AddEndpoint(peer.endpoint.address);
}

bool PeerTable::Delete(const IpPrefix& subnet) {
  const Peer* old = peers_.Find(subnet);
  if (old == nullptr) return false;
  RemoveEndpoint(old->endpoint.address);
  return peers_.Erase(subnet);
}

void PeerTable::Clear() {
  uint64_t kept = generation;
  *this = PeerTable(seed_);
  generation = kept;
}

void PeerTable::AddEndpoint(const IpAddr& address) {
  const auto* known = endpoints_.Find(Alone(address));
  endpoints_.Set({Alone(address), known == nullptr ? 1 : known->rows + 1});
}

void PeerTable::RemoveEndpoint(const IpAddr& address) {
  const auto* known = endpoints_.Find(Alone(address));
  if (known == nullptr) return;
  if (known->rows == 1) {
    endpoints_.Erase(Alone(address));
  } else {
    endpoints_.Set({Alone(address), known->rows - 1});
  }
}

}  // namespace twill
