#include "probes/muster.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/name_index.h"
#include "gslb/model/records.h"
#include "gslb/model/roster.h"

struct muster {
  const struct config *config;
  struct roster *roster;
  bool is_followed; /* all was read, up to sequence */
  bool is_complete;
  bool has_told_damage;
  uint64_t sequence;
};

struct row { /* of STORE_DB_MEMBERS, copied */
  const char *service;
  const char *id;
  const void *value;
  size_t size;
};

struct reading { /* what one refresh copies within its transaction */
  struct arena arena;
  struct name_index touched; /* names of services that changed */
  const char **names;
  size_t name_count, name_capacity;
  bool is_all;
  struct row *rows; /* in order of service and id within each scan */
  size_t row_count, row_capacity;
};

struct muster *muster_new(const struct config *config) {
  struct muster *muster = mem_alloc(sizeof *muster);
  muster->config = config;
  muster->roster = roster_new(config);
  return muster;
}

void muster_free(struct muster *muster) {
  if (!muster)
    return;
  roster_free(muster->roster);
  free(muster);
}

bool muster_is_complete(const struct muster *muster) {
  return muster->is_complete;
}

const struct config_service *muster_service(const struct muster *muster, size_t service) {
  return roster_service(muster->roster, service);
}

size_t muster_find(const struct muster *muster, const char *service) {
  return roster_find(muster->roster, service);
}

static void note_change(void *context, const char *service) {
  struct reading *reading = context;
  if (!*service) {
    reading->is_all = true;
    return;
  }
  if (strcmp(service, STORE_BALANCERS) == 0 || name_index_find(&reading->touched, service) != NAME_INDEX_NONE)
    return;
  const char *name = arena_strdup(&reading->arena, service);
  name_index_add(&reading->touched, &reading->arena, name, (uint32_t)reading->name_count);
  reading->names = mem_grow(reading->names, &reading->name_capacity, reading->name_count + 1, sizeof *reading->names);
  reading->names[reading->name_count++] = name;
}

static bool copy_row(void *context, struct store_bytes key, struct store_bytes value) {
  struct reading *reading = context;
  const char *service = key.data;
  size_t length = strnlen(service, key.size);
  if (length == key.size)
    return true;
  reading->rows = mem_grow(reading->rows, &reading->row_capacity, reading->row_count + 1, sizeof *reading->rows);
  struct row *row = &reading->rows[reading->row_count];
  const char *last = reading->row_count > 0 ? row[-1].service : NULL;
  bool is_same = last && strcmp(last, service) == 0;
  row->service = is_same ? last : arena_strndup(&reading->arena, service, length);
  row->id = arena_strndup(&reading->arena, service + length + 1, key.size - length - 1);
  row->value = arena_copy(&reading->arena, value.data, value.size);
  row->size = value.size;
  reading->row_count++;
  return true;
}

static enum status read_rows(struct muster *muster, struct store_txn *txn, struct reading *reading, uint64_t *sequence,
                             struct errbuf *err) {
  reading->is_all = !muster->is_followed;
  *sequence = muster->sequence;
  enum status status = store_changes_since(txn, sequence, reading->is_all ? NULL : note_change, reading);
  if (status == STATUS_RANGE)
    reading->is_all = true;
  else if (status != STATUS_OK)
    return errbuf_set(err, status, "changes cannot be read");
  if (reading->is_all)
    status = store_scan(txn, STORE_DB_MEMBERS, (struct store_bytes){0}, copy_row, reading);
  for (size_t i = 0; i < reading->name_count && !reading->is_all && status == STATUS_OK; i++) {
    struct record_key prefix;
    record_key_service(reading->names[i], &prefix);
    status = store_scan(txn, STORE_DB_MEMBERS, (struct store_bytes){prefix.bytes, prefix.size}, copy_row, reading);
  }
  return status == STATUS_OK ? status : errbuf_set(err, status, "registrations cannot be read");
}

static void tell_damage(struct muster *muster, const struct row *row) {
  if (!muster->has_told_damage)
    log_warning("durable store: the registration of %s for %s is damaged and counts as not stored; further ones are "
                "not told",
                row->id, row->service);
  muster->has_told_damage = true;
}

struct decoded {
  struct arena arena;
  struct roster_entry *entries;
  size_t count;
};

static enum status decode_service(struct muster *muster, const struct row *rows, size_t count, struct decoded *out,
                                  struct errbuf *err) {
  struct member_record *records = arena_array(&out->arena, count, sizeof *records);
  out->entries = arena_array(&out->arena, count, sizeof *out->entries);
  for (size_t i = 0; i < count; i++) {
    enum status status = member_decode(rows[i].value, rows[i].size, &out->arena, &records[out->count]);
    if (status == STATUS_VERSION)
      return errbuf_set(err, status, "a registration was written by another version");
    if (status != STATUS_OK) {
      tell_damage(muster, &rows[i]);
      continue;
    }
    out->entries[out->count] =
        (struct roster_entry){.service = rows[i].service, .id = rows[i].id, .record = &records[out->count]};
    out->count++;
  }
  return STATUS_OK;
}

static enum status take_service(struct muster *muster, const struct row *rows, size_t count, muster_changed *changed,
                                void *context, struct errbuf *err) {
  struct decoded decoded = {0};
  enum status status = decode_service(muster, rows, count, &decoded, err);
  size_t service = SIZE_MAX;
  if (status == STATUS_OK)
    service = decoded.count > 0 ? roster_place(muster->roster, rows[0].service)
                                : roster_find(muster->roster, rows[0].service);
  if (service != SIZE_MAX && roster_set(muster->roster, service, decoded.entries, decoded.count) && changed)
    changed(context, service);
  arena_release(&decoded.arena);
  return status;
}

static void empty_service(struct muster *muster, size_t service, muster_changed *changed, void *context) {
  if (roster_set(muster->roster, service, NULL, 0) && changed)
    changed(context, service);
}

/* Before others are taken in, so that a vacancy that one leaves is there for the next. */
static void empty_left(struct muster *muster, struct reading *reading, muster_changed *changed, void *context) {
  struct name_index present = {0};
  for (size_t i = 0; i < reading->row_count; i++)
    if (i == 0 || reading->rows[i].service != reading->rows[i - 1].service)
      name_index_add(&present, &reading->arena, reading->rows[i].service, 0);
  for (size_t i = 0; i < muster->config->service_count && reading->is_all; i++) {
    const struct config_service *service = roster_service(muster->roster, i);
    if (roster_revision(muster->roster, i) > 0 && name_index_find(&present, service->name) == NAME_INDEX_NONE)
      empty_service(muster, i, changed, context);
  }
  for (size_t i = 0; i < reading->name_count && !reading->is_all; i++) {
    size_t service = roster_find(muster->roster, reading->names[i]);
    if (service != SIZE_MAX && name_index_find(&present, reading->names[i]) == NAME_INDEX_NONE)
      empty_service(muster, service, changed, context);
  }
}

static enum status take_rows(struct muster *muster, struct reading *reading, muster_changed *changed, void *context,
                             struct errbuf *err) {
  enum status status = STATUS_OK;
  empty_left(muster, reading, changed, context);
  for (size_t from = 0, to; from < reading->row_count && status == STATUS_OK; from = to) {
    for (to = from + 1; to < reading->row_count && reading->rows[to].service == reading->rows[from].service;)
      to++;
    status = take_service(muster, reading->rows + from, to - from, changed, context, err);
  }
  return status;
}

enum status muster_refresh(struct muster *muster, struct store *durable, muster_changed *changed, void *context,
                           struct errbuf *err) {
  struct store_txn *txn;
  struct reading reading = {0};
  uint64_t sequence;
  enum status status = store_begin(durable, false, &txn, err);
  if (status == STATUS_OK) {
    status = read_rows(muster, txn, &reading, &sequence, err);
    store_abort(txn);
  }
  if (status == STATUS_OK)
    status = take_rows(muster, &reading, changed, context, err);
  muster->is_followed = status == STATUS_OK;
  if (status == STATUS_OK) {
    muster->sequence = sequence;
    muster->is_complete = true;
  }
  arena_release(&reading.arena);
  free(reading.names);
  free(reading.rows);
  return status == STATUS_OK ? status : errbuf_prefix(err, status, "durable store: ");
}
