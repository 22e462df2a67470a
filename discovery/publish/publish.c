#include "discovery/publish/publish.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/publish/outlet.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/base/value.h"
#include "gslb/decide/directory.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/facts.h"
#include "gslb/model/name.h"
#include "gslb/model/records.h"

#define GATHER_MS 100
#define AGAIN_MS 10000 /* to read the stores again when that failed */
#define WITHDRAW_MS 3000

struct destination {            /* one entry of publish: */
  struct config_publish config; /* with texts of its own */
  struct config_key key;
  struct outlet *outlet;
  bool is_kept; /* while a configuration is taken over */
};

struct publisher {
  struct publisher_links links;
  pthread_t thread;

  pthread_mutex_t lock; /* what follows, up to the thread's own; the list of destinations changes under it */
  pthread_cond_t wake;
  bool is_woken, is_stopping;
  char *path, *text; /* newest configuration, not yet taken; NULL: none */
  size_t length;
  struct destination **destinations;
  size_t count;

  /* of the thread alone */
  struct config *config; /* NULL: nothing to publish */
  struct facts *facts;
  bool is_stale;          /* something that is told changed */
  bool is_failing;        /* reading the stores failed, and that was logged */
  int64_t valid_until_ms; /* house time at which to look again, INT64_MAX: none */
};

static enum status write_event(void *context, struct store_txn *txn, struct errbuf *err) {
  return chronicle_write_event(txn, context, err);
}

static void forget_event(void *context, enum status status, const struct errbuf *err) {
  if (status)
    log_error("an event of publishing is not stored: %s", err->text);
  free(context);
}

static void note_change(void *context, const char *label, enum outlet_state from, enum outlet_state to,
                        const char *reason) {
  struct publisher *publisher = context;
  struct errbuf err;
  log_write(to == OUTLET_FAILING ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "publish %s: %s -> %s%s%s", label,
            outlet_state_name(from), outlet_state_name(to), reason[0] ? ": " : "", reason);
  if (!publisher->links.committer)
    return;
  struct event_record *event = mem_alloc(sizeof *event);
  event->at_ms = house_now_ms(publisher->links.house);
  snprintf(event->kind, sizeof event->kind, "publish");
  snprintf(event->from, sizeof event->from, "%s", outlet_state_name(from));
  snprintf(event->to, sizeof event->to, "%s", outlet_state_name(to));
  snprintf(event->reason, sizeof event->reason, "%.100s%s%.50s", label, reason[0] ? ": " : "", reason);
  enum status status = commit_queue(publisher->links.committer, write_event, forget_event, event, &err);
  if (status)
    forget_event(event, status, &err);
}

static bool is_same_key(const struct config_key *a, const struct config_key *b) {
  return a->algorithm == b->algorithm && strcmp(a->name, b->name) == 0 && strcmp(a->secret, b->secret) == 0;
}

static const struct config_key no_key = {.name = "", .secret = ""};

static const struct config_key *key_of(const struct config *config, const struct config_publish *publish) {
  return publish->key == CONFIG_NO_KEY ? &no_key : &config->keys[publish->key];
}

static void destination_free(struct destination *destination) {
  if (!destination)
    return;
  outlet_free(destination->outlet);
  free((void *)destination->config.zone);
  free((void *)destination->key.name);
  free((void *)destination->key.secret);
  free(destination);
}

static struct destination *destination_new(struct publisher *publisher, const struct config *config,
                                           const struct config_publish *publish) {
  const struct config_key *key = key_of(config, publish);
  struct destination *destination = mem_alloc(sizeof *destination);
  destination->config = *publish;
  destination->config.zone = mem_strdup(publish->zone);
  destination->key = *key;
  destination->key.name = mem_strdup(key->name);
  destination->key.secret = mem_strdup(key->secret);
  destination->is_kept = true;
  destination->outlet = outlet_new(&(struct outlet_options){.server = publish->server,
                                                            .zone = publish->zone,
                                                            .key = key->name[0] ? key : NULL,
                                                            .house = publisher->links.house,
                                                            .changed = note_change,
                                                            .context = publisher});
  if (destination->outlet)
    return destination;
  log_error("zone %s cannot be published: no thread, or no name", publish->zone);
  destination_free(destination);
  return NULL;
}

/* The same place; whose zone is told there and how much of it may have changed. */
static struct destination *find_destination(struct publisher *publisher, const struct config *config,
                                            const struct config_publish *publish) {
  for (size_t i = 0; i < publisher->count; i++) {
    struct destination *destination = publisher->destinations[i];
    if (!destination->is_kept && addr_equal(&destination->config.server, &publish->server) &&
        strcmp(destination->config.zone, publish->zone) == 0 && is_same_key(&destination->key, key_of(config, publish)))
      return destination;
  }
  return NULL;
}

/* Without withdrawing what was told stays, for the next process to go on with. */
static void drop(struct destination **destinations, size_t count, bool withdraws) {
  int64_t deadline_ms = mono_now_ms() + WITHDRAW_MS;
  for (size_t i = 0; i < count && withdraws; i++)
    outlet_withdraw(destinations[i]->outlet, deadline_ms);
  for (size_t i = 0; i < count; i++)
    destination_free(destinations[i]);
  free(destinations);
}

/* Destinations as the configuration has them; those that it has no more are withdrawn. */
static void take_destinations(struct publisher *publisher, const struct config *config) {
  size_t wanted = config ? config->publish_count : 0, count = 0, gone_count = 0;
  struct destination **kept = mem_array(wanted ? wanted : 1, sizeof *kept);
  struct destination **gone = mem_array(publisher->count ? publisher->count : 1, sizeof *gone);
  for (size_t i = 0; i < publisher->count; i++)
    publisher->destinations[i]->is_kept = false;
  for (size_t i = 0; i < wanted; i++) {
    const struct config_publish *publish = &config->publish[i];
    struct destination *destination = find_destination(publisher, config, publish);
    if (destination) {
      const char *zone = destination->config.zone;
      destination->config = *publish;
      destination->config.zone = zone;
      destination->is_kept = true;
    } else {
      destination = destination_new(publisher, config, publish);
    }
    if (destination)
      kept[count++] = destination;
  }
  for (size_t i = 0; i < publisher->count; i++)
    if (!publisher->destinations[i]->is_kept)
      gone[gone_count++] = publisher->destinations[i];
  pthread_mutex_lock(&publisher->lock);
  struct destination **old = publisher->destinations;
  publisher->destinations = kept;
  publisher->count = count;
  pthread_mutex_unlock(&publisher->lock);
  free(old);
  drop(gone, gone_count, true);
}

static void take_config(struct publisher *publisher, const char *path, const char *text, size_t length) {
  struct problems problems = {0};
  struct config *config = config_parse(path, text, length, &problems);
  problems_release(&problems);
  if (!config) { /* whoever gave it checked it already */
    log_error("publish: the configuration cannot be read; the one before stays");
    return;
  }
  if (!config->publish_count) {
    config_free(config);
    config = NULL;
  }
  facts_free(publisher->facts);
  publisher->facts = NULL;
  take_destinations(publisher, config);
  config_free(publisher->config);
  publisher->config = config;
  if (config)
    publisher->facts = facts_new(config, publisher->links.durable, publisher->links.live);
  publisher->is_stale = true;
}

static void note_touched(void *context, size_t service) {
  struct publisher *publisher = context;
  if (service == FACTS_BALANCERS || publisher->config->services[service].srv)
    publisher->is_stale = true;
}

/* Owners of the SRV records of a zone's services, below another origin; free() them. */
static struct name *name_services(const struct publisher *publisher, const struct config_publish *publish,
                                  size_t *count) {
  const struct config *config = publisher->config;
  const char *zone = config->zones[publish->from].name;
  size_t capacity = 0, zone_length = strcmp(zone, ".") == 0 ? 0 : strlen(zone);
  struct name *names = NULL;
  *count = 0;
  for (size_t i = 0; i < config->service_count && publish->has_services; i++) {
    if (config->services[i].zone != publish->from || !config->services[i].srv)
      continue;
    const char *service = facts_service(publisher->facts, i)->service->name;
    if (!service[0] || service[0] == '*')
      continue;
    size_t relative = strlen(service) - zone_length;
    char *text = mem_format("%s.%.*s%s", config->services[i].srv, (int)relative, service, publish->zone);
    names = mem_grow(names, &capacity, *count + 1, sizeof *names);
    if (name_from_text(text, &names[*count]) == STATUS_OK)
      (*count)++;
    free(text);
  }
  return names;
}

static void tell(struct publisher *publisher) {
  int64_t now_ms = house_now_ms(publisher->links.house);
  publisher->valid_until_ms = INT64_MAX;
  for (size_t i = 0; i < publisher->count; i++) {
    const struct config_publish *publish = &publisher->destinations[i]->config;
    struct directory_wish wish = {.origin = publish->zone,
                                  .has_register = true,
                                  .has_browse = publish->has_browsing,
                                  .has_services = publish->has_services};
    struct arena arena = {0};
    struct directory directory;
    size_t count;
    directory_build(publisher->config, publisher->facts, publish->from, now_ms, &wish, &arena, &directory);
    struct name *services = name_services(publisher, publish, &count);
    outlet_tell(publisher->destinations[i]->outlet, &directory, services, count);
    if (directory.valid_until_ms < publisher->valid_until_ms)
      publisher->valid_until_ms = directory.valid_until_ms;
    free(services);
    arena_release(&arena);
  }
  publisher->is_stale = false;
}

/* Returns how long until the next look, in ms; INT64_MAX: until woken. */
static int64_t look(struct publisher *publisher) {
  struct errbuf err;
  if (!publisher->config)
    return INT64_MAX;
  enum status status = facts_refresh(publisher->facts, note_touched, publisher, &err);
  if (status && !publisher->is_failing)
    log_error("publish: %s", err.text);
  publisher->is_failing = status != STATUS_OK;
  if (status)
    return AGAIN_MS; /* with facts that are not known everything would be taken back */
  if (house_now_ms(publisher->links.house) >= publisher->valid_until_ms)
    publisher->is_stale = true;
  if (publisher->is_stale)
    tell(publisher);
  if (publisher->valid_until_ms == INT64_MAX)
    return INT64_MAX;
  int64_t left_ms = publisher->valid_until_ms - house_now_ms(publisher->links.house);
  return left_ms > 0 ? left_ms : 1;
}

/* Under the lock: until woken, or so long; after being woken a little longer, for what comes with it. */
static void wait_for(struct publisher *publisher, int64_t wait_ms) {
  struct timespec due;
  if (wait_ms == INT64_MAX) {
    while (!publisher->is_woken && !publisher->is_stopping)
      pthread_cond_wait(&publisher->wake, &publisher->lock);
  } else {
    int64_t due_ms = mono_now_ms() + wait_ms;
    due = (struct timespec){.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};
    while (!publisher->is_woken && !publisher->is_stopping && mono_now_ms() < due_ms)
      pthread_cond_timedwait(&publisher->wake, &publisher->lock, &due);
  }
  int64_t gathered_ms = mono_now_ms() + GATHER_MS;
  due = (struct timespec){.tv_sec = gathered_ms / 1000, .tv_nsec = gathered_ms % 1000 * 1000000};
  while (publisher->is_woken && !publisher->is_stopping && mono_now_ms() < gathered_ms)
    pthread_cond_timedwait(&publisher->wake, &publisher->lock, &due);
  publisher->is_woken = false;
}

static void *run(void *argument) {
  struct publisher *publisher = argument;
  pthread_mutex_lock(&publisher->lock);
  while (!publisher->is_stopping) {
    char *path = publisher->path, *text = publisher->text;
    size_t length = publisher->length;
    publisher->path = publisher->text = NULL;
    pthread_mutex_unlock(&publisher->lock);
    if (text)
      take_config(publisher, path, text, length);
    free(path);
    free(text);
    int64_t wait_ms = look(publisher);
    pthread_mutex_lock(&publisher->lock);
    if (!publisher->text)
      wait_for(publisher, wait_ms);
  }
  pthread_mutex_unlock(&publisher->lock);
  return NULL;
}

static void set_config(struct publisher *publisher, const char *path, const char *text, size_t length) {
  char *new_text = mem_alloc(length + 1);
  memcpy(new_text, text, length);
  free(publisher->path);
  free(publisher->text);
  publisher->path = mem_strdup(path);
  publisher->text = new_text;
  publisher->length = length;
}

static void release(struct publisher *publisher, bool for_good) {
  drop(publisher->destinations, publisher->count, for_good);
  facts_free(publisher->facts);
  config_free(publisher->config);
  pthread_mutex_destroy(&publisher->lock);
  pthread_cond_destroy(&publisher->wake);
  free(publisher->path);
  free(publisher->text);
  free(publisher);
}

enum status publisher_start(const struct publisher_links *links, const struct config *config, const char *text,
                            size_t length, struct publisher **out, struct errbuf *err) {
  struct publisher *publisher = mem_alloc(sizeof *publisher);
  pthread_condattr_t attributes;
  publisher->links = *links;
  publisher->valid_until_ms = INT64_MAX;
  pthread_mutex_init(&publisher->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&publisher->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  if (config->publish_count)
    set_config(publisher, config->path, text, length);
  if (pthread_create(&publisher->thread, NULL, run, publisher) != 0) {
    release(publisher, false);
    return errbuf_set(err, STATUS_IO, "the publisher's thread cannot be started");
  }
  *out = publisher;
  return STATUS_OK;
}

void publisher_configure(struct publisher *publisher, const char *path, const char *text, size_t length) {
  pthread_mutex_lock(&publisher->lock);
  set_config(publisher, path, text, length);
  publisher->is_woken = true;
  pthread_cond_signal(&publisher->wake);
  pthread_mutex_unlock(&publisher->lock);
}

void publisher_wake(struct publisher *publisher) {
  pthread_mutex_lock(&publisher->lock);
  publisher->is_woken = true;
  pthread_cond_signal(&publisher->wake);
  pthread_mutex_unlock(&publisher->lock);
}

struct json_t *publisher_document(struct publisher *publisher) {
  json_t *rows = value_must(json_array());
  pthread_mutex_lock(&publisher->lock);
  for (size_t i = 0; i < publisher->count; i++)
    json_array_append_new(rows, outlet_document(publisher->destinations[i]->outlet));
  pthread_mutex_unlock(&publisher->lock);
  return value_must(json_pack("{s:o}", "publish", rows));
}

void publisher_stop(struct publisher *publisher, bool for_good) {
  if (!publisher)
    return;
  pthread_mutex_lock(&publisher->lock);
  publisher->is_stopping = true;
  pthread_cond_signal(&publisher->wake);
  pthread_mutex_unlock(&publisher->lock);
  pthread_join(publisher->thread, NULL);
  release(publisher, for_good);
}
