#include "gslb/net/caller.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/clock.h"

enum status caller_wait(const struct caller *caller, short events, int64_t wait_ms, struct errbuf *err) {
  int64_t until_ms = mono_now_ms() + wait_ms;
  if (caller->end_ms < until_ms)
    until_ms = caller->end_ms;
  for (;;) {
    struct pollfd ready[2] = {{.fd = caller->fd, .events = events}, {.fd = caller->cancel, .events = POLLIN}};
    int64_t left_ms = until_ms - mono_now_ms();
    int count = left_ms > 0 ? poll(ready, 2, (int)left_ms) : 0;
    if (count < 0 && errno == EINTR)
      continue;
    if (count > 0 && ready[1].revents)
      return errbuf_set(err, STATUS_TIMEOUT, "given up");
    if (count > 0)
      return STATUS_OK;
    return count ? errbuf_set(err, STATUS_IO, "poll: %s", strerror(errno))
                 : errbuf_set(err, STATUS_TIMEOUT, "%s does not answer in time", caller->peer);
  }
}

enum status caller_open(struct caller *caller, const struct addr *server, int type, int64_t wait_ms,
                        struct errbuf *err) {
  struct sockaddr_storage address;
  socklen_t length = addr_to_sockaddr(server, &address);
  caller->fd = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (caller->fd < 0)
    return errbuf_set(err, STATUS_IO, "socket: %s", strerror(errno));
  int failure = connect(caller->fd, (const struct sockaddr *)&address, length) == 0 ? 0 : errno;
  if (failure == EINPROGRESS) {
    enum status status = caller_wait(caller, POLLOUT, wait_ms, err);
    socklen_t size = sizeof failure;
    if (status != STATUS_OK)
      return status;
    if (getsockopt(caller->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
      failure = errno;
  }
  return failure ? errbuf_set(err, STATUS_IO, "connect: %s", strerror(failure)) : STATUS_OK;
}

enum status caller_send(const struct caller *caller, const void *bytes, size_t size, int64_t wait_ms,
                        struct errbuf *err) {
  for (const uint8_t *at = bytes; size;) {
    ssize_t count = send(caller->fd, at, size, MSG_NOSIGNAL);
    if (count > 0) {
      at += count;
      size -= (size_t)count;
    } else if (errno == EAGAIN) {
      enum status status = caller_wait(caller, POLLOUT, wait_ms, err);
      if (status != STATUS_OK)
        return status;
    } else if (errno != EINTR) {
      return errbuf_set(err, STATUS_IO, "send: %s", strerror(errno));
    }
  }
  return STATUS_OK;
}

enum status caller_receive(const struct caller *caller, void *out, size_t size, int64_t wait_ms, struct errbuf *err) {
  for (uint8_t *at = out; size;) {
    ssize_t count = recv(caller->fd, at, size, 0);
    if (count > 0) {
      at += count;
      size -= (size_t)count;
    } else if (count == 0) {
      return errbuf_set(err, STATUS_INVALID, "%s closes the connection before the answer is whole", caller->peer);
    } else if (errno == EAGAIN) {
      enum status status = caller_wait(caller, POLLIN, wait_ms, err);
      if (status != STATUS_OK)
        return status;
    } else if (errno != EINTR) {
      return errbuf_set(err, STATUS_IO, "receive: %s", strerror(errno));
    }
    if (mono_now_ms() >= caller->end_ms)
      return errbuf_set(err, STATUS_TIMEOUT, "the answer takes too long");
  }
  return STATUS_OK;
}

void caller_close(struct caller *caller) {
  if (caller->fd >= 0)
    close(caller->fd);
  caller->fd = -1;
}
