#include "discovery/agent/ctl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/value.h"

#define CONNECTIONS_MOST 16u
#define PATIENCE_MS 5000

struct connection {
  struct ctl *ctl;
  struct connection *next;
  int fd;
  struct loop_poll *poll;
  struct loop_timer *timer;
  size_t length;
  char line[CTL_LINE_MOST];
};

struct ctl {
  struct loop *loop;
  ctl_handle *handle;
  void *context;
  struct sockaddr_un address;
  int fd;
  bool is_bound;
  struct loop_poll *poll;
  struct connection *connections;
  unsigned count;
};

static void hang_up(struct connection *connection) {
  struct connection **at = &connection->ctl->connections;
  while (*at != connection)
    at = &(*at)->next;
  *at = connection->next;
  connection->ctl->count--;
  loop_poll_free(connection->poll);
  loop_timer_free(connection->timer);
  close(connection->fd);
  free(connection);
}

static void lost_patience(void *context) {
  hang_up(context);
}

static void answer(struct connection *connection) {
  struct ctl *ctl = connection->ctl;
  json_t *request = json_loads(connection->line, JSON_REJECT_DUPLICATES, NULL);
  json_t *said = json_is_object(request) ? ctl->handle(ctl->context, request)
                                         : value_must(json_pack("{s:s}", "error", "that is no JSON object"));
  json_decref(request);
  char *text = value_dump(said);
  size_t length = strlen(text), sent = 0;
  /* a unix socket takes far more than such an answer; who does not read it has it cut off */
  while (sent < length) {
    ssize_t written = send(connection->fd, text + sent, length - sent, MSG_NOSIGNAL);
    if (written <= 0)
      break;
    sent += (size_t)written;
  }
  free(text);
  hang_up(connection);
}

static void readable(void *context, int events) {
  (void)events;
  struct connection *connection = context;
  size_t room = sizeof connection->line - 1 - connection->length;
  ssize_t got = recv(connection->fd, connection->line + connection->length, room, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (got <= 0) {
    hang_up(connection);
    return;
  }
  connection->length += (size_t)got;
  connection->line[connection->length] = '\0';
  if (memchr(connection->line, '\n', connection->length))
    answer(connection);
  else if (connection->length == sizeof connection->line - 1)
    hang_up(connection);
}

static void accept_one(void *context, int events) {
  (void)events;
  struct ctl *ctl = context;
  int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return;
  if (ctl->count >= CONNECTIONS_MOST) {
    close(fd);
    return;
  }
  struct connection *connection = mem_alloc(sizeof *connection);
  connection->ctl = ctl;
  connection->fd = fd;
  connection->next = ctl->connections;
  ctl->connections = connection;
  ctl->count++;
  connection->poll = loop_poll_new(ctl->loop, fd, readable, connection);
  connection->timer = loop_timer_new(ctl->loop, lost_patience, connection);
  if (!connection->poll) {
    hang_up(connection);
    return;
  }
  loop_poll_watch(connection->poll, LOOP_READABLE);
  loop_timer_after(connection->timer, PATIENCE_MS);
}

static bool is_alive(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
  if (fd >= 0)
    close(fd);
  return answers;
}

static enum status open_socket(struct ctl *ctl, const char *path, struct errbuf *err) {
  if (strlen(path) >= sizeof ctl->address.sun_path)
    return errbuf_set(err, STATUS_IO, "%s: too long for a socket", path);
  strcpy(ctl->address.sun_path, path);
  struct stat there;
  if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode)) {
    if (is_alive(&ctl->address))
      return errbuf_set(err, STATUS_CONFLICT, "%s: another agent listens there", path);
    unlink(path);
  }
  ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* before anyone can connect */
  if (ctl->fd < 0 || fchmod(ctl->fd, 0660) != 0 ||
      bind(ctl->fd, (struct sockaddr *)&ctl->address, sizeof ctl->address) != 0)
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  ctl->is_bound = true;
  if (listen(ctl->fd, 16) != 0)
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  return STATUS_OK;
}

enum status ctl_start(struct loop *loop, const char *path, ctl_handle *handle, void *context, struct ctl **out,
                      struct errbuf *err) {
  struct ctl *ctl = mem_alloc(sizeof *ctl);
  *ctl = (struct ctl){.loop = loop, .handle = handle, .context = context, .fd = -1, .address = {.sun_family = AF_UNIX}};
  enum status status = open_socket(ctl, path, err);
  if (status == STATUS_OK) {
    ctl->poll = loop_poll_new(loop, ctl->fd, accept_one, ctl);
    if (!ctl->poll)
      status = errbuf_set(err, STATUS_IO, "%s: cannot be polled", path);
  }
  if (status) {
    ctl_stop(ctl);
    return status;
  }
  loop_poll_watch(ctl->poll, LOOP_READABLE);
  *out = ctl;
  return STATUS_OK;
}

void ctl_stop(struct ctl *ctl) {
  if (!ctl)
    return;
  while (ctl->connections)
    hang_up(ctl->connections);
  loop_poll_free(ctl->poll);
  if (ctl->is_bound)
    unlink(ctl->address.sun_path);
  if (ctl->fd >= 0)
    close(ctl->fd);
  free(ctl);
}
