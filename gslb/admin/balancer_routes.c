#include "gslb/admin/balancer_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/documents/reading.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/scalar.h"
#include "gslb/net/reply.h"

#define LEAVE_MOST_S (366 * 86400)

#define BALANCERS "the other balancers"

void balancer_routes_own(struct visit *visit) {
  if (visit_has(visit, visit->routes->balancers, BALANCERS))
    reply_json(visit->call, 200, balancers_own(visit->routes->balancers));
}

void balancer_routes_peers(struct visit *visit) {
  if (visit_has(visit, visit->routes->balancers, BALANCERS))
    reply_json(visit->call, 200, balancers_document(visit->routes->balancers));
}

void balancer_routes_published(struct visit *visit) {
  if (visit_has(visit, visit->routes->publisher, "what is published"))
    reply_json(visit->call, 200, publisher_document(visit->routes->publisher));
}

/* Planned absences */

enum status balancer_routes_parse_leave(const json_t *json, int64_t now_ms, struct leave_record *out, json_t **errors) {
  static const char *const known[] = {"at_s", "for_s", "reason", NULL};
  json_t *found = NULL;
  const struct reading body = {json, "", &found};
  double at_s = 0, for_s = 0;
  *out = (struct leave_record){0};
  reading_refuse_others(&body, known);
  reading_number(&body, "at_s", 0, LEAVE_MOST_S, &at_s);
  if (!reading_number(&body, "for_s", 1, LEAVE_MOST_S, &for_s) && !reading_member(&body, "for_s"))
    reading_complain(&body, "for_s", "is missing: how long it is away");
  const char *reason = reading_text(&body, "reason", sizeof out->why - 1);
  if (found) {
    *errors = found;
    return STATUS_RANGE;
  }
  snprintf(out->why, sizeof out->why, "%s", reason ? reason : "");
  out->at_ms = now_ms + (int64_t)(at_s * 1000.0);
  out->until_ms = out->at_ms + (int64_t)(for_s * 1000.0);
  return STATUS_OK;
}

struct leave_errand {
  struct http_call *call;
  struct balancers *balancers;
  struct leave_record leave; /* of a plan that is cancelled at_ms alone */
  struct audit_record audit;
};

static struct leave_errand *errand_new(struct visit *visit, const char *action, const struct leave_record *leave) {
  struct leave_errand *errand = mem_alloc(sizeof *errand);
  char at[32];
  errand->call = visit->call;
  errand->balancers = visit->routes->balancers;
  errand->leave = *leave;
  errand->audit.at_ms = house_now_ms(&view_sources(visit->view)->house);
  visit_who(&visit->principal, errand->audit.who);
  snprintf(errand->leave.who, sizeof errand->leave.who, "%s", errand->audit.who);
  clock_format_utc(leave->at_ms, at, sizeof at);
  snprintf(errand->audit.action, sizeof errand->audit.action, "%s", action);
  snprintf(errand->audit.subject, sizeof errand->audit.subject, "leave %s", at);
  return errand;
}

static enum status apply_plan(void *context, struct store_txn *txn, struct errbuf *err) {
  const struct leave_errand *errand = context;
  enum status status = balancers_plan(txn, &errand->leave, err);
  return status ? status : chronicle_write_audit(txn, &errand->audit, err);
}

static json_t *leave_shown(const struct leave_record *leave) {
  return value_must(json_pack("{s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)leave->at_ms, "at",
                              value_time(leave->at_ms), "until", value_time(leave->until_ms), "who",
                              value_text(leave->who), "why", value_text(leave->why)));
}

static void tell_plan(void *context, enum status status, const struct errbuf *err) {
  struct leave_errand *errand = context;
  if (status) {
    visit_not_stored(errand->call, &errand->audit, status, err);
  } else {
    char place[64];
    snprintf(place, sizeof place, "/v1/admin/leave/%" PRId64, errand->leave.at_ms);
    const char *const headers[] = {"Location", place, NULL};
    balancers_look(errand->balancers);
    log_info("%s: planned by %s, %s", errand->audit.subject, errand->audit.who, errand->audit.detail);
    reply_json_with(errand->call, 201, leave_shown(&errand->leave), headers);
  }
  free(errand);
}

void balancer_routes_plan(struct visit *visit) {
  json_t *body, *errors = NULL;
  struct leave_record leave;
  if (!visit_has(visit, visit->routes->balancers, BALANCERS) || !visit_read(visit, false, &body))
    return;
  int64_t now_ms = house_now_ms(&view_sources(visit->view)->house);
  if (balancer_routes_parse_leave(body, now_ms, &leave, &errors) != STATUS_OK) {
    visit_wrong(visit->call, errors);
  } else {
    char until[32];
    struct leave_errand *errand = errand_new(visit, "leave", &leave);
    clock_format_utc(leave.until_ms, until, sizeof until);
    snprintf(errand->audit.detail, sizeof errand->audit.detail, "until %s: %s", until, leave.why);
    visit_queue(visit, apply_plan, tell_plan, errand);
  }
  json_decref(body);
}

static enum status apply_cancel(void *context, struct store_txn *txn, struct errbuf *err) {
  const struct leave_errand *errand = context;
  enum status status = balancers_cancel(txn, errand->leave.at_ms, err);
  return status ? status : chronicle_write_audit(txn, &errand->audit, err);
}

static void tell_cancel(void *context, enum status status, const struct errbuf *err) {
  struct leave_errand *errand = context;
  if (status) {
    visit_not_stored(errand->call, &errand->audit, status, err);
  } else {
    balancers_look(errand->balancers);
    log_info("%s: cancelled by %s", errand->audit.subject, errand->audit.who);
    reply_empty(errand->call, 204);
  }
  free(errand);
}

void balancer_routes_cancel(struct visit *visit) {
  struct leave_record leave = {0};
  if (!visit_has(visit, visit->routes->balancers, BALANCERS))
    return;
  if (scalar_number(visit->parts[0], &leave.at_ms) != STATUS_OK || leave.at_ms < 1)
    reply_problem(visit->call, 404, "no absence is planned at \"%s\": it is named by its start in Unix milliseconds",
                  visit->parts[0]);
  else
    visit_queue(visit, apply_cancel, tell_cancel, errand_new(visit, "leave cancel", &leave));
}
