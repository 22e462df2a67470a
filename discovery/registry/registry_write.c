#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "discovery/documents/complaint.h"
#include "discovery/documents/notice.h"
#include "discovery/registry/registry_private.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/base/value.h"
#include "gslb/model/chronicle.h"

/* Keeps the reason for the caller; to the committer every refusal is one. */
static enum status refuse(struct operation *operation, enum status status) {
  operation->is_judged = true;
  operation->status = status;
  return STATUS_CONFLICT;
}

static enum status accept_as_is(struct operation *operation) {
  operation->is_judged = true;
  operation->status = STATUS_OK;
  return STATUS_NODATA;
}

static struct store_bytes key_of(const char *id) {
  return (struct store_bytes){id, strlen(id)};
}

enum status resource_read(struct store_txn *txn, const char *id, struct arena *arena, struct resource_record *out) {
  struct store_bytes row;
  enum status status = store_get(txn, STORE_DB_RESOURCES, key_of(id), &row);
  if (status == STATUS_OK)
    status = resource_decode(row.data, row.size, out);
  if (status == STATUS_OK)
    out->document = arena_strndup(arena, out->document ? out->document : "", out->document_size);
  return status;
}

static enum status write_resource(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  size_t size;
  uint8_t *row = resource_encode(&operation->resource, &size);
  enum status status = store_put(txn, STORE_DB_RESOURCES, key_of(operation->id), (struct store_bytes){row, size}, err);
  free(row);
  return status;
}

static bool holds(const char *const *names, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0)
      return true;
  return false;
}

/* What only a member has that is there; an operator's override outlives it. */
static enum status purge_member(struct store_txn *txn, const char *service, const char *id, struct errbuf *err) {
  struct record_key key;
  record_key_member(service, id, &key);
  struct store_bytes at = {key.bytes, key.size};
  enum status status = store_delete(txn, STORE_DB_MEMBERS, at, err);
  if (status == STATUS_OK || status == STATUS_NODATA)
    status = store_delete(txn, STORE_DB_SLOTS, at, err);
  if (status == STATUS_OK || status == STATUS_NODATA) {
    key.bytes[key.size] = '\0';
    status = store_delete_prefix(txn, STORE_DB_LATCHES, (struct store_bytes){key.bytes, key.size + 1}, NULL, err);
  }
  return status == STATUS_OK ? store_mark_changed(txn, service, err) : status;
}

static enum status write_event(const struct operation *operation, struct store_txn *txn, const char *from,
                               const char *to, struct errbuf *err) {
  struct event_record event = {.at_ms = house_now_ms(operation->registry->links.house), .kind = "resource"};
  const char *service = operation->after_count    ? operation->after[0]
                        : operation->before_count ? operation->before[0]
                                                  : "";
  snprintf(event.service, sizeof event.service, "%s", service);
  snprintf(event.member, sizeof event.member, "%s", operation->id);
  snprintf(event.from, sizeof event.from, "%s", from);
  snprintf(event.to, sizeof event.to, "%s", to);
  if (operation->kind == OPERATION_EXPIRE)
    snprintf(event.reason, sizeof event.reason, "its lease ended");
  else
    snprintf(event.reason, sizeof event.reason, "by %s%s%s", principal_owner(&operation->principal),
             operation->why[0] ? ": " : "", operation->why);
  return chronicle_write_event(txn, &event, err);
}

/* The services of a stored document; one that cannot be read any more has none. */
static void list_stored(struct operation *operation, const struct resource_record *stored) {
  struct document document;
  json_t *errors = NULL;
  json_t *json = json_loadb(stored->document, stored->document_size, 0, NULL);
  if (json && document_parse_registration(json, &operation->work, &document, &errors) == STATUS_OK) {
    operation->before = arena_array(&operation->work, document.service_count + 1, sizeof *operation->before);
    for (size_t i = 0; i < document.service_count; i++)
      operation->before[operation->before_count++] = document.services[i].name;
  }
  json_decref(json);
  json_decref(errors);
}

/* Forgets an earlier attempt and reads the row. *stored stays untouched with STATUS_NODATA. */
static enum status begin(struct operation *operation, struct store_txn *txn, struct resource_record *stored,
                         struct errbuf *err) {
  tally_begin(operation->registry->tally, &operation->tally);
  arena_release(&operation->work);
  json_decref(operation->errors);
  operation->errors = NULL;
  operation->err.text[0] = '\0';
  operation->is_judged = operation->is_written = operation->is_created = operation->is_loop = false;
  operation->before_count = operation->after_count = 0;
  operation->before = operation->after = NULL;
  operation->tally = (struct tally_change){0};
  operation->resource = (struct resource_record){0};
  enum status status = resource_read(txn, operation->id, &operation->work, stored);
  if (status == STATUS_OK && !stored->is_removed) {
    list_stored(operation, stored);
    const char *owner = arena_strdup(&operation->work, stored->owner);
    operation->tally.before = (struct tally_holding){owner, operation->before, operation->before_count};
  }
  if (status && status != STATUS_NODATA)
    return errbuf_set(err, STATUS_IO, "the registration of %s cannot be read: %s", operation->id, status_name(status));
  return status;
}

static enum status finish(struct operation *operation) {
  tally_apply(operation->registry->tally, &operation->tally);
  operation->is_judged = operation->is_written = true;
  operation->status = STATUS_OK;
  return STATUS_OK;
}

/* Registering. */

static enum status take_patch(struct operation *operation, const struct resource_record *stored) {
  json_t *json = json_loadb(stored->document, stored->document_size, 0, NULL);
  json_t *merged = document_merge(json, operation->json);
  enum status status = document_parse_registration(merged, &operation->work, &operation->document, &operation->errors);
  json_decref(merged);
  json_decref(json);
  if (status)
    return errbuf_set(&operation->err, status, "the registration does not fit");
  return accept_check(operation->rules, &operation->principal, operation->id, &operation->document, &operation->errors,
                      &operation->err);
}

static enum status check_terms(struct operation *operation, enum status is_stored, const struct resource_record *stored,
                               int64_t now_ms) {
  bool is_there = is_stored == STATUS_OK && !stored->is_removed;
  struct errbuf *err = &operation->err;
  if (is_stored == STATUS_OK && registry_is_removed(stored, now_ms))
    return errbuf_set(err, STATUS_NODATA, "removed by an operator%s%s", stored->removed_why[0] ? ": " : "",
                      stored->removed_why);
  if (is_there && !registry_may_touch(&operation->principal, operation->id, stored->owner))
    return errbuf_set(err, STATUS_FORBIDDEN, "%s belongs to another", operation->id);
  if (operation->is_patch && !is_there)
    return errbuf_set(err, STATUS_NOTFOUND, "there is no resource %s", operation->id);
  if (operation->if_absent && is_there)
    return errbuf_set(err, STATUS_CONFLICT, "there is a resource %s already", operation->id);
  if (operation->if_revision && (!is_there || stored->revision != operation->if_revision))
    return errbuf_set(err, STATUS_CONFLICT, "the resource is not of that revision any more");
  return STATUS_OK;
}

static bool names_itself(const struct operation *operation) {
  for (const char *const *path = operation->document.path; path && *path; path++)
    if (operation->identity[0] && strcasecmp(*path, operation->identity) == 0)
      return true;
  return false;
}

static enum status check_document(struct operation *operation, const struct resource_record *stored) {
  enum status status = STATUS_OK;
  if (operation->is_patch)
    status = take_patch(operation, stored);
  else
    operation->document = operation->given;
  if (status)
    return status;
  if (names_itself(operation)) {
    operation->is_loop = true;
    return errbuf_set(&operation->err, STATUS_CONFLICT, "this balancer is already below the one that registers");
  }
  const struct document *document = &operation->document;
  operation->after = arena_array(&operation->work, document->service_count + 1, sizeof *operation->after);
  for (size_t i = 0; i < document->service_count; i++)
    operation->after[operation->after_count++] = document->services[i].name;
  const char *owner =
      operation->tally.before.owner ? operation->tally.before.owner : principal_owner(&operation->principal);
  operation->tally.after = (struct tally_holding){owner, operation->after, operation->after_count};
  return accept_count(operation->rules, operation->registry->tally, &operation->tally.before, &operation->tally.after,
                      &operation->errors, &operation->err);
}

static uint64_t make_epoch(void) {
  uint64_t epoch = 0;
  while (epoch == 0) {
    random_secret(&epoch, sizeof epoch);
    epoch >>= 11; /* below 2^53: every JSON reader keeps it exactly */
  }
  return epoch;
}

/* Whether the lease that the row stands for goes on; it does then for a whole period, so that it does not end while
 * this write is under way. One that has ended is not renewed: its end may be written already. */
static bool keeps_lease(struct operation *operation, int64_t now_ms) {
  struct registry *registry = operation->registry;
  pthread_mutex_lock(&registry->lock);
  struct lease *lease = lease_table_find(registry->table, operation->id);
  bool is_ended = lease && lease->record.state == LEASE_ENDED;
  if (lease && !is_ended && lease_table_renew(registry->table, lease, now_ms))
    operation->was_stale = true;
  pthread_mutex_unlock(&registry->lock);
  return !is_ended;
}

static void fill_resource(struct operation *operation, const struct resource_record *stored, bool is_there,
                          int64_t now_ms) {
  struct resource_record *resource = &operation->resource;
  char *text = value_dump(document_write(&operation->document));
  size_t size = strcspn(text, "\n");
  bool keeps = is_there && (operation->is_dry_run || keeps_lease(operation, now_ms));
  bool is_same = keeps && stored->document_size == size && memcmp(stored->document, text, size) == 0;
  if (keeps)
    *resource = *stored;
  else
    *resource = (struct resource_record){.epoch = make_epoch(), .registered_ms = now_ms};
  operation->is_created = !keeps;
  if (!keeps)
    notice_make_key(resource->notice_key);
  snprintf(resource->owner, sizeof resource->owner, "%s", operation->tally.after.owner);
  if (!is_same) {
    /* a revision is never used again for other content, not even after a removal */
    resource->revision = stored->revision + 1;
    resource->changed_ms = now_ms;
  }
  resource->lease_ms = operation->document.lease_ms;
  resource->document = arena_strndup(&operation->work, text, size);
  resource->document_size = size;
  free(text);
}

static enum status write_members(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < operation->before_count && status == STATUS_OK; i++)
    if (!holds(operation->after, operation->after_count, operation->before[i]))
      status = purge_member(txn, operation->before[i], operation->id, err);
  for (size_t i = 0; i < operation->after_count && status == STATUS_OK; i++) {
    struct member_record member;
    struct record_key key;
    size_t size;
    document_member(&operation->document, i, &operation->work, &member);
    uint8_t *row = member_encode(&member, &size);
    record_key_member(operation->after[i], operation->id, &key);
    status = store_put(txn, STORE_DB_MEMBERS, (struct store_bytes){key.bytes, key.size},
                       (struct store_bytes){row, size}, err);
    free(row);
    if (status == STATUS_OK)
      status = store_mark_changed(txn, operation->after[i], err);
  }
  return status;
}

static enum status apply_register(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  struct resource_record stored = {0};
  int64_t now_ms = house_now_ms(operation->registry->links.house);
  enum status is_stored = begin(operation, txn, &stored, err);
  if (is_stored != STATUS_OK && is_stored != STATUS_NODATA)
    return is_stored;
  bool is_there = is_stored == STATUS_OK && !stored.is_removed;
  enum status status = check_terms(operation, is_stored, &stored, now_ms);
  if (status == STATUS_OK)
    status = check_document(operation, &stored);
  if (status)
    return refuse(operation, status);
  fill_resource(operation, &stored, is_there, now_ms);
  if (operation->resource.document_size > REGISTRATION_DOCUMENT_MOST) {
    complaint_add(&operation->errors, "", "is too large with everything filled in: %zu bytes, at most %u",
                  operation->resource.document_size, REGISTRATION_DOCUMENT_MOST);
    return refuse(operation, errbuf_set(&operation->err, STATUS_RANGE, "the registration is too large"));
  }
  if (operation->is_dry_run || operation->resource.revision == stored.revision)
    return accept_as_is(operation);
  status = write_resource(operation, txn, err);
  if (status == STATUS_OK)
    status = write_members(operation, txn, err);
  if (status == STATUS_OK)
    status = write_event(operation, txn, "", operation->is_created ? "registered" : "changed", err);
  return status ? status : finish(operation);
}

/* Going. */

static enum status purge_members(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < operation->before_count && status == STATUS_OK; i++)
    status = purge_member(txn, operation->before[i], operation->id, err);
  return status;
}

static enum status apply_deregister(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  struct resource_record stored = {0};
  enum status status = begin(operation, txn, &stored, err);
  if (status == STATUS_NODATA || (status == STATUS_OK && stored.is_removed))
    return refuse(operation, errbuf_set(&operation->err, STATUS_NODATA, "there is no resource %s", operation->id));
  if (status)
    return status;
  if (!registry_may_touch(&operation->principal, operation->id, stored.owner))
    return refuse(operation, errbuf_set(&operation->err, STATUS_FORBIDDEN, "%s belongs to another", operation->id));
  if (operation->if_revision && operation->if_revision != stored.revision)
    return refuse(operation,
                  errbuf_set(&operation->err, STATUS_CONFLICT, "the resource is not of that revision any more"));
  operation->resource = stored;
  uint32_t ttl_s = 0;
  for (size_t i = 0; i < operation->before_count; i++) {
    uint32_t of_service = accept_ttl_most_s(operation->rules, operation->before[i]);
    ttl_s = of_service > ttl_s ? of_service : ttl_s;
  }
  operation->until_ms = house_now_ms(operation->registry->links.house) + (int64_t)ttl_s * 1000;
  if (operation->is_dry_run)
    return accept_as_is(operation);
  status = store_delete(txn, STORE_DB_RESOURCES, key_of(operation->id), err);
  if (status == STATUS_OK)
    status = purge_members(operation, txn, err);
  if (status == STATUS_OK)
    status = write_event(operation, txn, "", "deregistered", err);
  return status ? status : finish(operation);
}

static enum status apply_expire(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  struct resource_record stored = {0};
  enum status status = begin(operation, txn, &stored, err);
  if (status == STATUS_NODATA || (status == STATUS_OK && stored.is_removed))
    return accept_as_is(operation);
  if (status)
    return status;
  if (stored.epoch != operation->epoch || stored.revision != operation->revision)
    return refuse(operation, errbuf_set(&operation->err, STATUS_CONFLICT, "registered again"));
  status = store_delete(txn, STORE_DB_RESOURCES, key_of(operation->id), err);
  if (status == STATUS_OK)
    status = purge_members(operation, txn, err);
  if (status == STATUS_OK)
    status = write_event(operation, txn, "", "expired", err);
  return status ? status : finish(operation);
}

static enum status apply_remove(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  struct resource_record stored = {0};
  int64_t now_ms = house_now_ms(operation->registry->links.house);
  enum status status = begin(operation, txn, &stored, err);
  if (status != STATUS_OK && status != STATUS_NODATA)
    return status;
  if (operation->if_revision && operation->if_revision != stored.revision)
    return refuse(operation,
                  errbuf_set(&operation->err, STATUS_CONFLICT, "the resource is not of that revision any more"));
  operation->resource = stored;
  struct resource_record *resource = &operation->resource;
  resource->revision++;
  resource->changed_ms = now_ms;
  resource->is_removed = true;
  resource->removed_until_ms = operation->until_ms;
  snprintf(resource->removed_why, sizeof resource->removed_why, "%s", operation->why);
  if (!resource->owner[0])
    snprintf(resource->owner, sizeof resource->owner, "%s", principal_owner(&operation->principal));
  if (!resource->document)
    resource->document = "";
  if (operation->is_dry_run)
    return accept_as_is(operation);
  status = write_resource(operation, txn, err);
  if (status == STATUS_OK)
    status = purge_members(operation, txn, err);
  if (status == STATUS_OK)
    status = write_event(operation, txn, "", "removed", err);
  return status ? status : finish(operation);
}

static enum status apply_allow(struct operation *operation, struct store_txn *txn, struct errbuf *err) {
  struct resource_record stored = {0};
  enum status status = begin(operation, txn, &stored, err);
  if (status == STATUS_NODATA || (status == STATUS_OK && !stored.is_removed))
    return refuse(operation,
                  errbuf_set(&operation->err, STATUS_NOTFOUND, "%s is not removed by an operator", operation->id));
  if (status)
    return status;
  operation->resource = stored;
  if (operation->is_dry_run)
    return accept_as_is(operation);
  status = store_delete(txn, STORE_DB_RESOURCES, key_of(operation->id), err);
  if (status == STATUS_OK)
    status = write_event(operation, txn, "removed", "allowed", err);
  return status ? status : finish(operation);
}

enum status operation_apply(void *context, struct store_txn *txn, struct errbuf *err) {
  static enum status (*const appliers[])(struct operation *, struct store_txn *, struct errbuf *) = {
      [OPERATION_REGISTER] = apply_register, [OPERATION_DEREGISTER] = apply_deregister,
      [OPERATION_REMOVE] = apply_remove,     [OPERATION_ALLOW] = apply_allow,
      [OPERATION_EXPIRE] = apply_expire,
  };
  struct operation *operation = context;
  return appliers[operation->kind](operation, txn, err);
}
