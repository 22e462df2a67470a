#include "gslb/model/facts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/name_index.h"

#define INDEX_MEMBERS_FROM 16u /* fewer are found as fast by walking */

enum mark {
  MARK_PENDING = 1, /* in pending: to be read from the store at hand */
  MARK_TOUCHED = 2, /* in touched: to be told to the caller */
};

struct source {
  struct store *store; /* NULL: nothing is known from it */
  const char *name;
  const enum store_db *databases;
  size_t database_count;
  bool is_followed; /* all was read, up to sequence */
  uint64_t sequence;
};

struct list {
  uint32_t *services;
  size_t count;
};

struct facts {
  const struct config *config;
  struct arena arena;
  struct service_facts *services;
  struct name_index by_name;
  struct name_index *members; /* one a service; empty for a service of few members */
  struct source durable;
  struct source live;
  uint8_t *marks; /* one a service, of enum mark */
  struct list pending;
  struct list touched;
  bool has_begun;
  bool has_told_damage;
};

static const enum store_db durable_databases[] = {STORE_DB_ADMIN, STORE_DB_LATCHES, STORE_DB_SLOTS};
static const enum store_db live_databases[] = {STORE_DB_HEALTH};

static void build_member(struct facts *facts, const struct config_service *service, const struct config_member *member,
                         struct member_facts *out) {
  out->slot = FACTS_NO_SLOT;
  out->addresses = arena_array(&facts->arena, member->address_count, sizeof *out->addresses);
  struct health_record *probes =
      arena_array(&facts->arena, member->address_count * service->monitor_count, sizeof *probes);
  for (size_t i = 0; i < member->address_count; i++)
    out->addresses[i].probes = probes + i * service->monitor_count;
}

static void build_service(struct facts *facts, size_t at) {
  const struct config_service *service = &facts->config->services[at];
  struct service_facts *out = &facts->services[at];
  out->service = service;
  out->members = arena_array(&facts->arena, service->member_count, sizeof *out->members);
  for (size_t i = 0; i < service->member_count; i++) {
    build_member(facts, service, &service->members[i], &out->members[i]);
    if (service->member_count >= INDEX_MEMBERS_FROM)
      name_index_add(&facts->members[at], &facts->arena, service->members[i].name, (uint32_t)i);
  }
  name_index_add(&facts->by_name, &facts->arena, service->name, (uint32_t)at);
}

struct facts *facts_new(const struct config *config, struct store *durable, struct store *live) {
  struct facts *facts = mem_alloc(sizeof *facts);
  size_t count = config->service_count;
  facts->config = config;
  facts->durable = (struct source){.store = durable,
                                   .name = "durable store",
                                   .databases = durable_databases,
                                   .database_count = sizeof durable_databases / sizeof durable_databases[0]};
  facts->live = (struct source){.store = live,
                                .name = "live store",
                                .databases = live_databases,
                                .database_count = sizeof live_databases / sizeof live_databases[0]};
  facts->services = arena_array(&facts->arena, count, sizeof *facts->services);
  facts->members = arena_array(&facts->arena, count, sizeof *facts->members);
  facts->marks = arena_array(&facts->arena, count, sizeof *facts->marks);
  facts->pending.services = arena_array(&facts->arena, count, sizeof *facts->pending.services);
  facts->touched.services = arena_array(&facts->arena, count, sizeof *facts->touched.services);
  for (size_t i = 0; i < count; i++)
    build_service(facts, i);
  return facts;
}

void facts_free(struct facts *facts) {
  if (!facts)
    return;
  arena_release(&facts->arena);
  free(facts);
}

static void add_to(struct facts *facts, struct list *list, enum mark mark, size_t service) {
  if (facts->marks[service] & mark)
    return;
  facts->marks[service] |= (uint8_t)mark;
  list->services[list->count++] = (uint32_t)service;
}

static void empty(struct facts *facts, struct list *list, enum mark mark) {
  for (size_t i = 0; i < list->count; i++)
    facts->marks[list->services[i]] &= (uint8_t)~mark;
  list->count = 0;
}

static size_t find_member(const struct facts *facts, size_t at, const char *name) {
  const struct config_service *service = &facts->config->services[at];
  if (service->member_count >= INDEX_MEMBERS_FROM) {
    uint32_t found = name_index_find(&facts->members[at], name);
    return found == NAME_INDEX_NONE ? SIZE_MAX : found;
  }
  for (size_t i = 0; i < service->member_count; i++)
    if (strcmp(service->members[i].name, name) == 0)
      return i;
  return SIZE_MAX;
}

static size_t find_address(const struct config_member *member, const char *text) {
  struct addr wanted;
  if (addr_parse(text, &wanted) != STATUS_OK)
    return SIZE_MAX;
  for (size_t i = 0; i < member->address_count; i++)
    if (addr_equal(&member->addresses[i], &wanted))
      return i;
  return SIZE_MAX;
}

static size_t find_monitor(const struct config *config, const struct config_service *service, const char *name) {
  for (size_t i = 0; i < service->monitor_count; i++)
    if (strcmp(config->monitors[service->monitors[i]].name, name) == 0)
      return i;
  return SIZE_MAX;
}

#define KEY_PARTS_MOST 4

static size_t split_key(struct store_bytes key, char copy[STORE_KEY_MOST + 1], const char *parts[KEY_PARTS_MOST]) {
  if (key.size > STORE_KEY_MOST)
    return 0;
  memcpy(copy, key.data, key.size);
  copy[key.size] = '\0';
  size_t count = 0;
  for (size_t at = 0; at <= key.size; at += strlen(copy + at) + 1) {
    if (count == KEY_PARTS_MOST)
      return 0;
    parts[count++] = copy + at;
  }
  return count;
}

static void *find_place(const struct facts *facts, enum store_db db, struct store_bytes key) {
  static const uint8_t parts_of[STORE_DB_COUNT] =
      {[STORE_DB_ADMIN] = 2, [STORE_DB_SLOTS] = 2, [STORE_DB_LATCHES] = 3, [STORE_DB_HEALTH] = 4};
  char copy[STORE_KEY_MOST + 1];
  const char *parts[KEY_PARTS_MOST];
  if (split_key(key, copy, parts) != parts_of[db])
    return NULL;
  uint32_t at = name_index_find(&facts->by_name, parts[0]);
  if (at == NAME_INDEX_NONE)
    return NULL;
  const struct config_service *service = &facts->config->services[at];
  size_t member = find_member(facts, at, parts[1]);
  if (member == SIZE_MAX)
    return NULL;
  struct member_facts *known = &facts->services[at].members[member];
  if (db == STORE_DB_ADMIN)
    return &known->override;
  if (db == STORE_DB_SLOTS)
    return &known->slot;
  size_t address = find_address(&service->members[member], parts[2]);
  if (address == SIZE_MAX)
    return NULL;
  if (db == STORE_DB_LATCHES)
    return &known->addresses[address].latch;
  size_t monitor = find_monitor(facts->config, service, parts[3]);
  return monitor == SIZE_MAX ? NULL : &known->addresses[address].probes[monitor];
}

struct row {
  void *place; /* in the facts; NULL: not of this configuration */
  enum store_db db;
  size_t key_size;
  size_t value_size;
  size_t bytes; /* where key and value stand */
};

struct rows {
  struct row *items;
  size_t count;
  size_t capacity;
  uint8_t *bytes;
  size_t used;
  size_t room;
  enum store_db db; /* being read */
};

static bool copy_row(void *context, struct store_bytes key, struct store_bytes value) {
  struct rows *rows = context;
  rows->items = mem_grow(rows->items, &rows->capacity, rows->count + 1, sizeof *rows->items);
  rows->bytes = mem_grow(rows->bytes, &rows->room, rows->used + key.size + value.size, 1);
  rows->items[rows->count++] =
      (struct row){.db = rows->db, .key_size = key.size, .value_size = value.size, .bytes = rows->used};
  memcpy(rows->bytes + rows->used, key.data, key.size);
  if (value.size > 0)
    memcpy(rows->bytes + rows->used + key.size, value.data, value.size);
  rows->used += key.size + value.size;
  return true;
}

static void rows_release(struct rows *rows) {
  free(rows->items);
  free(rows->bytes);
}

static enum status decode_row(const struct rows *rows, const struct row *row, void *to) {
  const uint8_t *value = rows->bytes + row->bytes + row->key_size;
  switch (row->db) {
  case STORE_DB_ADMIN:
    return override_decode(value, row->value_size, to);
  case STORE_DB_LATCHES:
    return latch_decode(value, row->value_size, to);
  case STORE_DB_HEALTH:
    return health_decode(value, row->value_size, to);
  default:
    assert(row->db == STORE_DB_SLOTS);
  }
  struct slot_record slot;
  enum status status = slot_decode(value, row->value_size, &slot);
  if (status == STATUS_OK)
    memcpy(to, &slot.slot, sizeof slot.slot);
  return status;
}

/* Finds every row's place, so that nothing is taken over from a store that holds one of an unknown version. */
static enum status locate_rows(struct facts *facts, struct rows *rows, struct errbuf *err) {
  union {
    struct health_record health;
    struct override_record override;
    struct latch_record latch;
    uint32_t slot;
  } scratch;
  size_t damaged = 0;
  for (size_t i = 0; i < rows->count; i++) {
    struct row *row = &rows->items[i];
    row->place = find_place(facts, row->db, (struct store_bytes){rows->bytes + row->bytes, row->key_size});
    if (!row->place)
      continue;
    enum status status = decode_row(rows, row, &scratch);
    if (status == STATUS_VERSION)
      return errbuf_set(err, status, "a record was written by another version");
    if (status != STATUS_OK) {
      row->place = NULL;
      damaged++;
    }
  }
  if (damaged > 0 && !facts->has_told_damage) {
    log_warning("stores: %zu damaged records count as not stored", damaged);
    facts->has_told_damage = true;
  }
  return STATUS_OK;
}

static void forget(struct facts *facts, const struct source *source, size_t at) {
  const struct config_service *service = &facts->config->services[at];
  for (size_t i = 0; i < service->member_count; i++) {
    struct member_facts *member = &facts->services[at].members[i];
    if (source == &facts->durable) {
      member->override = (struct override_record){0};
      member->slot = FACTS_NO_SLOT;
    }
    for (size_t j = 0; j < service->members[i].address_count; j++) {
      struct address_facts *address = &member->addresses[j];
      if (source == &facts->durable)
        address->latch = (struct latch_record){0};
      else if (service->monitor_count > 0)
        memset(address->probes, 0, service->monitor_count * sizeof *address->probes);
    }
  }
}

/* Puts the rows of all pending services in the place of what was known of them. */
static enum status take_over(struct facts *facts, struct source *source, struct rows *rows, struct errbuf *err) {
  enum status status = locate_rows(facts, rows, err);
  if (status != STATUS_OK)
    return status;
  for (size_t i = 0; i < facts->pending.count; i++)
    forget(facts, source, facts->pending.services[i]);
  for (size_t i = 0; i < rows->count; i++)
    if (rows->items[i].place)
      decode_row(rows, &rows->items[i], rows->items[i].place);
  return STATUS_OK;
}

static enum status read_rows(struct facts *facts, struct source *source, struct store_txn *txn, bool all,
                             struct rows *rows, struct errbuf *err) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < source->database_count && status == STATUS_OK; i++) {
    rows->db = source->databases[i];
    if (all)
      status = store_scan(txn, rows->db, (struct store_bytes){0}, copy_row, rows);
    for (size_t j = 0; j < facts->pending.count && !all && status == STATUS_OK; j++) {
      struct record_key prefix;
      record_key_service(facts->config->services[facts->pending.services[j]].name, &prefix);
      status = store_scan(txn, rows->db, (struct store_bytes){prefix.bytes, prefix.size}, copy_row, rows);
    }
  }
  return status == STATUS_OK ? status : errbuf_set(err, status, "cannot be read");
}

struct changes {
  struct facts *facts;
  bool is_all;
};

static void note_change(void *context, const char *service) {
  struct changes *changes = context;
  if (!*service) {
    changes->is_all = true;
    return;
  }
  uint32_t at = name_index_find(&changes->facts->by_name, service);
  if (at != NAME_INDEX_NONE)
    add_to(changes->facts, &changes->facts->pending, MARK_PENDING, at);
}

static enum status find_pending(struct facts *facts, struct source *source, struct store_txn *txn, uint64_t *sequence,
                                bool *all, struct errbuf *err) {
  struct changes changes = {facts, !source->is_followed};
  *sequence = source->sequence;
  enum status status = store_changes_since(txn, sequence, changes.is_all ? NULL : note_change, &changes);
  if (status == STATUS_RANGE)
    changes.is_all = true;
  else if (status != STATUS_OK)
    return errbuf_set(err, status, "changes cannot be read");
  for (size_t i = 0; i < facts->config->service_count && changes.is_all; i++)
    add_to(facts, &facts->pending, MARK_PENDING, i);
  *all = changes.is_all;
  return STATUS_OK;
}

static enum status refresh_source(struct facts *facts, struct source *source, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(source->store, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  struct rows rows = {0};
  uint64_t sequence;
  bool all = false;
  status = find_pending(facts, source, txn, &sequence, &all, err);
  if (status == STATUS_OK)
    status = read_rows(facts, source, txn, all, &rows, err);
  store_abort(txn);
  if (status == STATUS_OK)
    status = take_over(facts, source, &rows, err);
  if (status == STATUS_OK) {
    source->sequence = sequence;
    for (size_t i = 0; i < facts->pending.count; i++)
      add_to(facts, &facts->touched, MARK_TOUCHED, facts->pending.services[i]);
  }
  source->is_followed = status == STATUS_OK;
  empty(facts, &facts->pending, MARK_PENDING);
  rows_release(&rows);
  return status;
}

enum status facts_refresh(struct facts *facts, facts_changed *changed, void *context, struct errbuf *err) {
  enum status result = STATUS_OK;
  struct source *sources[] = {&facts->durable, &facts->live};
  for (size_t i = 0; i < 2; i++) {
    if (!sources[i]->store)
      continue;
    struct errbuf *told = result == STATUS_OK ? err : NULL;
    enum status status = refresh_source(facts, sources[i], told);
    if (status != STATUS_OK && result == STATUS_OK)
      result = errbuf_prefix(told, status, "%s: ", sources[i]->name);
  }
  for (size_t i = 0; i < facts->config->service_count && !facts->has_begun; i++)
    add_to(facts, &facts->touched, MARK_TOUCHED, i);
  facts->has_begun = true;
  for (size_t i = 0; i < facts->touched.count && changed; i++)
    changed(context, facts->touched.services[i]);
  empty(facts, &facts->touched, MARK_TOUCHED);
  return result;
}

static enum status reread_source(struct facts *facts, struct source *source, size_t service, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(source->store, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  struct rows rows = {0};
  add_to(facts, &facts->pending, MARK_PENDING, service);
  status = read_rows(facts, source, txn, false, &rows, err);
  store_abort(txn);
  if (status == STATUS_OK)
    status = take_over(facts, source, &rows, err);
  empty(facts, &facts->pending, MARK_PENDING);
  rows_release(&rows);
  return status;
}

enum status facts_reread(struct facts *facts, size_t service, struct errbuf *err) {
  assert(service < facts->config->service_count);
  struct source *sources[] = {&facts->durable, &facts->live};
  for (size_t i = 0; i < 2; i++) {
    if (!sources[i]->store)
      continue;
    enum status status = reread_source(facts, sources[i], service, err);
    if (status != STATUS_OK)
      return errbuf_prefix(err, status, "%s: ", sources[i]->name);
  }
  return STATUS_OK;
}

const struct service_facts *facts_service(const struct facts *facts, size_t service) {
  assert(service < facts->config->service_count);
  return &facts->services[service];
}
