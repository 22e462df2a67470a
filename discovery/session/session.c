#include "discovery/session/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "discovery/session/session_private.h"
#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"

#define GONE_PAUSE_MS                                                                                                  \
  (10 * 60 * 1000)          /* how long a balancer that went without saying until when is not asked again              \
                             */
#define MORE_PAUSE_MS 30000 /* at least, from one look for further balancers to the next */
#define NAMED_MOST 32u

int64_t session_pause_ms(unsigned failures, int64_t base_ms, struct random *random) {
  int64_t most = base_ms;
  for (unsigned i = 0; i < failures && most < SESSION_PAUSE_MOST_MS; i++)
    most *= 2;
  if (most > SESSION_PAUSE_MOST_MS)
    most = SESSION_PAUSE_MOST_MS;
  return random_below(random, (uint32_t)most + 1);
}

int64_t session_unix_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static unsigned count_links(const struct session *session, unsigned states) {
  unsigned count = 0;
  for (const struct link *link = session->links; link; link = link->next)
    count += states >> link->state & 1u;
  return count;
}

#define TAKEN (1u << LINK_NEW | 1u << LINK_LIVE | 1u << LINK_REMOVED)

void session_avoid(struct session *session, const struct finder_target *target, enum avoid_why why, int64_t for_ms) {
  int64_t now = mono_now_ms();
  size_t kept = 0;
  for (size_t i = 0; i < session->avoided_count; i++)
    if (session->avoided[i].until_ms > now && !target_is_same(&session->avoided[i].target, target))
      session->avoided[kept++] = session->avoided[i];
  session->avoided_count = kept;
  if (for_ms <= 0)
    return;
  session->avoided =
      mem_grow(session->avoided, &session->avoided_capacity, session->avoided_count + 1, sizeof *session->avoided);
  session->avoided[session->avoided_count++] =
      (struct avoided){.target = *target, .why = why, .until_ms = now + for_ms};
}

static bool may_try(const struct session *session, const struct finder_target *target) {
  int64_t now = mono_now_ms();
  /* SRV records may be older than the word of a balancer that went, but not than that of one that names it, and any is
   * better than none */
  bool is_back = session->are_named || !count_links(session, 1u << LINK_LIVE | 1u << LINK_MOVING);
  for (size_t i = 0; i < session->avoided_count; i++)
    if (session->avoided[i].until_ms > now && target_is_same(&session->avoided[i].target, target) &&
        !(is_back && session->avoided[i].why == AVOID_LEFT))
      return false;
  for (const struct link *link = session->links; link; link = link->next)
    if (link_is_at(link, target))
      return false;
  return true;
}

static const struct finder_target *next_target(struct session *session) {
  while (session->next_target < session->target_count) {
    const struct finder_target *target = &session->targets[session->next_target++];
    if (may_try(session, target))
      return target;
  }
  return NULL;
}

static void forget_targets(struct session *session) {
  session->target_count = session->next_target = 0;
}

static void look(struct session *session);

static void found(void *context, enum status status, const struct finder_target *targets, size_t count,
                  const char *detail) {
  struct session *session = context;
  session->finder = NULL;
  if (status != STATUS_OK)
    snprintf(session->error, sizeof session->error, "no balancer found: %s", detail[0] ? detail : status_name(status));
  free(session->targets);
  session->targets = mem_array(count ? count : 1, sizeof *targets);
  if (count)
    memcpy(session->targets, targets, count * sizeof *targets);
  session->target_count = count;
  session->next_target = 0;
  session_fill(session);
}

static void wait_for_next_round(struct session *session) {
  int64_t now = mono_now_ms(), soonest = INT64_MAX;
  for (size_t i = 0; i < session->avoided_count; i++)
    if (session->avoided[i].why == AVOID_BUSY && session->avoided[i].until_ms > now &&
        session->avoided[i].until_ms < soonest)
      soonest = session->avoided[i].until_ms;
  int64_t delay;
  if (count_links(session, 1u << LINK_LIVE)) {
    delay = MORE_PAUSE_MS + random_below(&session->random, MORE_PAUSE_MS);
  } else {
    delay = session_pause_ms(session->failures, session->pause_base_ms, &session->random);
    session->failures++;
    /* nobody could be tried since each asked to be left alone for a while */
    if (session->tried == 0 && soonest != INT64_MAX && soonest - now > delay && soonest - now < GONE_PAUSE_MS &&
        !count_links(session, 1u << LINK_MOVING))
      delay = soonest - now + random_below(&session->random, 1000);
  }
  session->is_waiting = true;
  loop_timer_after(session->timer, delay);
}

static void begin_round(void *context) {
  struct session *session = context;
  session->is_waiting = false;
  session->tried = 0;
  json_array_clear(session->leads);
  json_array_append_new(session->leads, json_null());
  json_array_extend(session->leads, session->named);
  look(session);
}

/* Follows the next lead, or waits for the next round. */
static void look(struct session *session) {
  if (session->finder || session->is_waiting || session->is_leaving)
    return;
  if (json_array_size(session->leads) == 0) {
    session_settle(session);
    wait_for_next_round(session);
    return;
  }
  const char *url = json_string_value(json_array_get(session->leads, 0));
  struct session_place place = session->place;
  session->are_named = url != NULL;
  if (url)
    place.url = url;
  session->finder = finder_start(session->loop, &place, &session->random, session->timeout_ms, found, session);
  json_array_remove(session->leads, 0);
}

void session_fill(struct session *session) {
  while (!session->is_leaving && count_links(session, TAKEN) < session->wanted) {
    const struct finder_target *target = next_target(session);
    if (!target) {
      look(session);
      return;
    }
    session->tried++;
    link_act(link_new(session, target));
  }
}

void session_settle(struct session *session) {
  unsigned live = count_links(session, 1u << LINK_LIVE);
  if (session->is_leaving || live == 0)
    return;
  session->failures = 0;
  session->error[0] = '\0';
  bool is_complete = live >= session->wanted;
  bool is_over = !session->finder && session->next_target >= session->target_count &&
                 json_array_size(session->leads) == 0 && !count_links(session, 1u << LINK_NEW);
  unsigned surplus = live > session->wanted ? live - session->wanted : 0;
  for (struct link *link = session->links, *next; link; link = next) {
    next = link->next;
    if (link->state == LINK_MOVING && (is_complete || is_over)) {
      link_leave(link);
    } else if (link->state == LINK_LIVE && surplus) {
      surplus--;
      link_leave(link);
    }
  }
}

/* 0 to 65535, or otherwise. */
static uint16_t read_share(const json_t *one, const char *key, uint16_t otherwise) {
  const json_t *value = json_object_get(one, key);
  json_int_t number = json_integer_value(value);
  return json_is_integer(value) && number >= 0 && number <= UINT16_MAX ? (uint16_t)number : otherwise;
}

void session_name_others(struct session *session, const json_t *balancers) {
  struct finder_target rows[NAMED_MOST]; /* host: the URL */
  size_t i, count = 0;
  json_t *one;
  json_array_foreach(balancers, i, one) {
    const char *url = json_string_value(json_object_get(one, "url"));
    if (count == NAMED_MOST || !url || strlen(url) >= sizeof rows[count].host)
      continue;
    rows[count] =
        (struct finder_target){.priority = read_share(one, "priority", 0), .weight = read_share(one, "weight", 1)};
    memcpy(rows[count++].host, url, strlen(url) + 1);
  }
  if (count == 0)
    return;
  /* each resource in an order of its own, or all of them would go to the same balancer */
  finder_order(rows, count, &session->random);
  json_array_clear(session->named);
  for (i = 0; i < count; i++)
    json_array_append_new(session->named, value_text(rows[i].host));
}

void session_move(struct session *session, struct link *link, const json_t *directive) {
  if (link->state != LINK_LIVE || session->is_leaving)
    return;
  link->state = LINK_MOVING;
  link->moving_ms = mono_now_ms();
  int64_t until = clock_parse_utc(json_string_value(json_object_get(directive, "until_at")));
  int64_t away_ms = until ? until - session_unix_ms() : GONE_PAUSE_MS;
  session_avoid(session, &link->target, AVOID_LEFT, away_ms > 0 ? away_ms : 1);
  session_name_others(session, json_object_get(directive, "balancers"));
  /* those that it names first; what was found earlier may name it again */
  finder_cancel(session->finder);
  session->finder = NULL;
  loop_timer_stop(session->timer);
  session->is_waiting = false;
  session->failures = 0;
  session->tried = 0;
  forget_targets(session);
  json_array_clear(session->leads);
  json_array_extend(session->leads, session->named);
  json_array_append_new(session->leads, json_null());
  session_fill(session);
}

static char *copy(const char *text) {
  return text ? mem_strdup(text) : NULL;
}

struct session *session_new(struct loop *loop, const struct session_options *options,
                            const struct session_events *events, void *context) {
  assert(options->id && options->registration && options->balancers && options->timeout_ms > 0);
  struct session *session = mem_alloc(sizeof *session);
  session->loop = loop;
  session->client = http_client_new(loop);
  random_seed_system(&session->random);
  session->events = *events;
  session->context = context;
  session->id = mem_strdup(options->id);
  session->url = copy(options->place.url);
  session->domain = copy(options->place.domain);
  session->token = copy(options->token);
  session->ca = copy(options->ca);
  session->certificate = copy(options->certificate);
  session->key = copy(options->key);
  size_t servers = options->place.server_count;
  session->servers = mem_array(servers ? servers : 1, sizeof *session->servers);
  for (size_t i = 0; i < servers; i++)
    session->servers[i] = options->place.servers[i];
  session->place = (struct session_place){.url = session->url,
                                          .domain = session->domain,
                                          .is_multicast = options->place.is_multicast,
                                          .servers = session->servers,
                                          .server_count = servers};
  session->wanted = options->balancers;
  session->timeout_ms = options->timeout_ms;
  session->pause_base_ms = options->pause_base_ms ? options->pause_base_ms : SESSION_PAUSE_BASE_MS;
  session->registration = json_incref(options->registration);
  session->named = value_must(json_array());
  session->leads = value_must(json_array());
  session->timer = loop_timer_new(loop, begin_round, session);
  session->is_waiting = true;
  loop_timer_after(session->timer, 0);
  return session;
}

void session_free(struct session *session) {
  if (!session)
    return;
  finder_cancel(session->finder);
  while (session->links)
    link_drop(session->links);
  http_client_free(session->client);
  loop_timer_free(session->timer);
  json_decref(session->registration);
  json_decref(session->named);
  json_decref(session->leads);
  free(session->targets);
  free(session->avoided);
  free(session->servers);
  free(session->id);
  free(session->url);
  free(session->domain);
  if (session->token)
    explicit_bzero(session->token, strlen(session->token));
  free(session->token);
  free(session->ca);
  free(session->certificate);
  free(session->key);
  free(session);
}

void session_report_now(struct session *session) {
  for (struct link *link = session->links; link; link = link->next)
    if (link->state == LINK_LIVE || link->state == LINK_MOVING) {
      link->must_report = link->request != REQUEST_NONE;
      if (!link->must_report)
        loop_timer_after(link->timer, 0);
    }
}

void session_set_registration(struct session *session, json_t *registration) {
  json_incref(registration);
  json_decref(session->registration);
  session->registration = registration;
  for (struct link *link = session->links; link; link = link->next)
    link_register(link);
}

void session_set_token(struct session *session, const char *token) {
  free(session->token);
  session->token = copy(token);
}

static void tell_end(void *context) {
  struct session *session = context;
  if (session->events.ended)
    session->events.ended(session->context, session->serve_until_ms);
}

void session_check_end(struct session *session) {
  if (!session->is_leaving || session->has_ended || count_links(session, 1u << LINK_LEAVING))
    return;
  session->has_ended = true;
  /* from the loop, so that the owner may free the session there */
  loop_timer_free(session->timer);
  session->timer = loop_timer_new(session->loop, tell_end, session);
  loop_timer_after(session->timer, 0);
}

void session_leave(struct session *session) {
  if (session->is_leaving)
    return;
  session->is_leaving = true;
  finder_cancel(session->finder);
  session->finder = NULL;
  loop_timer_stop(session->timer);
  for (struct link *link = session->links, *next; link; link = next) {
    next = link->next;
    link_leave(link);
  }
  session_check_end(session);
}

enum status session_notice(struct session *session, const char *signature, const char *body, size_t size,
                           struct errbuf *err) {
  struct link *from = NULL;
  enum status status = errbuf_set(err, STATUS_FORBIDDEN, "no balancer of ours signed it");
  for (struct link *link = session->links; link && !from; link = link->next) {
    if (!link->notice_key[0] || (link->state != LINK_LIVE && link->state != LINK_MOVING))
      continue;
    status = notice_verify(link->notice_key, session_unix_ms() / 1000, signature, body, size, err);
    if (status == STATUS_OK)
      from = link;
  }
  if (!from)
    return status;
  json_t *notice = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
  const char *kind = json_string_value(json_object_get(notice, "kind"));
  const char *id = json_string_value(json_object_get(notice, "id"));
  if (!kind || !id || strcmp(id, session->id) != 0)
    status = errbuf_set(err, STATUS_INVALID, "it is no notice for \"%s\"", session->id);
  else if (strcmp(kind, "leave") == 0)
    session_move(session, from, notice);
  json_decref(notice);
  return status;
}

bool session_wants(const struct session *session, const char *metric) {
  bool is_told = false;
  for (const struct link *link = session->links; link; link = link->next) {
    is_told |= link->has_wanted;
    for (char **wanted = link->wanted; wanted && *wanted; wanted++)
      if (strcmp(*wanted, metric) == 0)
        return true;
  }
  return !is_told;
}

bool session_balancer(const struct session *session, struct addr *out) {
  for (const struct link *link = session->links; link; link = link->next)
    if (link->state == LINK_LIVE || link->state == LINK_MOVING) {
      *out = link->target.address;
      return true;
    }
  return false;
}

static json_t *link_document(const struct link *link) {
  char address[ADDR_TEXT_SIZE];
  int64_t now = mono_now_ms();
  json_t *document =
      json_pack("{s:o, s:s, s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "balancer", value_text(link->name), "address",
                addr_format_port(&link->target.address, address), "tls", link->target.is_tls, "state",
                link_state_name(link->state), "epoch", (json_int_t)link->epoch, "sequence", (json_int_t)link->sequence,
                "renewals", (json_int_t)link->renewals, "renewed_age_s", value_age(link->good_ms, now), "renew_in_s",
                value_seconds(link->renew_ms), "error", value_text_or_null(link->error));
  return value_must(document);
}

json_t *session_document(const struct session *session) {
  json_t *balancers = value_must(json_array());
  for (const struct link *link = session->links; link; link = link->next)
    json_array_append_new(balancers, link_document(link));
  const char *state = session->is_leaving                        ? "leaving"
                      : count_links(session, 1u << LINK_LIVE)    ? "registered"
                      : count_links(session, 1u << LINK_MOVING)  ? "moving"
                      : count_links(session, 1u << LINK_REMOVED) ? "removed"
                      : count_links(session, 1u << LINK_NEW)     ? "registering"
                                                                 : "looking";
  return value_must(json_pack("{s:o, s:s, s:o, s:o}", "id", value_text(session->id), "state", state, "balancers",
                              balancers, "error", value_text_or_null(session->error)));
}
