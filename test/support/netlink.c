/* Stands before the C library in a test's process and those that it starts, between them and rtnetlink and nftables.
 * TWILL_TEST_NETLINK=FILE: each send adds a line: milliseconds of a clock, then the types of the messages in it.
 * TWILL_TEST_NO_NAT: who makes a chain of nftables for nat asks for a type that no kernel has.
 * TWILL_TEST_NO_KIND=KIND: who makes a link of that kind asks for one that no kernel has, and gets its own answer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int speaks(int fd, int wanted) {
  int domain = 0, protocol = -1;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_NETLINK) return 0;
  size = sizeof protocol;
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == wanted;
}

static void note(const char* path, const struct nlmsghdr* message, size_t rest) {
  char line[8192];
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  size_t used = (size_t)snprintf(line, sizeof line, "%ld", now.tv_sec * 1000 + now.tv_nsec / 1000000);
  for (; NLMSG_OK(message, rest) && used < sizeof line - 8; message = NLMSG_NEXT(message, rest))
    used += (size_t)snprintf(line + used, sizeof line - used, " %u", message->nlmsg_type);
  line[used++] = '\n';
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, line, used) < 0) abort();
  close(fd);
}

/* The kind stands in the message as an attribute's text. */
static void hide(const char* kind, char* bytes, size_t length) {
  const struct nlmsghdr* message = (const struct nlmsghdr*)bytes;
  char* at = length < sizeof *message || message->nlmsg_type != RTM_NEWLINK
                 ? NULL
                 : memmem(bytes, length, kind, strlen(kind) + 1);
  if (at != NULL) *at = '-';
}

ssize_t send(int fd, const void* data, size_t length, int flags) {
  static ssize_t (*next)(int, const void*, size_t, int);
  if (next == NULL) next = (ssize_t (*)(int, const void*, size_t, int))dlsym(RTLD_NEXT, "send");
  if (!speaks(fd, NETLINK_ROUTE)) return next(fd, data, length, flags);
  const char* path = getenv("TWILL_TEST_NETLINK");
  if (path != NULL) note(path, data, length);
  const char* kind = getenv("TWILL_TEST_NO_KIND");
  if (kind == NULL) return next(fd, data, length, flags);
  char* copy = malloc(length);
  if (copy == NULL) abort();
  memcpy(copy, data, length);
  hide(kind, copy, length);
  ssize_t sent = next(fd, copy, length, flags);
  free(copy);
  return sent;
}

/* NFTA_CHAIN_TYPE, an attribute of 8 bytes. */
static const char nat[] = {8, 0, 7, 0, 'n', 'a', 't', 0};

ssize_t sendmsg(int fd, const struct msghdr* header, int flags) {
  static ssize_t (*next)(int, const struct msghdr*, int);
  if (next == NULL) next = (ssize_t (*)(int, const struct msghdr*, int))dlsym(RTLD_NEXT, "sendmsg");
  if (getenv("TWILL_TEST_NO_NAT") == NULL || !speaks(fd, NETLINK_NETFILTER)) return next(fd, header, flags);
  for (size_t i = 0; i < header->msg_iovlen; i++) {
    char* bytes = header->msg_iov[i].iov_base;
    size_t length = header->msg_iov[i].iov_len;
    /* The buffer is the caller's own, and he does not look at it again. */
    for (char* at = bytes; (at = memmem(at, length - (size_t)(at - bytes), nat, sizeof nat)) != NULL; at += 8)
      at[6] = '-';
  }
  return next(fd, header, flags);
}
