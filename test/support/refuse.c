/* Stands before the C library in a test's process: refuses what asks for super-packets, as a device without them would.
 * TWILL_TEST_REFUSE=EIO or EINVAL. A send is refused in the middle of a sendmmsg too: the messages before it went. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int refusal(void) {
  const char* wanted = getenv("TWILL_TEST_REFUSE");
  return wanted != NULL && strcmp(wanted, "EINVAL") == 0 ? EINVAL : EIO;
}

static int asks_for_segments(struct msghdr* header) {
  for (struct cmsghdr* c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == 103 /* UDP_SEGMENT */) return 1;
  }
  return 0;
}

int sendmmsg(int fd, struct mmsghdr* messages, unsigned count, int flags) {
  static int (*next)(int, struct mmsghdr*, unsigned, int);
  if (next == NULL) next = (int (*)(int, struct mmsghdr*, unsigned, int))dlsym(RTLD_NEXT, "sendmmsg");
  unsigned allowed = 0;
  while (allowed < count && !asks_for_segments(&messages[allowed].msg_hdr)) allowed++;
  if (allowed > 0) return next(fd, messages, allowed, flags);
  errno = refusal();
  return -1;
}

/* To a TUN: the virtio header comes first, and its second byte is the kind of super-packet. */
ssize_t writev(int fd, const struct iovec* pieces, int count) {
  static ssize_t (*next)(int, const struct iovec*, int);
  if (next == NULL) next = (ssize_t (*)(int, const struct iovec*, int))dlsym(RTLD_NEXT, "writev");
  const unsigned char* header = pieces[0].iov_base;
  if (count > 2 && pieces[0].iov_len > 10 && header[0] == 1 && header[1] != 0) {
    errno = refusal();
    return -1;
  }
  return next(fd, pieces, count);
}
