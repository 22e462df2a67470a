#include "discovery/registry/registry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/registry/registry_private.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/domain.h"

#define UTILIZATION_STEP 0.05

bool registry_read_id(const char *text, char id[REGISTRATION_ID_MOST + 1]) {
  char label[DOMAIN_LABEL_MOST + 1];
  if (domain_read_host_label(text, label, NULL) != STATUS_OK || strchr(label, '_'))
    return false;
  strcpy(id, label);
  return true;
}

bool registry_may_touch(const struct principal *principal, const char *id, const char *owner) {
  if (principal->kind == PRINCIPAL_OPERATOR || principal->may_admin)
    return true;
  return principal_may_resource(principal, id) && strcmp(principal_owner(principal), owner) == 0;
}

bool registry_is_removed(const struct resource_record *record, int64_t now_ms) {
  return record->is_removed && (record->removed_until_ms == 0 || now_ms < record->removed_until_ms);
}

void registry_publish(struct registry *registry, const char *change, const char *id, const char *const *services,
                      size_t count) {
  if (!registry->links.feed)
    return;
  json_t *names = value_must(json_array());
  for (size_t i = 0; i < count; i++)
    json_array_append_new(names, value_text(services[i]));
  json_t *detail = value_must(json_object());
  json_object_set_new(detail, "change", value_text(change));
  json_object_set_new(detail, "services", names);
  struct feed_change news = {.kind = "resource", .resource = id, .service = count ? services[0] : "", .detail = detail};
  feed_publish(registry->links.feed, &news);
}

/* The start. */

struct loading {
  struct registry *registry;
  int64_t now_ms;
  size_t damaged;
};

static void load_lease(struct registry *registry, const char *id, const struct resource_record *record,
                       const struct document *document, int64_t now_ms) {
  const char *services[REGISTRATION_SERVICES_MOST];
  for (size_t i = 0; i < document->service_count; i++)
    services[i] = document->services[i].name;
  struct lease_terms terms = {.owner = record->owner,
                              .site = document->site,
                              .kind = document->kind,
                              .revision = record->revision,
                              .epoch = record->epoch,
                              .period_ms = record->lease_ms,
                              .services = services,
                              .service_count = document->service_count};
  struct lease *lease = lease_table_grant(registry->table, id, &terms, now_ms);
  lease_table_queue(registry->table, lease, LEASE_WRITE_NOW);
  struct tally_holding holding = {record->owner, services, document->service_count};
  tally_add(registry->tally, &holding);
}

static bool load_resource(void *context, struct store_bytes key, struct store_bytes value) {
  struct loading *loading = context;
  struct resource_record record;
  char id[REGISTRATION_ID_MOST + 1];
  if (key.size >= sizeof id || resource_decode(value.data, value.size, &record) != STATUS_OK) {
    loading->damaged++;
    return true;
  }
  memcpy(id, key.data, key.size);
  id[key.size] = '\0';
  if (record.is_removed) {
    json_object_set_new(loading->registry->removed, id, json_integer(record.removed_until_ms));
    return true;
  }
  struct arena arena = {0};
  struct document document;
  json_t *errors = NULL, *json = json_loadb(record.document, record.document_size, 0, NULL);
  if (json && document_parse_registration(json, &arena, &document, &errors) == STATUS_OK)
    load_lease(loading->registry, id, &record, &document, loading->now_ms);
  else
    loading->damaged++;
  json_decref(errors);
  json_decref(json);
  arena_release(&arena);
  return true;
}

static enum status load_resources(struct registry *registry, struct errbuf *err) {
  struct store_txn *txn;
  /* to write, though nothing is written: where a writer was killed between the writing of its commit and the telling of
   * it, readers would see the state before until the next writer comes, and these registrations would have no lease */
  enum status status = store_begin(registry->links.durable, true, &txn, err);
  if (status)
    return status;
  struct loading loading = {registry, house_now_ms(registry->links.house), 0};
  status = store_scan(txn, STORE_DB_RESOURCES, (struct store_bytes){0}, load_resource, &loading);
  store_abort(txn);
  if (loading.damaged)
    log_error("%zu registrations in the store cannot be read, and take no part", loading.damaged);
  return status ? errbuf_set(err, STATUS_IO, "the registrations cannot be read") : STATUS_OK;
}

/* What resources said of themselves outlives a restart; who is not registered any more leaves nothing. */
struct remembering {
  struct registry *registry;
  struct arena arena;
  const char **gone;
  size_t count, capacity;
};

static struct lease *remember(struct remembering *remembering, struct store_bytes key) {
  char *id = arena_strndup(&remembering->arena, key.data, key.size);
  struct lease *lease = lease_table_find(remembering->registry->table, id);
  if (lease)
    return lease;
  remembering->gone = mem_grow(remembering->gone, &remembering->capacity, remembering->count + 1, sizeof(char *));
  remembering->gone[remembering->count++] = id;
  return NULL;
}

static bool remember_lease(void *context, struct store_bytes key, struct store_bytes value) {
  struct remembering *remembering = context;
  struct lease *lease = remember(remembering, key);
  struct lease_record record;
  if (!lease || lease_decode(value.data, value.size, &record) != STATUS_OK || record.epoch != lease->record.epoch)
    return true;
  lease->record.sequence = record.sequence;
  lease->record.self = record.self;
  memcpy(lease->record.self_reason, record.self_reason, sizeof record.self_reason);
  lease->record.utilization = lease->told_utilization = record.utilization;
  if (record.is_moved && lease->period_ms > 0)
    lease_table_resume_moved(remembering->registry->table, lease, record.end_ms);
  return true;
}

/* Under the lock, or before anybody else has the registry. */
static void keep_metrics(struct registry *registry, struct lease *lease, const struct metrics_record *told,
                         int64_t at_ms) {
  const char *services[REGISTRATION_SERVICES_MOST];
  for (size_t i = 0; i < lease->service_count; i++)
    services[i] = lease->services[i].service->name;
  free(lease->metrics);
  lease->metrics = reports_take(&lease->reports, told, registry->wishes, services, lease->service_count, at_ms,
                                lease_table_renew_ms(lease->period_ms), &lease->metrics_size);
}

static bool remember_metrics(void *context, struct store_bytes key, struct store_bytes value) {
  struct remembering *remembering = context;
  struct lease *lease = remember(remembering, key);
  struct metrics_record metrics;
  if (!lease || metrics_decode(value.data, value.size, &metrics) != STATUS_OK)
    return true;
  lease->reports.taken = metrics.read ? metrics.read - 1 : 0; /* it is taken once more */
  keep_metrics(remembering->registry, lease, &metrics, metrics.at_ms);
  return true;
}

static enum status load_live(struct registry *registry, struct errbuf *err) {
  struct remembering remembering = {.registry = registry};
  struct store_txn *txn;
  enum status status = store_begin(registry->links.live, true, &txn, err);
  if (status)
    return status;
  status = store_scan(txn, STORE_DB_LEASES, (struct store_bytes){0}, remember_lease, &remembering);
  if (status == STATUS_OK)
    status = store_scan(txn, STORE_DB_METRICS_AGENT, (struct store_bytes){0}, remember_metrics, &remembering);
  for (size_t i = 0; i < remembering.count && (status == STATUS_OK || status == STATUS_NODATA); i++) {
    struct store_bytes key = {remembering.gone[i], strlen(remembering.gone[i])};
    status = store_delete(txn, STORE_DB_LEASES, key, err);
    if (status == STATUS_OK || status == STATUS_NODATA)
      status = store_delete(txn, STORE_DB_METRICS_AGENT, key, err);
  }
  if (status == STATUS_OK || status == STATUS_NODATA) {
    status = store_commit(txn, err);
  } else {
    store_abort(txn);
    status = errbuf_set(err, STATUS_IO, "the leases cannot be read");
  }
  free(remembering.gone);
  arena_release(&remembering.arena);
  return status;
}

static void make_condition(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

enum status registry_start(const struct registry_links *links, const struct config *config, struct registry **out,
                           struct errbuf *err) {
  struct registry *registry = mem_alloc(sizeof *registry);
  registry->links = *links;
  registry->landed_last = &registry->landed;
  registry->rules = accept_rules_new(config);
  registry->wishes = report_wishes_new(config);
  registry->generation = 1;
  registry->table = lease_table_new();
  registry->tally = tally_new();
  registry->removed = value_must(json_object());
  pthread_mutex_init(&registry->lock, NULL);
  make_condition(&registry->wake);
  bool is_whole = links->durable && links->live;
  registry->is_stopping = !is_whole;
  enum status status = is_whole ? load_resources(registry, err) : STATUS_OK;
  if (status == STATUS_OK && is_whole)
    status = load_live(registry, err);
  if (status == STATUS_OK && is_whole && pthread_create(&registry->thread, NULL, registry_run, registry) != 0)
    status = errbuf_set(err, STATUS_IO, "no thread for the registry");
  if (status) {
    registry_free(registry);
    return status;
  }
  registry->has_thread = is_whole;
  *out = registry;
  return STATUS_OK;
}

void registry_configure(struct registry *registry, const struct config *config) {
  struct accept_rules *rules = accept_rules_new(config);
  struct report_wishes *wishes = report_wishes_new(config);
  pthread_mutex_lock(&registry->lock);
  struct accept_rules *old = registry->rules;
  struct report_wishes *old_wishes = registry->wishes;
  registry->rules = rules;
  registry->wishes = wishes;
  registry->generation++;
  pthread_cond_signal(&registry->wake);
  pthread_mutex_unlock(&registry->lock);
  accept_rules_release(old);
  report_wishes_free(old_wishes);
}

void registry_stop(struct registry *registry) {
  if (!registry)
    return;
  pthread_mutex_lock(&registry->lock);
  registry->is_stopping = true;
  pthread_cond_signal(&registry->wake);
  pthread_mutex_unlock(&registry->lock);
  if (registry->has_thread)
    pthread_join(registry->thread, NULL);
  registry->has_thread = false;
}

void registry_free(struct registry *registry) {
  if (!registry)
    return;
  lease_table_free(registry->table);
  tally_free(registry->tally);
  json_decref(registry->removed);
  accept_rules_release(registry->rules);
  report_wishes_free(registry->wishes);
  pthread_cond_destroy(&registry->wake);
  pthread_mutex_destroy(&registry->lock);
  free(registry);
}

/* Reports. */

/* Whether the registration still fits what the services take, after the rules were exchanged or somebody else asks. */
static enum status check_again(struct registry *registry, struct accept_rules *rules, const char *id,
                               const struct principal *principal, struct errbuf *err) {
  struct store_txn *txn;
  struct arena arena = {0};
  struct resource_record record;
  enum status status = store_begin(registry->links.durable, false, &txn, err);
  if (status)
    return STATUS_IO;
  status = resource_read(txn, id, &arena, &record);
  store_abort(txn);
  json_t *errors = NULL, *json = NULL;
  struct document document;
  if (status == STATUS_OK)
    json = json_loadb(record.document, record.document_size, 0, NULL);
  if (status == STATUS_NODATA) {
    errbuf_set(err, STATUS_NOTFOUND, "there is no lease of this resource");
    status = STATUS_NOTFOUND;
  } else if (!json || document_parse_registration(json, &arena, &document, &errors) != STATUS_OK) {
    status = errbuf_set(err, STATUS_IO, "the registration cannot be read");
  } else if (accept_check(rules, principal, id, &document, &errors, err) != STATUS_OK) {
    status = errbuf_prefix(err, STATUS_FORBIDDEN, "the registration is not taken any more: ");
  }
  json_decref(errors);
  json_decref(json);
  arena_release(&arena);
  return status;
}

/* Under the lock. */
static enum status find_lease(struct registry *registry, const char *id, const struct registry_call *call,
                              const struct document_status *report, struct lease **out,
                              struct registry_outcome *outcome, struct errbuf *err) {
  int64_t now_ms = house_now_ms(registry->links.house);
  if (registry->is_stopping)
    return errbuf_set(err, STATUS_IO, "the process is stopping");
  struct lease *lease = lease_table_find(registry->table, id);
  const json_t *removed = lease ? NULL : json_object_get(registry->removed, id);
  if (removed && (json_integer_value(removed) == 0 || now_ms < json_integer_value(removed)))
    return errbuf_set(err, STATUS_NODATA, "removed by an operator: register again to be told why");
  if (!lease)
    return errbuf_set(err, STATUS_NOTFOUND, "there is no lease of this resource");
  if (!registry_may_touch(call->principal, id, lease->owner))
    return errbuf_set(err, STATUS_FORBIDDEN, "%s belongs to another", id);
  if (lease->record.state == LEASE_ENDED || lease->record.epoch != report->epoch)
    return errbuf_set(err, STATUS_NOTFOUND, "there is no lease of this epoch");
  if (report->sequence <= lease->record.sequence) {
    outcome->is_replay = true;
    return errbuf_set(err, STATUS_CONFLICT, "a report of this or a later sequence was taken already");
  }
  *out = lease;
  return STATUS_OK;
}

/* Under the lock. Which urgency the report gives the row. */
static enum lease_write take_report(struct registry *registry, struct lease *lease,
                                    const struct document_status *report, int64_t now_ms, bool *is_self_change) {
  enum lease_write write = LEASE_WRITE_LATER;
  struct lease_record *record = &lease->record;
  record->sequence = report->sequence;
  if (report->self != HEALTH_UNKNOWN) {
    *is_self_change = record->self != report->self;
    if (*is_self_change)
      write = LEASE_WRITE_NOW;
    record->self = report->self;
    memcpy(record->self_reason, report->self_reason, sizeof record->self_reason);
  }
  if (report->metrics.count == 0)
    return write;
  keep_metrics(registry, lease, &report->metrics, now_ms);
  record->utilization = report->utilization;
  bool was_told = lease->told_utilization >= 0, is_told = record->utilization >= 0;
  for (size_t i = 0; i < lease->service_count && write < LEASE_WRITE_SOON; i++)
    if (report_wishes_load(registry->wishes, lease->services[i].service->name))
      write = LEASE_WRITE_SOON; /* its load follows every report */
  /* a hair less than the step, since 0.15 - 0.10 is below 0.05 in binary */
  if (was_told != is_told || fabs(record->utilization - lease->told_utilization) >= UTILIZATION_STEP - 1e-9) {
    lease->told_utilization = record->utilization;
    if (write < LEASE_WRITE_SOON)
      write = LEASE_WRITE_SOON;
  }
  return write;
}

struct taken {
  bool is_self_change, was_stale;
  char service[DOMAIN_TEXT_SIZE]; /* the first */
  char *services[REGISTRATION_SERVICES_MOST];
  size_t count;
};

/* Under the lock. */
static void renew(struct registry *registry, struct lease *lease, const struct document_status *report,
                  struct taken *taken) {
  int64_t now_ms = house_now_ms(registry->links.house);
  taken->was_stale = lease_table_renew(registry->table, lease, now_ms);
  enum lease_write write = take_report(registry, lease, report, now_ms, &taken->is_self_change);
  if (taken->was_stale)
    write = LEASE_WRITE_NOW;
  bool is_news = lease_table_queued(registry->table, write) == 0;
  lease_table_queue(registry->table, lease, write);
  if (is_news)
    pthread_cond_signal(&registry->wake);
  registry->totals.renewed++;
  if (!taken->is_self_change && !taken->was_stale)
    return;
  for (size_t i = 0; i < lease->service_count; i++)
    taken->services[taken->count++] = mem_strdup(lease->services[i].service->name);
  if (taken->was_stale)
    registry_note(registry, lease, "stale", "live", "renewed");
}

static void publish_taken(struct registry *registry, const char *id, struct taken *taken) {
  const char *const *services = (const char *const *)taken->services;
  if (taken->was_stale)
    registry_publish(registry, "live", id, services, taken->count);
  if (taken->is_self_change)
    registry_publish(registry, "self", id, services, taken->count);
  for (size_t i = 0; i < taken->count; i++)
    free(taken->services[i]);
}

enum status registry_status(struct registry *registry, const struct registry_call *call,
                            const struct document_status *report, struct registry_outcome *outcome) {
  *outcome = (struct registry_outcome){0};
  struct errbuf why = {{0}}, *err = &why;
  char id[REGISTRATION_ID_MOST + 1];
  struct taken taken = {0};
  enum status status = STATUS_OK;
  if (!registry_read_id(call->id, id))
    status = errbuf_set(err, STATUS_NOTFOUND, "there is no lease of this resource");
  for (bool is_checked = false; status == STATUS_OK; is_checked = true) {
    struct lease *lease = NULL;
    pthread_mutex_lock(&registry->lock);
    status = find_lease(registry, id, call, report, &lease, outcome, err);
    bool must_check = status == STATUS_OK && lease->checked != registry->generation && !is_checked;
    struct accept_rules *rules = must_check ? accept_rules_hold(registry->rules) : NULL;
    if (status == STATUS_OK && !must_check) {
      lease->checked = registry->generation;
      renew(registry, lease, report, &taken);
      outcome->resource.revision = lease->revision;
      outcome->resource.epoch = lease->record.epoch;
      outcome->resource.lease_ms = lease->period_ms;
      outcome->lease = lease->record;
    } else if (!must_check) {
      registry->totals.refused++;
    }
    pthread_mutex_unlock(&registry->lock);
    if (!must_check)
      break;
    status = check_again(registry, rules, id, call->principal, err);
    accept_rules_release(rules);
  }
  publish_taken(registry, id, &taken);
  outcome->status = status;
  snprintf(outcome->reason, sizeof outcome->reason, "%.255s", why.text);
  outcome->text = outcome->reason;
  if (status == STATUS_IO)
    outcome->retry_after_s = 1;
  return status;
}

static enum status move(struct registry *registry, const struct registry_call *call, struct registry_outcome *outcome,
                        struct errbuf *err) {
  struct lease *lease = lease_table_find(registry->table, call->id);
  if (registry->is_stopping)
    return errbuf_set(err, STATUS_IO, "the process is stopping");
  if (!lease || lease->record.state == LEASE_ENDED)
    return errbuf_set(err, STATUS_NOTFOUND, "there is no lease of this resource");
  if (!registry_may_touch(call->principal, call->id, lease->owner))
    return errbuf_set(err, STATUS_FORBIDDEN, "%s belongs to another", call->id);
  if (lease->period_ms == 0)
    return errbuf_set(err, STATUS_RANGE, "the lease of %s has no end", call->id);
  lease_table_move(registry->table, lease);
  lease_table_queue(registry->table, lease, LEASE_WRITE_SOON);
  pthread_cond_signal(&registry->wake);
  outcome->lease = lease->record;
  outcome->until_ms = lease->record.end_ms;
  return STATUS_OK;
}

enum status registry_move(struct registry *registry, const struct registry_call *call,
                          struct registry_outcome *outcome) {
  struct errbuf err = {""};
  *outcome = (struct registry_outcome){0};
  pthread_mutex_lock(&registry->lock);
  outcome->status = move(registry, call, outcome, &err);
  pthread_mutex_unlock(&registry->lock);
  snprintf(outcome->reason, sizeof outcome->reason, "%.*s", (int)sizeof outcome->reason - 1, err.text);
  outcome->text = outcome->reason;
  return outcome->status;
}

void registry_totals(struct registry *registry, struct registry_totals *out) {
  int64_t now_ms = house_now_ms(registry->links.house);
  pthread_mutex_lock(&registry->lock);
  *out = registry->totals;
  out->live = lease_table_count(registry->table, LEASE_LIVE);
  out->stale = lease_table_count(registry->table, LEASE_STALE);
  out->moved = lease_table_moved(registry->table);
  const char *id;
  json_t *until;
  json_object_foreach(registry->removed, id, until) out->removed +=
      json_integer_value(until) == 0 || now_ms < json_integer_value(until);
  pthread_mutex_unlock(&registry->lock);
}
