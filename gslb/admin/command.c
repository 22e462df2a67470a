#include "gslb/admin/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

static void begin(struct channel_message *message, const char *hook) {
  message->kind = CHANNEL_COMMAND;
  message->status = STATUS_OK;
  message->generation = 0;
  message->fd_count = 0;
  message->length = strlen(hook) + 1;
  memcpy(message->text, hook, message->length);
}

static void add(struct channel_message *message, const char *name, const char *value) {
  int length = snprintf(message->text + message->length, sizeof message->text - message->length, "%s=%s", name, value);
  message->length += (size_t)length + 1;
}

static void add_time(struct channel_message *message, int64_t at_ms) {
  char at[32];
  clock_format_utc(at_ms, at, sizeof at);
  add(message, "GSLB_TIME", at);
}

void command_fill(const struct event_record *event, struct channel_message *message) {
  begin(message, "on_change");
  add(message, "GSLB_SERVICE", event->service);
  add(message, "GSLB_MEMBER", event->member);
  add(message, "GSLB_FROM", event->from);
  add(message, "GSLB_TO", event->to);
  add(message, "GSLB_REASON", event->reason);
  add_time(message, event->at_ms);
}

void command_fill_empty(const char *service, int64_t now_ms, struct channel_message *message) {
  begin(message, "on_empty");
  add(message, "GSLB_SERVICE", service);
  add_time(message, now_ms);
}

static const char *why(enum status status) {
  return status == STATUS_LIMIT ? "too many commands wait" : "the exec process is away";
}

void command_send(int fd, const struct event_record *event) {
  struct channel_message *message = mem_alloc(sizeof *message);
  command_fill(event, message);
  enum status status = channel_send(fd, message);
  if (status)
    log_warning("on_change is not run for %s%s%s, %s -> %s: %s", event->service, event->member[0] ? "/" : "",
                event->member, event->from, event->to, why(status));
  free(message);
}

enum status command_send_empty(int fd, const char *service, int64_t now_ms) {
  struct channel_message *message = mem_alloc(sizeof *message);
  command_fill_empty(service, now_ms, message);
  enum status status = channel_send(fd, message);
  if (status)
    log_warning("on_empty is not run for %s: %s", service, why(status));
  else
    log_info("on_empty is run for %s", service);
  free(message);
  return status;
}

void command_take_result(const struct channel_message *message, int64_t now_ms, struct event_record *out) {
  /* channel_receive ends the text with a NUL of its own */
  size_t name = strlen(message->text);
  const char *result = name < message->length ? message->text + name + 1 : "";
  *out = (struct event_record){.at_ms = now_ms, .kind = "on_empty", .from = "run"};
  snprintf(out->service, sizeof out->service, "%.*s", (int)sizeof out->service - 1, message->text);
  snprintf(out->to, sizeof out->to, "%s", message->status == STATUS_OK ? "done" : "failed");
  snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, result);
  for (char *at = out->reason; *at; at++)
    if ((unsigned char)*at < 0x20 || *at == 0x7f)
      *at = ' ';
}
