#include "discovery/session/session_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"

#define ANSWER_MOST 65536u
#define RENEW_LEAST_MS 10
#define RENEW_STANDARD_MS 10000
#define UNLIMITED_LEASE_MS 60000 /* how an unlimited lease counts when it is judged whether a balancer is lost */
#define REQUEST_LEAST_MS 500
#define RETRY_LEAST_MS 50
#define DEREGISTER_TRIES 3u
#define DEREGISTER_PAUSE_MS 300
#define REPORT_NAMES_MOST 64u

static void act(void *context);

const char *link_state_name(enum link_state state) {
  static const char *const names[] = {
      [LINK_NEW] = "registering", [LINK_LIVE] = "registered", [LINK_MOVING] = "moving",
      [LINK_LEAVING] = "leaving", [LINK_REMOVED] = "removed",
  };
  return names[state];
}

bool target_is_same(const struct finder_target *a, const struct finder_target *b) {
  return addr_equal(&a->address, &b->address) || (a->address.port == b->address.port && strcmp(a->host, b->host) == 0);
}

bool link_is_at(const struct link *link, const struct finder_target *target) {
  return target_is_same(&link->target, target);
}

struct link *link_new(struct session *session, const struct finder_target *target) {
  struct link *link = mem_alloc(sizeof *link);
  link->session = session;
  link->target = *target;
  snprintf(link->name, sizeof link->name, "%s:%u", target->host, target->address.port);
  link->timer = loop_timer_new(session->loop, act, link);
  link->renew_ms = RENEW_STANDARD_MS;
  struct link **end = &session->links;
  while (*end)
    end = &(*end)->next;
  *end = link;
  return link;
}

static void forget_wanted(struct link *link) {
  for (char **name = link->wanted; name && *name; name++)
    free(*name);
  free(link->wanted);
  link->wanted = NULL;
  link->has_wanted = false;
}

void link_drop(struct link *link) {
  struct link **at = &link->session->links;
  while (*at != link)
    at = &(*at)->next;
  *at = link->next;
  if (link->transfer)
    http_client_cancel(link->transfer);
  loop_timer_free(link->timer);
  forget_wanted(link);
  explicit_bzero(link->notice_key, sizeof link->notice_key);
  free(link);
}

static bool is_registered(const struct link *link) {
  return link->state == LINK_LIVE || link->state == LINK_MOVING;
}

static int64_t lease_of(const struct link *link) {
  return link->lease_ms ? link->lease_ms : UNLIMITED_LEASE_MS;
}

/* link->error says why. */
static void give_up(struct link *link) {
  struct session *session = link->session;
  bool was_registered = is_registered(link);
  char name[sizeof link->name], why[sizeof link->error];
  memcpy(name, link->name, sizeof name);
  memcpy(why, link->error, sizeof why);
  snprintf(session->error, sizeof session->error, "%s: %s", name, why);
  link_drop(link);
  if (was_registered && session->events.lost)
    session->events.lost(session->context, name, why);
  else
    log_debug("balancer %s does not take us: %s", name, why);
  session_fill(session);
}

/* What an answer says of why, for people: the problem's detail. */
static void explain(struct link *link, const struct http_reply *reply, const json_t *body) {
  if (reply->outcome != NET_ANSWERED) {
    snprintf(link->error, sizeof link->error, "%s%s%s", net_outcome_text(reply->outcome), reply->detail[0] ? ": " : "",
             reply->detail);
    return;
  }
  const char *detail = json_string_value(json_object_get(body, "detail"));
  if (!detail)
    detail = json_string_value(json_object_get(body, "title"));
  const json_t *first = json_array_get(json_object_get(body, "errors"), 0);
  const char *pointer = json_string_value(json_object_get(first, "pointer"));
  const char *wrong = json_string_value(json_object_get(first, "detail"));
  snprintf(link->error, sizeof link->error, "%d%s%s%s%s%s%s", reply->status, detail ? " " : "", detail ? detail : "",
           pointer ? "; " : "", pointer ? pointer : "", wrong ? ": " : "", wrong ? wrong : "");
}

static void tell_refused(struct link *link, const struct http_reply *reply) {
  struct session *session = link->session;
  char detail[sizeof link->name + sizeof link->error + 8];
  snprintf(detail, sizeof detail, "%s: %s", link->name, link->error);
  if (session->events.refused)
    session->events.refused(session->context, (unsigned)reply->status, detail);
}

static void remove_for_good(struct link *link, const struct http_reply *reply) {
  link->state = LINK_REMOVED;
  loop_timer_stop(link->timer);
  forget_wanted(link);
  link->notice_key[0] = '\0';
  tell_refused(link, reply);
}

static int64_t retry_after_ms(const struct http_reply *reply) {
  return reply->retry_after_s ? (int64_t)reply->retry_after_s * 1000 : 1000;
}

static bool is_busy(const struct http_reply *reply) {
  return reply->outcome == NET_ANSWERED && (reply->status == 429 || reply->status == 503);
}

static bool is_good(const struct http_reply *reply) {
  return reply->outcome == NET_ANSWERED && reply->status >= 200 && reply->status < 300;
}

/* An answer about us, and one that will be the same the next time. */
static bool is_refusal(const struct http_reply *reply) {
  return reply->outcome == NET_ANSWERED && reply->status >= 400 && reply->status < 500 && reply->status != 408 &&
         reply->status != 429;
}

static void retry(struct link *link, int64_t least_ms) {
  struct session *session = link->session;
  int64_t lost_in = link->good_ms + lease_of(link) / 2 - mono_now_ms();
  if (lost_in <= 0) {
    give_up(link);
    return;
  }
  int64_t delay = session_pause_ms(link->failures++, session->pause_base_ms, &session->random);
  delay = delay < RETRY_LEAST_MS ? RETRY_LEAST_MS : delay;
  delay = delay < least_ms ? least_ms : delay;
  loop_timer_after(link->timer, delay < lost_in ? delay : lost_in + 1);
}

static void take_renew_in(struct link *link, const json_t *lease) {
  const json_t *renew_in = json_object_get(lease, "renew_in_s");
  if (json_is_number(renew_in)) {
    double ms = json_number_value(renew_in) * 1000.0;
    link->renew_ms = ms < RENEW_LEAST_MS ? RENEW_LEAST_MS : ms > 86400000.0 ? 86400000 : (int64_t)ms;
  }
}

static void take_wanted(struct link *link, const json_t *report) {
  if (!json_is_array(report))
    return;
  forget_wanted(link);
  link->has_wanted = true;
  size_t size = json_array_size(report) < REPORT_NAMES_MOST ? json_array_size(report) : REPORT_NAMES_MOST, count = 0;
  link->wanted = mem_array(size + 1, sizeof *link->wanted);
  for (size_t i = 0; i < size; i++)
    if (json_is_string(json_array_get(report, i)))
      link->wanted[count++] = mem_strdup(json_string_value(json_array_get(report, i)));
}

/* What registration and renewal have in common. */
static void take_answer(struct link *link, const json_t *body) {
  struct session *session = link->session;
  const json_t *directive = json_object_get(body, "directive");
  const char *kind = json_string_value(json_object_get(directive, "kind"));
  take_wanted(link, json_object_get(body, "report"));
  session_name_others(session, json_object_get(body, "balancers"));
  if (kind && strcmp(kind, "leave") == 0) {
    session_move(session, link, directive);
  } else if (link->state == LINK_MOVING && json_is_null(directive) && link->asked_ms > link->moving_ms) {
    log_info("balancer %s stays after all", link->name);
    link->state = LINK_LIVE;
    session_avoid(session, &link->target, AVOID_LEFT, 0);
    session_settle(session);
  }
}

/* A little earlier than asked for, so that many do not keep step. */
static void wait_for_renewal(struct link *link) {
  int64_t early = random_below(&link->session->random, (uint32_t)(link->renew_ms / 10) + 1);
  loop_timer_after(link->timer, link->must_report ? 0 : link->renew_ms - early);
  link->must_report = false;
}

static bool take_registration(struct link *link, const json_t *body) {
  const json_t *lease = json_object_get(body, "lease"), *epoch = json_object_get(body, "epoch");
  if (!json_is_object(lease) || !json_is_integer(epoch))
    return false;
  link->epoch = (uint64_t)json_integer_value(epoch);
  link->sequence = (uint64_t)json_integer_value(json_object_get(lease, "sequence"));
  double lease_s = json_number_value(json_object_get(body, "lease_s"));
  link->lease_ms = lease_s > 0 && lease_s < 1e9 ? (int64_t)(lease_s * 1000.0) : 0;
  const char *key = json_string_value(json_object_get(body, "notice_key"));
  snprintf(link->notice_key, sizeof link->notice_key, "%s", key ? key : "");
  take_renew_in(link, lease);
  link->good_ms = mono_now_ms();
  link->failures = 0;
  link->error[0] = '\0';
  link->must_register = false;
  return true;
}

static void registered(struct link *link, const json_t *body) {
  struct session *session = link->session;
  bool is_new = link->state == LINK_NEW, is_first = !session->was_registered;
  if (is_new)
    link->state = LINK_LIVE;
  session->was_registered = true;
  if (is_new && session->events.registered)
    session->events.registered(session->context, link->name, is_first);
  /* the load is told at once, since a balancer that knows none of it can only guess; but not in a circle */
  link->must_report = link->unknown < 2 && session->events.report != NULL;
  wait_for_renewal(link);
  take_answer(link, body);
  session_settle(session);
}

static void answered_register(struct link *link, const struct http_reply *reply, const json_t *body) {
  struct session *session = link->session;
  if (is_good(reply) && take_registration(link, body)) {
    registered(link, body);
    return;
  }
  explain(link, reply, body);
  if (is_good(reply))
    snprintf(link->error, sizeof link->error, "its answer is not that of a balancer");
  if (reply->outcome == NET_ANSWERED && reply->status == 410) {
    remove_for_good(link, reply);
    return;
  }
  if (is_refusal(reply))
    tell_refused(link, reply);
  if (is_registered(link) && is_refusal(reply) && link->unknown == 0) {
    /* what was registered before stands, and is renewed */
    link->register_due_ms = mono_now_ms() + SESSION_REFUSED_PAUSE_MS;
    wait_for_renewal(link);
  } else if (is_registered(link) && !is_refusal(reply)) {
    retry(link, is_busy(reply) ? retry_after_ms(reply) : 0);
  } else {
    if (is_busy(reply) || is_refusal(reply) || is_good(reply))
      session_avoid(session, &link->target, AVOID_BUSY,
                    is_busy(reply) ? retry_after_ms(reply) : SESSION_REFUSED_PAUSE_MS);
    give_up(link);
  }
}

static void register_again(struct link *link) {
  struct session *session = link->session;
  log_info("balancer %s: %s: registering again", link->name, link->error);
  link->must_register = true;
  link->register_due_ms = 0;
  int64_t pause =
      link->unknown++ ? session_pause_ms(link->unknown, session->pause_base_ms, &session->random) + RETRY_LEAST_MS : 0;
  loop_timer_after(link->timer, pause);
}

static void answered_status(struct link *link, const struct http_reply *reply, const json_t *body) {
  if (is_good(reply)) {
    link->good_ms = mono_now_ms();
    link->failures = link->unknown = 0;
    link->renewals++;
    if (!link->is_bare)
      link->error[0] = '\0';
    take_renew_in(link, body);
    wait_for_renewal(link);
    take_answer(link, body);
    return;
  }
  explain(link, reply, body);
  int status = reply->outcome == NET_ANSWERED ? reply->status : 0;
  if (status == 410) {
    remove_for_good(link, reply);
  } else if (status == 404 || status == 409) {
    register_again(link);
  } else if ((status == 400 || status == 413 || status == 422) && !link->is_bare) {
    link->is_bare = true;
    tell_refused(link, reply);
    loop_timer_after(link->timer, 0);
  } else if (is_refusal(reply)) {
    tell_refused(link, reply);
    session_avoid(link->session, &link->target, AVOID_BUSY, SESSION_REFUSED_PAUSE_MS);
    give_up(link);
  } else {
    retry(link, is_busy(reply) ? retry_after_ms(reply) : 0);
  }
}

static void answered_deregister(struct link *link, const struct http_reply *reply, const json_t *body) {
  struct session *session = link->session;
  bool is_done = is_good(reply) || is_refusal(reply);
  if (!is_done && ++link->failures < DEREGISTER_TRIES) {
    loop_timer_after(link->timer, DEREGISTER_PAUSE_MS);
    return;
  }
  int64_t until = clock_parse_utc(json_string_value(json_object_get(body, "clients_until_at")));
  if (!is_done && link->good_ms) /* it was not told, so our lease runs on */
    until = session_unix_ms() + link->good_ms + lease_of(link) - mono_now_ms();
  if (until > session->serve_until_ms)
    session->serve_until_ms = until;
  link_drop(link);
  session_check_end(session);
  session_fill(session);
}

static void answered(void *context, const struct http_reply *reply) {
  struct link *link = context;
  enum link_request request = link->request;
  link->transfer = NULL;
  link->request = REQUEST_NONE;
  json_t *body = reply->outcome == NET_ANSWERED && reply->body_length
                     ? json_loadb(reply->body, reply->body_length, JSON_REJECT_DUPLICATES, NULL)
                     : NULL;
  if (request == REQUEST_REGISTER)
    answered_register(link, reply, body);
  else if (request == REQUEST_STATUS)
    answered_status(link, reply, body);
  else
    answered_deregister(link, reply, body);
  json_decref(body);
}

static void send_request(struct link *link, enum link_request kind, const char *method, const char *ending,
                         json_t *document) {
  struct session *session = link->session;
  char *body = document ? value_dump(document) : NULL;
  char *path = mem_format("%s/resources/%s%s", link->target.path, session->id, ending);
  char *bearer = session->token ? mem_format("Authorization: Bearer %s", session->token) : NULL;
  const char *headers[4] = {NULL};
  size_t count = 0;
  headers[count++] = "Accept: application/json, application/problem+json";
  if (bearer)
    headers[count++] = bearer;
  if (body)
    headers[count++] = "Content-Type: application/json";
  int64_t timeout_ms = session->timeout_ms, share_ms = lease_of(link) / 4;
  /* a short lease must see several tries */
  if (is_registered(link) && share_ms < timeout_ms)
    timeout_ms = share_ms > REQUEST_LEAST_MS ? share_ms : REQUEST_LEAST_MS;
  const struct http_request request = {.method = method,
                                       .address = link->target.address,
                                       .host = link->target.host,
                                       .path = path,
                                       .timeout_ms = timeout_ms,
                                       .body_most = ANSWER_MOST,
                                       .headers = headers,
                                       .body = body,
                                       .body_size = body ? strlen(body) : 0,
                                       .is_tls = link->target.is_tls,
                                       .ca = session->ca,
                                       .certificate = session->certificate,
                                       .key = session->key,
                                       .may_reuse = true};
  link->request = kind;
  link->asked_ms = mono_now_ms();
  link->transfer = http_client_start(session->client, &request, answered, link);
  if (bearer)
    explicit_bzero(bearer, strlen(bearer));
  free(bearer);
  free(path);
  free(body);
}

static void send_status(struct link *link) {
  struct session *session = link->session;
  json_t *status = session->events.report ? session->events.report(session->context) : NULL;
  if (!status)
    status = value_must(json_object());
  if (link->is_bare) {
    json_t *bare = value_must(json_object());
    if (json_object_get(status, "state"))
      json_object_set(bare, "state", json_object_get(status, "state"));
    json_decref(status);
    status = bare;
  }
  json_object_set_new(status, "epoch", value_must(json_integer((json_int_t)link->epoch)));
  json_object_set_new(status, "sequence", value_must(json_integer((json_int_t)++link->sequence)));
  send_request(link, REQUEST_STATUS, "PUT", "/status", status);
}

void link_act(struct link *link) {
  if (link->request != REQUEST_NONE || link->state == LINK_REMOVED)
    return;
  bool may_register = link->must_register && mono_now_ms() >= link->register_due_ms;
  if (link->state == LINK_LEAVING)
    send_request(link, REQUEST_DEREGISTER, "DELETE", link->was_sent_away ? "?moved=1" : "", NULL);
  else if (link->state == LINK_NEW || may_register)
    send_request(link, REQUEST_REGISTER, "PUT", "", json_incref(link->session->registration));
  else
    send_status(link);
}

static void act(void *context) {
  link_act(context);
}

void link_register(struct link *link) {
  if (link->state == LINK_LEAVING || link->state == LINK_REMOVED)
    return;
  if (link->request == REQUEST_REGISTER) { /* it carries the old one */
    http_client_cancel(link->transfer);
    link->transfer = NULL;
    link->request = REQUEST_NONE;
  }
  link->must_register = link->state != LINK_NEW;
  link->register_due_ms = 0;
  link->is_bare = false;
  link->must_report = link->request != REQUEST_NONE;
  if (!link->must_report)
    loop_timer_after(link->timer, 0);
}

void link_leave(struct link *link) {
  if (link->state == LINK_LEAVING)
    return;
  bool is_known = link->state != LINK_REMOVED;
  if (link->transfer)
    http_client_cancel(link->transfer);
  link->transfer = NULL;
  link->request = REQUEST_NONE;
  if (!is_known) {
    link_drop(link);
    return;
  }
  link->was_sent_away = link->state == LINK_MOVING && !link->session->is_leaving;
  link->state = LINK_LEAVING;
  link->failures = 0;
  loop_timer_after(link->timer, 0);
}
