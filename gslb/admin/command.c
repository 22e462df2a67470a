#include "gslb/admin/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

static void add(struct channel_message *message, const char *name, const char *value) {
  int length = snprintf(message->text + message->length, sizeof message->text - message->length, "%s=%s", name, value);
  message->length += (size_t)length + 1;
}

void command_fill(const struct event_record *event, struct channel_message *message) {
  char at[32];
  clock_format_utc(event->at_ms, at, sizeof at);
  message->kind = CHANNEL_COMMAND;
  message->status = STATUS_OK;
  message->generation = 0;
  message->fd_count = 0;
  message->length = 0;
  add(message, "GSLB_SERVICE", event->service);
  add(message, "GSLB_MEMBER", event->member);
  add(message, "GSLB_FROM", event->from);
  add(message, "GSLB_TO", event->to);
  add(message, "GSLB_REASON", event->reason);
  add(message, "GSLB_TIME", at);
}

void command_send(int fd, const struct event_record *event) {
  struct channel_message *message = mem_alloc(sizeof *message);
  command_fill(event, message);
  enum status status = channel_send(fd, message);
  if (status)
    log_warning("on_change is not run for %s%s%s, %s -> %s: %s", event->service, event->member[0] ? "/" : "",
                event->member, event->from, event->to,
                status == STATUS_LIMIT ? "too many commands wait" : "the exec process is away");
  free(message);
}
