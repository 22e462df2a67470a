#include "discovery/balancers/parent.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <jansson.h>

#include "discovery/balancers/parent_report.h"
#include "discovery/session/session.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/base/value.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"
#include "gslb/net/loop.h"

#define LOOK_MS 1000
#define LEAVE_MOST_MS 2000
#define REQUEST_MOST_MS 3000

struct link { /* to one parent */
  struct parents *parents;
  const struct config_parent *config; /* of the parents' configuration; NULL while it leaves */
  char *id, *token;
  char *place; /* for the log: domain or URL */
  struct session *session;
  struct parent_tally *tally;
  json_t *registration;
  struct loop_timer *deadline; /* while it leaves */
  LIST_ENTRY(link) entry;
};
LIST_HEAD(link_list, link);

struct parents {
  struct parent_links links;
  pthread_t thread;
  int wake; /* eventfd */

  /* the thread's alone: */
  struct loop *loop;
  struct loop_poll *woken;
  struct loop_timer *look;
  struct config *config;
  struct facts *facts; /* NULL without parents */
  struct link_list staying, leaving;
  bool has_changes; /* in the facts, since the path was made */
  bool is_ending;
  bool has_told_facts; /* that they cannot be read */

  pthread_mutex_t lock; /* for what follows */
  char *path, *text;    /* the next configuration; NULL: none waits */
  size_t length;
  json_t *shown;
  bool is_stopping;
  bool is_for_good;
};

static struct parent_sources sources_of(const struct parents *parents) {
  return (struct parent_sources){parents->config, parents->facts, parents->links.durable, parents->links.board};
}

static void note_change(void *context, size_t service) {
  (void)service;
  struct parents *parents = context;
  parents->has_changes = true;
}

static void refresh_facts(struct parents *parents) {
  struct errbuf err = {""};
  if (facts_refresh(parents->facts, note_change, parents, &err) == STATUS_OK) {
    parents->has_told_facts = false;
    return;
  }
  if (!parents->has_told_facts)
    log_warning("parents are told what was known before: %s", err.text);
  parents->has_told_facts = true;
}

/* What a session asks and tells */

static json_t *make_report(void *context) {
  struct link *link = context;
  struct parents *parents = link->parents;
  if (!link->config)
    return value_must(json_pack("{s:s, s:s}", "state", "drain", "reason", "it leaves"));
  refresh_facts(parents);
  struct parent_sources sources = sources_of(parents);
  return parent_report(&sources, link->config, link->tally, house_now_ms(parents->links.house));
}

static void registered(void *context, const char *balancer, bool is_first) {
  const struct link *link = context;
  if (is_first)
    log_info("parent %s: registered as %s with %s", link->place, link->id, balancer);
}

static void lost(void *context, const char *balancer, const char *why) {
  const struct link *link = context;
  log_warning("parent %s: %s is lost: %s", link->place, balancer, why);
}

static void refused(void *context, unsigned status, const char *detail) {
  const struct link *link = context;
  log_error("parent %s: the registration of %s is refused with %u: %s", link->place, link->id, status, detail);
}

static void link_free(struct link *link) {
  struct parents *parents = link->parents;
  LIST_REMOVE(link, entry);
  session_free(link->session);
  loop_timer_free(link->deadline);
  parent_tally_free(link->tally);
  json_decref(link->registration);
  free(link->id);
  free(link->token);
  free(link->place);
  free(link);
  if (parents->is_ending && LIST_EMPTY(&parents->leaving))
    loop_stop(parents->loop);
}

static void ended(void *context, int64_t serve_until_unix_ms) {
  (void)serve_until_unix_ms;
  struct link *link = context;
  if (!link->config)
    link_free(link);
}

static void took_too_long(void *context) {
  struct link *link = context;
  log_warning("parent %s: not told that %s leaves; the lease will end", link->place, link->id);
  link_free(link);
}

static const struct session_events events = {.report = make_report,
                                             .registered = registered,
                                             .lost = lost,
                                             .ended = ended,
                                             .refused = refused};

/* Links from the configuration */

static char *place_of(const struct config_parent *parent) {
  char text[ADDR_TEXT_SIZE];
  if (parent->domain)
    return mem_strdup(parent->domain);
  bool is_six = parent->address.family == 6;
  return mem_format("%s://%s%s%s:%u", parent->is_tls ? "https" : "http", is_six ? "[" : "",
                    addr_format(&parent->address, text), is_six ? "]" : "", parent->address.port);
}

static void link_start(struct parents *parents, const struct config_parent *config, json_t *path) {
  struct link *link = mem_alloc(sizeof *link);
  link->parents = parents;
  link->config = config;
  link->id = mem_strdup(config->id);
  link->token = config->token ? mem_strdup(config->token) : NULL;
  link->place = place_of(config);
  link->tally = parent_tally_new();
  link->registration = parent_registration(config, path);
  LIST_INSERT_HEAD(&parents->staying, link, entry);
  struct session_options options = {.id = link->id,
                                    .registration = link->registration,
                                    .place = {.domain = config->domain, .url = config->domain ? NULL : link->place},
                                    .token = link->token,
                                    .ca = config->ca,
                                    .balancers = 1,
                                    .timeout_ms = REQUEST_MOST_MS};
  link->session = session_new(parents->loop, &options, &events, link);
}

static void link_leave(struct link *link) {
  struct parents *parents = link->parents;
  LIST_REMOVE(link, entry);
  LIST_INSERT_HEAD(&parents->leaving, link, entry);
  link->config = NULL;
  link->deadline = loop_timer_new(parents->loop, took_too_long, link);
  loop_timer_after(link->deadline, LEAVE_MOST_MS);
  session_leave(link->session); /* may end it, and the link, at once */
}

static bool is_same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether the same session serves; then only what is registered may be another. */
static bool is_same_parent(const struct config_parent *a, const struct config_parent *b) {
  return is_same_text(a->domain, b->domain) && addr_equal(&a->address, &b->address) && a->is_tls == b->is_tls &&
         is_same_text(a->ca, b->ca) && strcmp(a->id, b->id) == 0;
}

static void link_go_on(struct link *link, const struct config_parent *config) {
  link->config = config;
  if (is_same_text(link->token, config->token))
    return;
  free(link->token);
  link->token = config->token ? mem_strdup(config->token) : NULL;
  session_set_token(link->session, link->token);
}

static const struct config_parent *find_same(const struct config *config, const struct link *link, bool *is_taken) {
  for (size_t i = 0; i < config->parent_count; i++) {
    if (is_taken[i] || !is_same_parent(&config->parents[i], link->config))
      continue;
    is_taken[i] = true;
    return &config->parents[i];
  }
  return NULL;
}

/* Registers anew where the path or the configuration made another registration. */
static void update_registrations(struct parents *parents, json_t *path) {
  struct link *link;
  LIST_FOREACH(link, &parents->staying, entry) {
    json_t *registration = parent_registration(link->config, path);
    if (json_equal(registration, link->registration)) {
      json_decref(registration);
      continue;
    }
    json_decref(link->registration);
    link->registration = registration;
    session_set_registration(link->session, registration);
  }
}

static void take_config(struct parents *parents, struct config *config) {
  bool *is_taken = mem_array(config->parent_count, sizeof *is_taken);
  struct link *link = LIST_FIRST(&parents->staying), *next;
  for (; link; link = next) {
    next = LIST_NEXT(link, entry);
    const struct config_parent *same = find_same(config, link, is_taken);
    if (same)
      link_go_on(link, same);
    else
      link_leave(link);
  }
  facts_free(parents->facts);
  parents->facts = NULL;
  config_free(parents->config);
  parents->config = config;
  if (config->parent_count > 0) {
    parents->facts = facts_new(config, parents->links.durable, parents->links.live);
    refresh_facts(parents);
    parents->has_changes = false;
    struct parent_sources sources = sources_of(parents);
    json_t *path = parent_path(&sources);
    update_registrations(parents, path);
    for (size_t i = 0; i < config->parent_count; i++)
      if (!is_taken[i])
        link_start(parents, &config->parents[i], path);
    json_decref(path);
    loop_timer_after(parents->look, 0);
  }
  free(is_taken);
}

/* The thread */

static void show(struct parents *parents) {
  json_t *rows = value_must(json_array());
  struct link *link;
  LIST_FOREACH(link, &parents->staying, entry) {
    char text[ADDR_TEXT_SIZE];
    const struct config_parent *config = link->config;
    json_t *address = config->domain ? json_null() : value_text(addr_format_port(&config->address, text));
    json_array_insert_new(rows, 0,
                          value_must(json_pack("{s:o, s:o, s:o, s:o}", "id", value_text(link->id), "domain",
                                               value_text_or_null(config->domain), "address", address, "session",
                                               value_must(session_document(link->session)))));
  }
  json_t *shown = value_must(json_pack("{s:o}", "parents", rows));
  pthread_mutex_lock(&parents->lock);
  json_t *before = parents->shown;
  parents->shown = shown;
  pthread_mutex_unlock(&parents->lock);
  json_decref(before);
}

static void look(void *context) {
  struct parents *parents = context;
  if (!parents->facts) {
    show(parents);
    return;
  }
  refresh_facts(parents);
  if (parents->has_changes) {
    parents->has_changes = false;
    struct parent_sources sources = sources_of(parents);
    json_t *path = parent_path(&sources);
    update_registrations(parents, path);
    json_decref(path);
  }
  show(parents);
  loop_timer_after(parents->look, LOOK_MS);
}

static void end(struct parents *parents) {
  struct link *link = LIST_FIRST(&parents->staying), *next;
  loop_timer_stop(parents->look);
  for (; link; link = next) {
    next = LIST_NEXT(link, entry);
    if (parents->is_for_good)
      link_leave(link);
    else
      link_free(link);
  }
  parents->is_ending = true;
  if (LIST_EMPTY(&parents->leaving))
    loop_stop(parents->loop);
}

static void was_woken(void *context, int events_seen) {
  (void)events_seen;
  struct parents *parents = context;
  eventfd_t count;
  eventfd_read(parents->wake, &count);
  pthread_mutex_lock(&parents->lock);
  char *path = parents->path, *text = parents->text;
  size_t length = parents->length;
  bool is_stopping = parents->is_stopping;
  parents->path = parents->text = NULL;
  pthread_mutex_unlock(&parents->lock);
  if (text && !is_stopping) {
    struct problems problems = {0};
    struct config *config = config_parse(path, text, length, &problems);
    if (config) {
      take_config(parents, config);
    } else {
      char *why = problems_format(&problems);
      log_error("parents: the new configuration is not understood: %s", why);
      free(why);
    }
    problems_release(&problems);
    look(parents);
  }
  free(path);
  free(text);
  if (is_stopping && !parents->is_ending)
    end(parents);
}

static void *run(void *context) {
  struct parents *parents = context;
  loop_poll_watch(parents->woken, LOOP_READABLE);
  loop_run(parents->loop);
  return NULL;
}

static void parents_free(struct parents *parents) {
  loop_poll_free(parents->woken);
  loop_timer_free(parents->look);
  loop_free(parents->loop);
  if (parents->wake >= 0)
    close(parents->wake);
  facts_free(parents->facts);
  config_free(parents->config);
  pthread_mutex_destroy(&parents->lock);
  json_decref(parents->shown);
  free(parents->path);
  free(parents->text);
  free(parents);
}

enum status parent_start(const struct parent_links *links, const char *path, const char *text, size_t length,
                         struct parents **out, struct errbuf *err) {
  struct parents *parents = mem_alloc(sizeof *parents);
  parents->links = *links;
  LIST_INIT(&parents->staying);
  LIST_INIT(&parents->leaving);
  pthread_mutex_init(&parents->lock, NULL);
  parents->shown = value_must(json_pack("{s:[]}", "parents"));
  parents->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  int failed = parents->wake < 0 ? errno : 0;
  parents->loop = loop_new();
  parents->look = loop_timer_new(parents->loop, look, parents);
  if (!failed) {
    parents->woken = loop_poll_new(parents->loop, parents->wake, was_woken, parents);
    failed = parents->woken ? 0 : EINVAL;
  }
  if (!failed) {
    parent_configure(parents, path, text, length);
    failed = pthread_create(&parents->thread, NULL, run, parents);
  }
  if (failed) {
    parents_free(parents);
    return errbuf_set(err, STATUS_IO, "parents: %s", strerror(failed));
  }
  *out = parents;
  return STATUS_OK;
}

void parent_configure(struct parents *parents, const char *path, const char *text, size_t length) {
  char *path_copy = mem_strdup(path), *text_copy = mem_alloc(length + 1);
  memcpy(text_copy, text, length);
  pthread_mutex_lock(&parents->lock);
  free(parents->path);
  free(parents->text);
  parents->path = path_copy;
  parents->text = text_copy;
  parents->length = length;
  pthread_mutex_unlock(&parents->lock);
  eventfd_write(parents->wake, 1);
}

json_t *parent_document(struct parents *parents) {
  pthread_mutex_lock(&parents->lock);
  json_t *document = value_must(json_deep_copy(parents->shown));
  pthread_mutex_unlock(&parents->lock);
  return document;
}

void parent_stop(struct parents *parents, bool for_good) {
  if (!parents)
    return;
  pthread_mutex_lock(&parents->lock);
  parents->is_stopping = true;
  parents->is_for_good = for_good;
  pthread_mutex_unlock(&parents->lock);
  eventfd_write(parents->wake, 1);
  pthread_join(parents->thread, NULL);
  parents_free(parents);
}
