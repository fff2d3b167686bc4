/* Stands before the C library in a big-endian process under qemu-user (7.2), which hands a socket's control messages over as
 * they are: their numbers, such as UDP_SEGMENT's, it would have to swap for a little-endian kernel. So that is done here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

static void swap_numbers(struct msghdr* header) {
  for (struct cmsghdr* c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
    unsigned char* data = CMSG_DATA(c);
    for (size_t low = 0, high = c->cmsg_len - CMSG_LEN(0); low + 1 < high; low++) {
      unsigned char byte = data[low];
      data[low] = data[--high];
      data[high] = byte;
    }
  }
}

int sendmmsg(int fd, struct mmsghdr* messages, unsigned count, int flags) {
  static int (*next)(int, struct mmsghdr*, unsigned, int);
  if (next == NULL) next = (int (*)(int, struct mmsghdr*, unsigned, int))dlsym(RTLD_NEXT, "sendmmsg");
  for (unsigned i = 0; i < count; i++) swap_numbers(&messages[i].msg_hdr);
  int sent = next(fd, messages, count, flags);
  for (unsigned i = 0; i < count; i++) swap_numbers(&messages[i].msg_hdr);
  return sent;
}

/* As sendmmsg of one message. */
ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  struct mmsghdr one = {.msg_hdr = *message};
  return sendmmsg(fd, &one, 1, flags) == 1 ? (ssize_t)one.msg_len : -1;
}

int recvmmsg(int fd, struct mmsghdr* messages, unsigned count, int flags, struct timespec* timeout) {
  static int (*next)(int, struct mmsghdr*, unsigned, int, struct timespec*);
  if (next == NULL)
    next = (int (*)(int, struct mmsghdr*, unsigned, int, struct timespec*))dlsym(RTLD_NEXT, "recvmmsg");
  int received = next(fd, messages, count, flags, timeout);
  for (int i = 0; i < received; i++) swap_numbers(&messages[i].msg_hdr);
  return received;
}
