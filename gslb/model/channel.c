#include "gslb/model/channel.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_MAGIC 0x67736c62u

/* Both ends are forks of one program, so the layout is the machine's own. */
struct channel_head {
  uint32_t magic;
  uint32_t kind;
  uint32_t status;
  uint32_t fd_count;
  uint64_t generation;
};

union channel_control {
  struct cmsghdr align;
  /* room for more than is allowed, so that a surplus is seen and closed */
  char bytes[CMSG_SPACE(2 * CHANNEL_FDS_MOST * sizeof(int))];
};

enum status channel_pair(int ends[2], struct errbuf *err) {
  int made[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made) != 0)
    return errbuf_set(err, STATUS_IO, "channel: socketpair: %s", strerror(errno));
  ends[0] = made[0];
  ends[1] = made[1];
  return STATUS_OK;
}

enum status channel_send(int fd, const struct channel_message *message) {
  assert(message->length <= CHANNEL_TEXT_MOST && message->fd_count <= CHANNEL_FDS_MOST);
  struct channel_head head = {
      .magic = CHANNEL_MAGIC,
      .kind = message->kind,
      .status = message->status,
      .fd_count = (uint32_t)message->fd_count,
      .generation = message->generation,
  };
  struct iovec parts[] = {{&head, sizeof head}, {(void *)message->text, message->length}};
  struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
  union channel_control control = {0};
  if (message->fd_count > 0) {
    size_t size = message->fd_count * sizeof(int);
    packet.msg_control = control.bytes;
    packet.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(rights), message->fds, size);
  }
  ssize_t sent;
  do
    sent = sendmsg(fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0)
    return STATUS_OK;
  return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? STATUS_LIMIT : STATUS_IO;
}

static size_t take_fds(struct msghdr *packet, int fds[2 * CHANNEL_FDS_MOST]) {
  size_t count = 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part; part = CMSG_NXTHDR(packet, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    size_t more = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    assert(count + more <= 2 * CHANNEL_FDS_MOST);
    memcpy(fds + count, CMSG_DATA(part), more * sizeof(int));
    count += more;
  }
  return count;
}

static bool is_ours(const struct channel_head *head, ssize_t size, int flags, size_t fd_count) {
  return (size_t)size >= sizeof *head && !(flags & (MSG_TRUNC | MSG_CTRUNC)) && head->magic == CHANNEL_MAGIC &&
         head->kind < CHANNEL_KINDS && head->status <= STATUS_VERSION && head->fd_count == fd_count &&
         fd_count <= CHANNEL_FDS_MOST;
}

enum status channel_receive(int fd, struct channel_message *message) {
  struct channel_head head = {0};
  char text[CHANNEL_TEXT_MOST];
  union channel_control control;
  struct iovec parts[] = {{&head, sizeof head}, {text, sizeof text}};
  struct msghdr packet = {
      .msg_iov = parts,
      .msg_iovlen = 2,
      .msg_control = control.bytes,
      .msg_controllen = sizeof control.bytes,
  };
  ssize_t size;
  do
    size = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return STATUS_TIMEOUT;
  if (size < 0 && errno != ECONNRESET)
    return STATUS_IO;
  if (size <= 0)
    return STATUS_NODATA;

  int fds[2 * CHANNEL_FDS_MOST];
  size_t fd_count = take_fds(&packet, fds);
  if (!is_ours(&head, size, packet.msg_flags, fd_count)) {
    for (size_t i = 0; i < fd_count; i++)
      close(fds[i]);
    return STATUS_INVALID;
  }
  message->kind = (enum channel_kind)head.kind;
  message->status = (enum status)head.status;
  message->generation = head.generation;
  message->fd_count = fd_count;
  memcpy(message->fds, fds, fd_count * sizeof fds[0]);
  message->length = (size_t)size - sizeof head;
  memcpy(message->text, text, message->length);
  message->text[message->length] = '\0';
  return STATUS_OK;
}
