// What an encapsulation is. A new one is a new file with a type that satisfies
// this concept, and one line in path/tunnel.cc.
#pragma once

#include <concepts>
#include <cstdint>

#include "buffer/batch.h"
#include "table/peer_table.h"
#include "wire/ip.h"

namespace twill {

template <typename E>
concept Encapsulation = requires(const E& e, Packet& packet, const InnerPacket& inner, Peer& row,
                                 const Peer& peer, const Mac& mac, uint8_t& version, uint8_t outer_tos) {
                          // Of what stands in front of an inner packet.
                          { E::kHeaderBytes } -> std::convertible_to<size_t>;
                          // Whether IPv6 can be carried.
                          { E::kCarriesIpv6 } -> std::convertible_to<bool>;
                          // Whether we act as a router: the TTL falls by one in each direction.
                          { E::kDecrementsTtl } -> std::convertible_to<bool>;
                          // Whether the outer source port is chosen by flow.
                          { E::kSourcePortPerFlow } -> std::convertible_to<bool>;
                          // Whether inner packets may come with unfinished checksums (from a kernel's
                          // device).
                          { E::kMayArriveUnfinished } -> std::convertible_to<bool>;
                          // TTL of the ICMP errors we send into the overlay.
                          { E::kIcmpTtl } -> std::convertible_to<uint8_t>;

                          // Writes into a row the bytes that go in front of every packet to this peer.
                          { e.Cook(mac, row) };
                          // Puts those in front; sets the outer TOS. `inner` points into the packet.
                          { e.Push(packet, inner, peer) };
                          // Checks and takes off the header of a datagram's payload. On kNone `version` is
                          // the IP version that the header announces.
                          { e.Pop(packet, version) } -> std::same_as<DropReason>;
                          // Carries outer congestion marks over to the inner packet.
                          { e.CombineEcn(packet, inner, outer_tos) } -> std::same_as<DropReason>;
                        };

}  // namespace twill
