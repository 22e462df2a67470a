#include "gslb/admin/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/roster.h"
#include "gslb/net/reply.h"

static bool has_sources(const struct config *config, const char *service) {
  size_t at = config_find_service(config, service);
  if (at == SIZE_MAX)
    at = roster_pattern_of(config, service);
  return at != SIZE_MAX && config->services[at].source_count > 0;
}

static enum status send_measure(int supervisor, const struct view_name *name) {
  struct channel_message *message = mem_alloc(sizeof *message);
  size_t service = strlen(name->service) + 1, member = strlen(name->member);
  message->kind = CHANNEL_MEASURE;
  message->length = service + member;
  memcpy(message->text, name->service, service);
  memcpy(message->text + service, name->member, member);
  enum status status = supervisor < 0 ? STATUS_IO : channel_send(supervisor, message);
  free(message);
  return status;
}

void measure_ask(struct http_call *call, struct view *view, int supervisor, const struct view_name *name) {
  if (!has_sources(view_config(view), name->service)) {
    reply_problem(call, 409, "no source reads the members of %s", name->service);
    return;
  }
  enum status status = send_measure(supervisor, name);
  if (status == STATUS_OK) {
    char *id = mem_format("%s/%s", name->service, name->member);
    reply_json(call, 202, value_must(json_pack("{s:o}", "member", value_text(id))));
    free(id);
  } else {
    reply_problem(call, 503, "%s",
                  status == STATUS_LIMIT ? "too much waits for the supervisor already" : "the supervisor is away");
  }
}

static void copy_text(char *to, size_t size, const char *text) {
  snprintf(to, size, "%.*s", (int)size - 1, text);
  for (; *to; to++)
    if ((unsigned char)*to < 0x20 || *to == 0x7f)
      *to = ' ';
}

enum status measure_refusal(const struct channel_message *message, int64_t now_ms, struct event_record *out) {
  const char *parts[3], *at = message->text, *end = message->text + message->length;
  for (size_t i = 0; i < 3; i++) {
    if (at > end)
      return STATUS_INVALID;
    parts[i] = at;
    at += strlen(at) + 1; /* channel_receive ends the text with a NUL of its own */
  }
  if (!*parts[0] || !*parts[1])
    return STATUS_INVALID;
  *out = (struct event_record){.at_ms = now_ms, .kind = "metrics", .to = "refused"};
  copy_text(out->service, sizeof out->service, parts[0]);
  copy_text(out->member, sizeof out->member, parts[1]);
  copy_text(out->reason, sizeof out->reason, parts[2]);
  return STATUS_OK;
}

static enum status apply_event(void *context, struct store_txn *txn, struct errbuf *err) {
  return chronicle_write_event(txn, context, err);
}

static void forget_event(void *context, enum status status, const struct errbuf *err) {
  const struct event_record *event = context;
  if (status)
    log_error("the event that figures of %s/%s were refused is not stored: %s", event->service, event->member,
              err->text);
  free(context);
}

void measure_note_refusal(const struct channel_message *message, struct committer *committer, int64_t now_ms) {
  struct event_record *event = mem_alloc(sizeof *event);
  struct errbuf err;
  if (measure_refusal(message, now_ms, event) != STATUS_OK) {
    free(event);
    return;
  }
  log_warning("figures of %s/%s were refused: %s", event->service, event->member, event->reason);
  enum status status = commit_queue(committer, apply_event, forget_event, event, &err);
  if (status)
    forget_event(event, status, &err);
}
