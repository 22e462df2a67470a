#include "discovery/publish/outlet.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <jansson.h>

#include "discovery/publish/difference.h"
#include "discovery/publish/leftover.h"
#include "discovery/publish/update.h"
#include "gslb/base/log.h"
#include "gslb/base/value.h"

#define EXCHANGE_MS 10000
#define WEIGHTS_MS 30000
#define AGAIN_MS 300000
#define PAUSE_LEAST_MS 1000
#define PAUSE_MOST_MS 300000
#define MESSAGE_ROOM 16000u /* begins another message; a set is never divided */

struct holding { /* a directory with its memory */
  struct arena arena;
  struct directory directory;
};

struct outlet {
  struct update_target target;
  struct config_key key; /* when target.key is given */
  const struct house *house;
  char *label;
  char *zone;
  void (*changed)(void *context, const char *label, enum outlet_state from, enum outlet_state to, const char *reason);
  void *context;
  pthread_t thread;
  int cancel; /* readable: an exchange under way is given up */

  pthread_mutex_t lock; /* what follows, up to the thread's own */
  pthread_cond_t wake;
  struct holding *wanted; /* newest, not yet taken; NULL: none */
  struct name *services;
  size_t service_count;
  bool is_ending, is_withdrawing;
  int64_t deadline_ms; /* mono, of the withdrawal */
  enum outlet_state state;
  size_t records;
  int64_t last_ms, next_ms; /* house */
  char error[256];

  /* of the thread alone */
  struct holding *told, *current; /* current: what is wanted */
  bool is_sure;                   /* told is what stands there */
  bool is_looked;                 /* for leftovers */
  int64_t pause_ms;
  int64_t retry_at_ms, sent_at_ms, again_at_ms; /* mono; 0: none */
};

const char *outlet_state_name(enum outlet_state state) {
  static const char *const names[] = {"starting", "told", "failing", "withdrawn"};
  return names[state];
}

static void holding_free(struct holding *holding) {
  if (!holding)
    return;
  arena_release(&holding->arena);
  free(holding);
}

/* Both together, those within the zone alone. */
static struct holding *holding_new(const struct name *zone, const struct directory *first,
                                   const struct directory *second) {
  struct holding *holding = mem_alloc(sizeof *holding);
  const struct directory *parts[] = {first, second};
  size_t count = first->count + second->count;
  struct directory *out = &holding->directory;
  out->records = arena_array(&holding->arena, count ? count : 1, sizeof *out->records);
  for (int i = 0; i < 2; i++)
    for (size_t j = 0; j < parts[i]->count; j++) {
      struct directory_record record = parts[i]->records[j];
      if (!name_is_below(record.owner.wire, record.owner.size, zone->wire, zone->size))
        continue;
      uint8_t *data = arena_alloc(&holding->arena, record.size ? record.size : 1u);
      memcpy(data, record.data, record.size);
      record.data = data;
      out->records[out->count++] = record;
    }
  directory_sort(out);
  return holding;
}

static const struct directory *none(void) {
  static const struct directory empty;
  return &empty;
}

/* Keeps what was tried in mind: any of it may stand there now. */
static void lose_certainty(struct outlet *outlet) {
  struct holding *both = holding_new(&outlet->target.zone, &outlet->told->directory, &outlet->current->directory);
  holding_free(outlet->told);
  outlet->told = both;
  outlet->is_sure = false;
}

static void put_change(struct update *update, const struct change *change) {
  switch (change->kind) {
  case CHANGE_DELETE_SET:
    update_delete_set(update, &change->record->owner, change->record->type);
    break;
  case CHANGE_DELETE:
    update_delete(update, change->record);
    break;
  case CHANGE_ADD:
    update_add(update, change->record);
    break;
  case CHANGE_DELETE_TYPE: {
    struct name type = {.size = (uint8_t)change->record->size};
    memcpy(type.wire, change->record->data, change->record->size);
    update_require_no_set(update, &type, DIRECTORY_PTR);
    update_delete(update, change->record);
    break;
  }
  }
}

static bool begins_message(const struct difference *difference, size_t index, size_t size) {
  const struct change *change = &difference->changes[index], *before = change - 1;
  if (change->kind == CHANGE_DELETE_TYPE || before->kind == CHANGE_DELETE_TYPE)
    return true;
  return change->set != before->set && size > MESSAGE_ROOM;
}

static enum status send_changes(struct outlet *outlet, const struct difference *difference,
                                const struct update_patience *patience, struct errbuf *err) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < difference->count && status == STATUS_OK;) {
    struct update *update = update_new(&outlet->target);
    bool is_type = difference->changes[i].kind == CHANGE_DELETE_TYPE;
    do
      put_change(update, &difference->changes[i++]);
    while (i < difference->count && !begins_message(difference, i, update_size(update)));
    status = update_send(update, patience, err);
    if (is_type && status == STATUS_CONFLICT) /* others have instances of the type */
      status = STATUS_OK;
    update_free(update);
  }
  return status;
}

static enum status look(struct outlet *outlet, const struct update_patience *patience, struct errbuf *err) {
  struct holding found = {0};
  pthread_mutex_lock(&outlet->lock);
  size_t count = outlet->service_count;
  struct name *services = mem_array(count ? count : 1, sizeof *services);
  if (count)
    memcpy(services, outlet->services, count * sizeof *services);
  pthread_mutex_unlock(&outlet->lock);
  struct leftover_places places = {services, count};
  enum status status = leftover_find(&outlet->target, &places, &outlet->current->directory, patience, &found.arena,
                                     &found.directory, err);
  if (status == STATUS_FORBIDDEN) { /* it may take updates all the same */
    log_debug("%s: what an earlier run left behind is not looked for: %s", outlet->label, err->text);
    status = STATUS_OK;
  } else if (status == STATUS_OK && found.directory.count) {
    struct holding *both = holding_new(&outlet->target.zone, &outlet->told->directory, &found.directory);
    holding_free(outlet->told);
    outlet->told = both;
  }
  arena_release(&found.arena);
  free(services);
  outlet->is_looked = status == STATUS_OK;
  return status;
}

static void report(struct outlet *outlet, enum status status, const struct errbuf *err) {
  pthread_mutex_lock(&outlet->lock);
  if (status && outlet->is_ending && mono_now_ms() < outlet->deadline_ms) { /* given up for the end that comes now */
    pthread_mutex_unlock(&outlet->lock);
    return;
  }
  enum outlet_state before = outlet->state;
  outlet->state = status ? OUTLET_FAILING : outlet->is_withdrawing ? OUTLET_WITHDRAWN : OUTLET_TOLD;
  enum outlet_state after = outlet->state;
  outlet->records = outlet->told->directory.count;
  if (status) {
    outlet->next_ms = house_now_ms(outlet->house) + outlet->pause_ms;
    snprintf(outlet->error, sizeof outlet->error, "%.*s", (int)sizeof outlet->error - 1, err->text);
  } else {
    outlet->last_ms = house_now_ms(outlet->house);
    outlet->next_ms = 0;
    outlet->error[0] = '\0';
  }
  char reason[sizeof outlet->error];
  strcpy(reason, outlet->error);
  pthread_mutex_unlock(&outlet->lock);
  if (before != after)
    outlet->changed(outlet->context, outlet->label, before, after, reason);
}

static void settle(struct outlet *outlet, enum status status, const struct errbuf *err) {
  int64_t now_ms = mono_now_ms();
  outlet->sent_at_ms = now_ms;
  if (status == STATUS_OK) {
    holding_free(outlet->told);
    outlet->told = holding_new(&outlet->target.zone, &outlet->current->directory, none());
    outlet->is_sure = true;
    outlet->again_at_ms = now_ms + AGAIN_MS;
    outlet->retry_at_ms = outlet->pause_ms = 0;
  } else {
    lose_certainty(outlet);
    if (!outlet->again_at_ms) /* it never took anything, so it may not have answered in earnest either */
      outlet->is_looked = false;
    outlet->pause_ms = outlet->pause_ms ? 2 * outlet->pause_ms : PAUSE_LEAST_MS;
    if (outlet->pause_ms > PAUSE_MOST_MS)
      outlet->pause_ms = PAUSE_MOST_MS;
    outlet->retry_at_ms = now_ms + outlet->pause_ms;
  }
  report(outlet, status, err);
}

/* When to tell next (mono): now, later, or INT64_MAX. */
static int64_t find_due(struct outlet *outlet, const struct difference *difference) {
  if (outlet->retry_at_ms)
    return outlet->retry_at_ms;
  if (!outlet->is_looked || difference->is_urgent)
    return 0;
  if (difference->count)
    return outlet->sent_at_ms + WEIGHTS_MS;
  return INT64_MAX;
}

/* Tells what is due; returns when the next is (mono). */
static int64_t attend(struct outlet *outlet) {
  struct arena arena = {0};
  struct difference difference;
  struct errbuf err = {.text = ""};
  struct update_patience patience = {EXCHANGE_MS, outlet->cancel};
  if (outlet->is_sure && outlet->again_at_ms <= mono_now_ms()) {
    outlet->is_sure = false;
    outlet->again_at_ms = mono_now_ms() + AGAIN_MS;
  }
  difference_make(&outlet->told->directory, &outlet->current->directory, outlet->is_sure, &arena, &difference);
  int64_t due_ms = find_due(outlet, &difference);
  if (due_ms <= mono_now_ms()) {
    enum status status = outlet->is_looked ? STATUS_OK : look(outlet, &patience, &err);
    difference_make(&outlet->told->directory, &outlet->current->directory, outlet->is_sure, &arena, &difference);
    if (status == STATUS_OK)
      status = send_changes(outlet, &difference, &patience, &err);
    settle(outlet, status, &err);
    due_ms = outlet->retry_at_ms ? outlet->retry_at_ms : outlet->again_at_ms;
  } else if (outlet->is_sure && outlet->again_at_ms < due_ms) {
    due_ms = outlet->again_at_ms;
  }
  arena_release(&arena);
  return due_ms;
}

static void take_back(struct outlet *outlet) {
  struct arena arena = {0};
  struct difference difference;
  struct errbuf err = {.text = ""};
  struct update_patience patience = {outlet->deadline_ms - mono_now_ms(), -1};
  difference_make(&outlet->told->directory, none(), true, &arena, &difference);
  enum status status = send_changes(outlet, &difference, &patience, &err);
  if (status == STATUS_OK) {
    holding_free(outlet->told);
    outlet->told = holding_new(&outlet->target.zone, none(), none());
  } else {
    log_warning("%s: not everything was taken back: %s", outlet->label, err.text);
  }
  arena_release(&arena);
  report(outlet, status, &err);
}

static void wait_until(struct outlet *outlet, int64_t due_ms) {
  struct timespec due = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};
  if (due_ms == INT64_MAX)
    pthread_cond_wait(&outlet->wake, &outlet->lock);
  else
    pthread_cond_timedwait(&outlet->wake, &outlet->lock, &due);
}

static void *run(void *argument) {
  struct outlet *outlet = argument;
  int64_t due_ms = INT64_MAX;
  pthread_mutex_lock(&outlet->lock);
  while (!outlet->is_ending) {
    if (!outlet->wanted && mono_now_ms() < due_ms) {
      wait_until(outlet, due_ms);
      continue;
    }
    if (outlet->wanted) {
      holding_free(outlet->current);
      outlet->current = outlet->wanted;
      outlet->wanted = NULL;
    }
    pthread_mutex_unlock(&outlet->lock);
    due_ms = attend(outlet);
    pthread_mutex_lock(&outlet->lock);
  }
  bool is_withdrawing = outlet->is_withdrawing;
  pthread_mutex_unlock(&outlet->lock);
  if (is_withdrawing)
    take_back(outlet);
  return NULL;
}

static void release(struct outlet *outlet) {
  if (outlet->cancel >= 0)
    close(outlet->cancel);
  holding_free(outlet->wanted);
  holding_free(outlet->told);
  holding_free(outlet->current);
  pthread_mutex_destroy(&outlet->lock);
  pthread_cond_destroy(&outlet->wake);
  free((void *)outlet->key.name);
  free((void *)outlet->key.secret);
  free(outlet->services);
  free(outlet->label);
  free(outlet->zone);
  free(outlet);
}

struct outlet *outlet_new(const struct outlet_options *options) {
  struct outlet *outlet = mem_alloc(sizeof *outlet);
  char server[ADDR_TEXT_SIZE];
  pthread_condattr_t attributes;
  outlet->target.server = options->server;
  if (options->key) {
    outlet->key = *options->key;
    outlet->key.name = mem_strdup(options->key->name);
    outlet->key.secret = mem_strdup(options->key->secret);
    outlet->target.key = &outlet->key;
  }
  outlet->house = options->house;
  outlet->changed = options->changed;
  outlet->context = options->context;
  outlet->zone = mem_strdup(options->zone);
  outlet->label = mem_format("%s at %s", options->zone, addr_format_port(&options->server, server));
  outlet->told = holding_new(&outlet->target.zone, none(), none());
  outlet->current = holding_new(&outlet->target.zone, none(), none());
  pthread_mutex_init(&outlet->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&outlet->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  outlet->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (outlet->cancel >= 0 && name_from_text(options->zone, &outlet->target.zone) == STATUS_OK &&
      pthread_create(&outlet->thread, NULL, run, outlet) == 0)
    return outlet;
  release(outlet);
  return NULL;
}

void outlet_tell(struct outlet *outlet, const struct directory *wanted, const struct name *services, size_t count) {
  struct holding *holding = holding_new(&outlet->target.zone, wanted, none());
  struct name *places = mem_array(count ? count : 1, sizeof *places);
  if (count)
    memcpy(places, services, count * sizeof *places);
  pthread_mutex_lock(&outlet->lock);
  struct holding *replaced = outlet->wanted;
  struct name *old = outlet->services;
  outlet->wanted = holding;
  outlet->services = places;
  outlet->service_count = count;
  pthread_cond_signal(&outlet->wake);
  pthread_mutex_unlock(&outlet->lock);
  holding_free(replaced);
  free(old);
}

struct json_t *outlet_document(struct outlet *outlet) {
  char server[ADDR_TEXT_SIZE];
  addr_format_port(&outlet->target.server, server);
  pthread_mutex_lock(&outlet->lock);
  json_t *document = json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:o}", "server", server, "zone", outlet->zone, "records",
                               (json_int_t)outlet->records, "state", outlet_state_name(outlet->state), "last_at",
                               value_time(outlet->last_ms), "error", value_text_or_null(outlet->error), "next_at",
                               value_time(outlet->next_ms));
  pthread_mutex_unlock(&outlet->lock);
  return value_must(document);
}

static void end(struct outlet *outlet, bool is_withdrawing, int64_t deadline_ms) {
  uint64_t one = 1;
  pthread_mutex_lock(&outlet->lock);
  if (!outlet->is_ending) {
    outlet->is_ending = true;
    outlet->is_withdrawing = is_withdrawing;
    outlet->deadline_ms = deadline_ms;
  }
  pthread_cond_signal(&outlet->wake);
  pthread_mutex_unlock(&outlet->lock);
  if (write(outlet->cancel, &one, sizeof one) < 0)
    log_error("%s: an exchange under way cannot be given up", outlet->label);
}

void outlet_withdraw(struct outlet *outlet, int64_t deadline_ms) {
  end(outlet, true, deadline_ms);
}

void outlet_free(struct outlet *outlet) {
  if (!outlet)
    return;
  end(outlet, false, 0);
  pthread_join(outlet->thread, NULL);
  release(outlet);
}
