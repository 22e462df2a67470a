#include "gslb/model/child.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"

#define CONFIG_TEXT_MOST (64u << 20)

enum status child_read_text(int fd, char **text, size_t *length, struct errbuf *err) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return errbuf_set(err, STATUS_IO, "configuration: %s", strerror(errno));
  if (info.st_size < 0 || info.st_size > CONFIG_TEXT_MOST)
    return errbuf_set(err, STATUS_LIMIT, "configuration: %lld bytes are too many", (long long)info.st_size);
  size_t size = (size_t)info.st_size;
  char *buffer = mem_alloc(size + 1);
  for (size_t used = 0; used < size;) {
    ssize_t got = pread(fd, buffer + used, size - used, (off_t)used);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      const char *why = got < 0 ? strerror(errno) : "shorter than its size";
      free(buffer);
      return errbuf_set(err, STATUS_IO, "configuration: %s", why);
    }
    used += (size_t)got;
  }
  *text = buffer;
  *length = size;
  return STATUS_OK;
}

enum status child_parse_config(const struct channel_message *message, struct config **out, struct errbuf *err) {
  assert(message->kind == CHANNEL_CONFIG);
  if (message->fd_count < 1)
    return errbuf_set(err, STATUS_INVALID, "configuration: the message carries no descriptor");
  char *text = NULL;
  size_t length = 0;
  enum status status = child_read_text(message->fds[0], &text, &length, err);
  if (status != STATUS_OK)
    return status;
  struct problems problems = {0};
  struct config *config = config_parse(message->text, text, length, &problems);
  if (config) {
    *out = config;
  } else {
    char *lines = problems_format(&problems);
    status = errbuf_set(err, STATUS_INVALID, "%s", lines);
    free(lines);
  }
  problems_release(&problems);
  free(text);
  return status;
}

int child_take_descriptor(struct channel_message *message, size_t index) {
  if (index >= message->fd_count)
    return -1;
  int fd = message->fds[index];
  message->fds[index] = message->fds[--message->fd_count];
  return fd;
}

void child_say(const struct child *child, enum channel_kind kind) {
  struct channel_message message = {.kind = kind, .status = STATUS_OK, .generation = child->generation};
  enum status status = channel_send(child->channel, &message);
  /* a supervisor that is gone is noticed by whoever reads the channel */
  if (status != STATUS_OK && status != STATUS_IO)
    log_error("message to the supervisor: %s", status_name(status));
}

void child_set_log(const struct config *config, enum board_process process) {
  log_setup(board_process_name(process), (enum log_level)config->server.log_level,
            config->server.log_format == CONFIG_LOG_JSON);
}
