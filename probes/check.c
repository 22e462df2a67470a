#include "probes/check.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

static int order(int64_t a, int64_t b) {
  return (a > b) - (a < b);
}

static int order_text(const char *a, const char *b) {
  if (!a || !b)
    return (a != NULL) - (b != NULL);
  return strcmp(a, b);
}

static int order_texts(const char *const *a, const char *const *b) {
  if (!a || !b)
    return (a != NULL) - (b != NULL);
  for (; *a && *b; a++, b++) {
    int result = strcmp(*a, *b);
    if (result != 0)
      return result;
  }
  return (*a != NULL) - (*b != NULL);
}

static int order_address(const struct addr *a, const struct addr *b) {
  int result = order(a->family, b->family);
  if (result == 0)
    result = order(a->port, b->port);
  return result ? result : memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static int order_expectation(const struct config_expectation *a, const struct config_expectation *b) {
  int result = order_text(a->text, b->text);
  if (result == 0)
    result = order(a->is_regex, b->is_regex);
  return result ? result : order(a->is_inverted, b->is_inverted);
}

static int order_tls(const struct config_client_tls *a, const struct config_client_tls *b) {
  const char *const left[] = {a->server_name, a->ca, a->certificate, a->key};
  const char *const right[] = {b->server_name, b->ca, b->certificate, b->key};
  int result = order(a->is_unverified, b->is_unverified);
  for (size_t i = 0; i < sizeof left / sizeof left[0] && result == 0; i++)
    result = order_text(left[i], right[i]);
  return result;
}

static int order_statuses(const struct config_monitor *a, const struct config_monitor *b) {
  int result = order((int64_t)a->expect_status_count, (int64_t)b->expect_status_count);
  for (size_t i = 0; i < a->expect_status_count && result == 0; i++) {
    result = order(a->expect_status[i].first, b->expect_status[i].first);
    if (result == 0)
      result = order(a->expect_status[i].last, b->expect_status[i].last);
  }
  return result;
}

static int order_http(const struct probe_target *x, const struct probe_target *y) {
  const struct config_monitor *a = x->monitor, *b = y->monitor;
  const char *const left[] = {a->method, a->path, a->host ? a->host : x->service, a->body};
  const char *const right[] = {b->method, b->path, b->host ? b->host : y->service, b->body};
  const int64_t numbers[] = {a->is_http2, a->redirects, a->body_most};
  const int64_t others[] = {b->is_http2, b->redirects, b->body_most};
  int result = 0;
  for (size_t i = 0; i < sizeof left / sizeof left[0] && result == 0; i++)
    result = order_text(left[i], right[i]);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && result == 0; i++)
    result = order(numbers[i], others[i]);
  if (result == 0)
    result = order_texts(a->headers, b->headers);
  if (result == 0)
    result = order_statuses(a, b);
  return result ? result : order_tls(&a->tls, &b->tls);
}

static int order_dns(const struct config_monitor *a, const struct config_monitor *b) {
  const int64_t numbers[] = {a->query_type,       a->expect_rcode, a->is_whole_answer,
                             a->has_serial_least, a->serial_least, a->signature_left_ms};
  const int64_t others[] = {b->query_type,       b->expect_rcode, b->is_whole_answer,
                            b->has_serial_least, b->serial_least, b->signature_left_ms};
  int result = order_text(a->query_name, b->query_name);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && result == 0; i++)
    result = order(numbers[i], others[i]);
  return result ? result : order_texts(a->expect_answers, b->expect_answers);
}

static int order_access(const struct config_snmp_access *a, const struct config_snmp_access *b) {
  const char *const left[] = {a->name, a->community, a->user, a->auth_secret, a->privacy_secret, a->context};
  const char *const right[] = {b->name, b->community, b->user, b->auth_secret, b->privacy_secret, b->context};
  int result = order(a->version, b->version);
  if (result == 0)
    result = order(a->auth, b->auth);
  if (result == 0)
    result = order(a->privacy, b->privacy);
  for (size_t i = 0; i < sizeof left / sizeof left[0] && result == 0; i++)
    result = order_text(left[i], right[i]);
  return result;
}

static int order_snmp(const struct probe_target *x, const struct probe_target *y) {
  const struct config_monitor *a = x->monitor, *b = y->monitor;
  int result = order_text(a->oid, b->oid);
  if (result == 0)
    result = order(a->comparison, b->comparison);
  if (result == 0)
    result = order_text(a->value, b->value);
  return result ? result : order_access(&x->config->snmp[a->access], &y->config->snmp[b->access]);
}

static int order_kind(const struct probe_target *x, const struct probe_target *y) {
  const struct config_monitor *a = x->monitor, *b = y->monitor;
  int result;
  switch (a->type) {
  case MONITOR_HTTP:
  case MONITOR_HTTPS:
    return order_http(x, y);
  case MONITOR_TCP:
  case MONITOR_UDP:
    result = order((int64_t)a->send_size, (int64_t)b->send_size);
    return result || a->send_size == 0 ? result : memcmp(a->send, b->send, a->send_size);
  case MONITOR_DNS:
    return order_dns(a, b);
  case MONITOR_FTP:
    result = order_text(a->user, b->user);
    if (result == 0)
      result = order_text(a->password, b->password);
    return result ? result : order_text(a->path, b->path);
  case MONITOR_SNMP:
    return order_snmp(x, y);
  case MONITOR_EXEC: /* the command is told which monitor it is for */
    result = order_text(a->name, b->name);
    return result ? result : order_texts(a->command, b->command);
  case MONITOR_PING:
  case MONITOR_SERVICE:
  case MONITOR_CALCULATED:
    break;
  }
  return 0;
}

int probe_target_compare(const struct probe_target *a, const struct probe_target *b) {
  const struct config_monitor *x = a->monitor, *y = b->monitor;
  int result = order_address(&a->address, &b->address);
  if (result == 0)
    result = order(x->type, y->type);
  if (result == 0)
    result = order(x->interval_ms, y->interval_ms);
  if (result == 0)
    result = order(x->timeout_ms, y->timeout_ms);
  if (result == 0)
    result = (x->idle_factor > y->idle_factor) - (x->idle_factor < y->idle_factor);
  if (result == 0 && x != y)
    result = order_expectation(&x->expect, &y->expect);
  return result ? result : order_kind(a, b);
}

static int compare(const void *a, const void *b) {
  const struct check *left = a, *right = b;
  return probe_target_compare(&left->target, &right->target);
}

struct check *checks_take(struct checks *checks, const struct probe_target *target) {
  struct check wanted = {.target = *target};
  struct check *const *found = tfind(&wanted, &checks->root, compare);
  if (found) {
    (*found)->target.config = target->config;
    (*found)->target.monitor = target->monitor;
    return *found;
  }
  struct check *check = mem_alloc(sizeof *check);
  check->target = *target;
  check->target.service = mem_strdup(target->service);
  LIST_INIT(&check->watches);
  if (!tsearch(check, &checks->root, compare))
    abort();
  checks->count++;
  return check;
}

void checks_drop(struct checks *checks, struct check *check) {
  assert(LIST_EMPTY(&check->watches) && !check->is_planned);
  tdelete(check, &checks->root, compare);
  checks->count--;
  free((char *)(uintptr_t)check->target.service);
  free(check);
}
