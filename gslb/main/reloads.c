#include "gslb/main/reloads.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/model/chronicle.h"
#include "gslb/net/reply.h"
#include "gslb/admin/shown.h"
#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"

#define AUDIT_LINE_MOST 200 /* bytes of the outcome's first line */

struct waiting {
  struct http_call *call; /* NULL: answered in the meantime; its place in the order stays */
  int64_t until_ms;       /* mono */
  char who[64];
};

struct reloads {
  int channel;
  struct committer *committer;
  const struct house *house;
  pthread_mutex_t lock;
  struct waiting waiting[RELOADS_MOST]; /* oldest first */
  size_t count;
  bool is_stopped;
  struct channel_message message; /* to send */
};

struct reloads *reloads_new(int channel, struct committer *committer, const struct house *house) {
  struct reloads *reloads = mem_alloc(sizeof *reloads);
  reloads->channel = channel;
  reloads->committer = committer;
  reloads->house = house;
  pthread_mutex_init(&reloads->lock, NULL);
  return reloads;
}

void reloads_stop(struct reloads *reloads) {
  if (!reloads)
    return;
  pthread_mutex_lock(&reloads->lock);
  for (size_t i = 0; i < reloads->count; i++)
    if (reloads->waiting[i].call)
      reply_problem(reloads->waiting[i].call, 503, "gslbd stops; whether the reload took place is not known");
  reloads->count = 0;
  reloads->is_stopped = true;
  pthread_mutex_unlock(&reloads->lock);
}

void reloads_free(struct reloads *reloads) {
  if (!reloads)
    return;
  pthread_mutex_destroy(&reloads->lock);
  free(reloads);
}

/* Under the lock, so that the order here is the order there. */
static enum status ask_supervisor(struct reloads *reloads, const struct waiting *waiting) {
  reloads->message.kind = CHANNEL_RELOAD;
  reloads->message.length = strlen(waiting->who);
  memcpy(reloads->message.text, waiting->who, reloads->message.length);
  enum status status = channel_send(reloads->channel, &reloads->message);
  if (status == STATUS_OK)
    reloads->waiting[reloads->count++] = *waiting;
  return status;
}

void reloads_ask(void *context, struct http_call *call, const char *who) {
  struct reloads *reloads = context;
  struct waiting waiting = {.call = call, .until_ms = mono_now_ms() + RELOADS_TIMEOUT_MS};
  snprintf(waiting.who, sizeof waiting.who, "%s", who);
  http_hold(call);
  pthread_mutex_lock(&reloads->lock);
  enum status status = reloads->is_stopped ? STATUS_IO : STATUS_LIMIT;
  if (!reloads->is_stopped && reloads->count < RELOADS_MOST)
    status = ask_supervisor(reloads, &waiting);
  pthread_mutex_unlock(&reloads->lock);
  if (status == STATUS_LIMIT)
    reply_problem(call, 503, "too many reloads wait already");
  else if (status)
    reply_problem(call, 503, "the supervisor does not answer");
}

void reloads_want(struct reloads *reloads, const char *who) {
  struct waiting waiting = {.until_ms = INT64_MAX};
  snprintf(waiting.who, sizeof waiting.who, "%s", who);
  pthread_mutex_lock(&reloads->lock);
  enum status status = STATUS_OK;
  if (!reloads->is_stopped) {
    status = STATUS_LIMIT;
    if (reloads->count < RELOADS_MOST)
      status = ask_supervisor(reloads, &waiting);
  }
  pthread_mutex_unlock(&reloads->lock);
  if (status)
    log_warning("reload for %s: the supervisor cannot be asked", who);
}

static json_t *list_problems(const char *text) {
  json_t *errors = json_array();
  char *lines = mem_strdup(text), *rest = lines, *line;
  while ((line = strsep(&rest, "\n")) != NULL)
    if (*line)
      json_array_append_new(errors, value_text(line));
  free(lines);
  return errors;
}

static void queue_audit(struct reloads *reloads, const char *who, const struct channel_message *message) {
  struct audit_record audit = {.at_ms = house_now_ms(reloads->house)};
  snprintf(audit.who, sizeof audit.who, "%s", who);
  snprintf(audit.action, sizeof audit.action, "reload");
  snprintf(audit.subject, sizeof audit.subject, "generation %llu", (unsigned long long)message->generation);
  size_t length = strcspn(message->text, "\n");
  snprintf(audit.detail, sizeof audit.detail, "%s: %.*s", message->status ? "refused" : "taken",
           length < AUDIT_LINE_MOST ? (int)length : AUDIT_LINE_MOST, message->text);
  chronicle_queue_audit(reloads->committer, &audit);
}

void reloads_answer(struct reloads *reloads, const struct channel_message *message) {
  pthread_mutex_lock(&reloads->lock);
  struct waiting oldest = {0};
  if (reloads->count > 0) {
    oldest = reloads->waiting[0];
    memmove(reloads->waiting, reloads->waiting + 1, --reloads->count * sizeof *reloads->waiting);
  }
  pthread_mutex_unlock(&reloads->lock);
  if (oldest.who[0])
    queue_audit(reloads, oldest.who, message);
  if (!oldest.call)
    return;
  if (message->status == STATUS_OK)
    reply_json(oldest.call, 200, json_pack("{s:I}", "generation", (json_int_t)message->generation));
  else
    reply_problem_with(oldest.call, 422, "the new configuration is refused and the old one stays", "errors",
                       list_problems(message->text), NULL);
}

int64_t reloads_expire(struct reloads *reloads, int64_t now_ms) {
  int64_t next_ms = INT64_MAX;
  pthread_mutex_lock(&reloads->lock);
  for (size_t i = 0; i < reloads->count; i++) {
    struct waiting *waiting = &reloads->waiting[i];
    if (!waiting->call)
      continue;
    if (waiting->until_ms <= now_ms) {
      reply_problem(waiting->call, 504, "the supervisor has not answered within %d s; the reload may still take place",
                    RELOADS_TIMEOUT_MS / 1000);
      waiting->call = NULL;
    } else if (waiting->until_ms < next_ms) {
      next_ms = waiting->until_ms;
    }
  }
  pthread_mutex_unlock(&reloads->lock);
  return next_ms;
}
