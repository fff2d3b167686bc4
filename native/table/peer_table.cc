#include "table/peer_table.h"

namespace twill {

namespace {

IpPrefix Alone(const IpAddr& address) {
  return {address, static_cast<uint8_t>(address.family == 4 ? 32 : 128)};
}

}  // namespace

void PeerTable::Set(const Peer& peer) {
  const Peer* old = peers_.Find(peer.subnet);
  if (old != nullptr) RemoveEndpoint(*old);
  if (peers_.Set(peer)) AddEndpoint(peer);
}

bool PeerTable::Delete(const IpPrefix& subnet) {
  const Peer* old = peers_.Find(subnet);
  if (old == nullptr) return false;
  RemoveEndpoint(*old);
  return peers_.Erase(subnet);
}

void PeerTable::Clear() {
  uint64_t kept = generation;
  *this = PeerTable(seed_);
  generation = kept;
}

void PeerTable::AddEndpoint(const Peer& peer) {
  IpPrefix alone = Alone(peer.endpoint.address);
  const auto* known = endpoints_.Find(alone);
  KnownEndpoint now = known == nullptr ? KnownEndpoint{alone} : *known;
  now.rows++;
  if (now.number == kNoPeer) now.number = peer.number;
  endpoints_.Set(now);
}

void PeerTable::RemoveEndpoint(const Peer& peer) {
  IpPrefix alone = Alone(peer.endpoint.address);
  const auto* known = endpoints_.Find(alone);
  if (known == nullptr) return;
  KnownEndpoint now = *known;
  now.rows--;
  if (now.number == peer.number) now.number = kNoPeer;
  if (now.rows == 0) {
    endpoints_.Erase(alone);
  } else {
    endpoints_.Set(now);
  }
}

}  // namespace twill
