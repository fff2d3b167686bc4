// Sends the packets of one socket with as few system calls, and as few walks through the network stack, as
// can be:
//
//   super-packet             one message, its segments laid out one behind the other; UDP_SEGMENT cuts it on
//   the way equal sizes to one peer  one message of them all, likewise; the last may be shorter anything else
//   a message each, many to a sendmmsg
//
// A super-packet's payload is copied once here, while its checksum has it in the cache: the kernel takes one
// long run faster than ninety short ones, by more than the copy costs.
//
// Where the kernel refuses a message for its UDP_SEGMENT, its datagrams are sent again one by one, each
// exactly once.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

#include "offload/offloads.h"
#include "port/port.h"

namespace twill {

class UdpSender {
 public:
  UdpSender(uint8_t family, Offloads& offloads) : family_(family), offloads_(&offloads) {}

  // In order. What could not be sent is marked (Packet::Fail), and harms no neighbour.
  void Send(int fd, Packet* const* packets, size_t count);

 private:
  // UDP_MAX_SEGMENTS of the oldest kernel with UDP_SEGMENT; the largest payload of an IPv4 datagram.
  static constexpr size_t kMostSegments = 64, kMostBytes = 65507;
  static constexpr size_t kMessages = 64, kPieces = 128, kLaidOutBytes = 128 * 1024;
  static constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t));

  struct Message {
    Packet* const* packets;  // a run of them, a piece each; or `super`, one piece for all
    Packet* super;
    iovec* first_piece;
    uint16_t pieces;
    uint16_t datagrams;
    uint16_t datagram_bytes;  // the last may be shorter
    sockaddr_in6 address;     // large enough for either family
    alignas(cmsghdr) uint8_t control[kControlBytes];
  };

  void AddSuper(int fd, Packet& super);
  void AddRun(int fd, Packet* const* packets, size_t count);
  Message& Begin(const Packet& packet, size_t datagrams, size_t datagram_bytes);
  void MakeRoom(int fd, size_t pieces, size_t bytes);
  void Flush(int fd);
  void SendSingly(int fd, Message& message, int refusal);
  static void Fail(Message& message, size_t datagram, DropReason reason, size_t count);

  uint8_t family_;
  Offloads* offloads_;
  size_t messages_used_ = 0, pieces_used_ = 0, laid_out_used_ = 0;
  std::array<mmsghdr, kMessages> wire_{};
  std::array<Message, kMessages> messages_;
  std::array<iovec, kPieces> pieces_;
  std::array<uint8_t, kLaidOutBytes> laid_out_;
};

}  // namespace twill
