#include "gslb/model/facts.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/facts_build.h"
#include "gslb/model/facts_figures.h"
#include "gslb/model/facts_links.h"
#include "gslb/model/facts_place.h"
#include "gslb/model/facts_rows.h"
#include "gslb/model/name_index.h"
#include "gslb/model/roster.h"

enum mark {
  MARK_PENDING = 1, /* in pending: to be read from the store at hand */
  MARK_TOUCHED = 2, /* in touched: to be told to the caller */
  MARK_REBUILT = 4, /* in rebuilt: its members are others now, so the live store must be read for them */
  MARK_SEATED = 8,  /* has rows of members among those just read */
};

struct source {
  struct store *store; /* NULL: nothing is known from it */
  const char *name;
  enum facts_half half;
  bool is_followed; /* all was read, up to sequence */
  uint64_t sequence;
};

struct list {
  uint32_t *services;
  size_t count;
};

struct strangers { /* names that were marked, are no service yet, and fit a pattern; each once */
  struct arena arena;
  struct name_index index;
  const char **names;
  size_t count, capacity;
};

struct facts {
  const struct config *config;
  struct roster *roster;
  struct arena arena;
  struct service_facts *services;
  struct arena *memories;  /* by service: of its facts when its members are not the configured ones alone */
  struct arena *figures;   /* by service: of its members' figures, from one reading to the next */
  struct arena *leases;    /* likewise, of its members' leases */
  struct arena *overrides; /* likewise, of its members' overrides, which few have */
  struct facts_links links;
  struct source durable;
  struct source live;
  uint8_t *marks; /* one a service, of enum mark */
  struct list pending;
  struct list touched;
  struct list rebuilt;
  struct strangers strangers;
  struct balancer_facts *balancers;
  size_t balancer_count;
  bool is_balancers_pending, is_balancers_touched;
  bool has_begun;
  bool has_told_damage;
};

struct facts *facts_new(const struct config *config, struct store *durable, struct store *live) {
  struct facts *facts = mem_alloc(sizeof *facts);
  size_t count = config->service_count;
  facts->config = config;
  facts->roster = roster_new(config);
  facts->durable = (struct source){.store = durable, .name = "durable store", .half = FACTS_DURABLE};
  facts->live = (struct source){.store = live, .name = "live store", .half = FACTS_LIVE};
  facts->services = arena_array(&facts->arena, count, sizeof *facts->services);
  facts->memories = arena_array(&facts->arena, count, sizeof *facts->memories);
  facts->figures = arena_array(&facts->arena, count, sizeof *facts->figures);
  facts->leases = arena_array(&facts->arena, count, sizeof *facts->leases);
  facts->overrides = arena_array(&facts->arena, count, sizeof *facts->overrides);
  facts->marks = arena_array(&facts->arena, count, sizeof *facts->marks);
  struct list *lists[] = {&facts->pending, &facts->touched, &facts->rebuilt};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    lists[i]->services = arena_array(&facts->arena, count, sizeof *lists[i]->services);
  for (size_t i = 0; i < count; i++)
    facts_build(roster_service(facts->roster, i), &facts->arena, &facts->services[i]);
  facts_links_build(config, &facts->arena, facts->services, &facts->links);
  for (size_t i = 0; i < count; i++)
    facts_links_connect(&facts->links, facts->services[i].service->name, facts->services, &facts->services[i]);
  return facts;
}

void facts_free(struct facts *facts) {
  if (!facts)
    return;
  for (size_t i = 0; i < facts->config->service_count; i++) {
    arena_release(&facts->memories[i]);
    arena_release(&facts->figures[i]);
    arena_release(&facts->leases[i]);
    arena_release(&facts->overrides[i]);
  }
  facts_links_release(&facts->links);
  roster_free(facts->roster);
  arena_release(&facts->strangers.arena);
  free(facts->strangers.names);
  free(facts->balancers);
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

static void add_stranger(struct facts *facts, const char *name) {
  struct strangers *strangers = &facts->strangers;
  if (name_index_find(&strangers->index, name) != NAME_INDEX_NONE || roster_pattern_of(facts->config, name) == SIZE_MAX)
    return;
  const char *copy = arena_strdup(&strangers->arena, name);
  strangers->names = mem_grow(strangers->names, &strangers->capacity, strangers->count + 1, sizeof *strangers->names);
  name_index_add(&strangers->index, &strangers->arena, copy, (uint32_t)strangers->count);
  strangers->names[strangers->count++] = copy;
}

static void forget_strangers(struct facts *facts) {
  arena_release(&facts->strangers.arena);
  facts->strangers.index = (struct name_index){0};
  facts->strangers.count = 0;
}

static void tell_damage(struct facts *facts, size_t damaged) {
  if (damaged > 0 && !facts->has_told_damage) {
    log_warning("stores: %zu damaged records count as not stored", damaged);
    facts->has_told_damage = true;
  }
}

static enum status written_by_another(struct errbuf *err) {
  return errbuf_set(err, STATUS_VERSION, "a record was written by another version");
}

static void keep_figures(struct facts *facts, const struct facts_row *row) {
  struct member_facts *member = row->place;
  member->metrics[metrics_source_of(row->db)] = facts_figures_copy(&facts->figures[row->service], row->figures);
}

static void keep_lease(struct facts *facts, const struct facts_row *row, struct store_bytes value) {
  struct lease_record record;
  struct member_facts *member = row->place;
  if (lease_decode(value.data, value.size, &record) == STATUS_OK)
    member->lease = arena_copy(&facts->leases[row->service], &record,
                               offsetof(struct lease_record, self_reason) + strlen(record.self_reason) + 1);
}

static void keep_override(struct facts *facts, const struct facts_row *row, struct store_bytes value) {
  struct override_record record;
  struct member_facts *member = row->place;
  if (override_decode(value.data, value.size, &record) == STATUS_OK)
    member->override = arena_copy(&facts->overrides[row->service], &record, sizeof record);
}

/* Puts the rows of all pending services in the place of what was known of them. */
static enum status take_over(struct facts *facts, const struct source *source, struct facts_rows *rows,
                             struct errbuf *err) {
  struct facts_places places = {facts->config, facts->roster, facts->services};
  size_t damaged = 0;
  if (facts_locate(&places, rows, &damaged) != STATUS_OK)
    return written_by_another(err);
  tell_damage(facts, damaged);
  for (size_t i = 0; i < facts->pending.count; i++) {
    uint32_t service = facts->pending.services[i];
    facts_forget(&facts->services[service], source->half);
    if (source->half == FACTS_LIVE) {
      arena_release(&facts->figures[service]);
      arena_release(&facts->leases[service]);
    } else {
      arena_release(&facts->overrides[service]);
    }
  }
  for (size_t i = 0; i < rows->count; i++) {
    const struct facts_row *row = &rows->items[i];
    if (row->place && row->figures)
      keep_figures(facts, row);
    else if (row->place && row->db == STORE_DB_ADMIN)
      keep_override(facts, row, facts_row_value(rows, row));
    else if (row->place && row->db == STORE_DB_LEASES)
      keep_lease(facts, row, facts_row_value(rows, row));
    else if (row->place)
      (void)facts_decode(&places, rows, row, row->place);
  }
  return STATUS_OK;
}

/* Registered members */

static void touch(void *context, size_t service) {
  struct facts *facts = context;
  add_to(facts, &facts->touched, MARK_TOUCHED, service);
}

static void rebuild(struct facts *facts, size_t at) {
  struct service_facts before = facts->services[at];
  struct arena memory = {0};
  /* the roster keeps what it replaced until its next change */
  facts_build(roster_service(facts->roster, at), &memory, &facts->services[at]);
  if (strcmp(before.service->name, facts->services[at].service->name) == 0) {
    facts_carry_over(&before, facts->config->services[at].member_count, &facts->services[at]);
  } else {
    facts_links_connect(&facts->links, before.service->name, facts->services, NULL);
    facts_links_each(&facts->links, before.service->name, touch, facts);
    facts_links_connect(&facts->links, facts->services[at].service->name, facts->services, &facts->services[at]);
  }
  arena_release(&facts->memories[at]);
  facts->memories[at] = memory;
  facts->services[at].revision = roster_revision(facts->roster, at);
  add_to(facts, &facts->touched, MARK_TOUCHED, at);
  add_to(facts, &facts->rebuilt, MARK_REBUILT, at);
}

struct group { /* the rows of one service's members */
  char service[STORE_KEY_MOST + 1];
  size_t first;
  size_t count;
};

/* The group that begins with the row at *next or after, which moves behind it. */
static bool next_group(const struct facts_rows *rows, size_t *next, struct group *out) {
  *out = (struct group){.count = 0};
  for (; *next < rows->count; ++*next) {
    const struct facts_row *row = &rows->items[*next];
    struct facts_key key = {.count = 0};
    if (row->db == STORE_DB_MEMBERS)
      facts_key_split(facts_row_key(rows, row), &key);
    bool is_one = row->db == STORE_DB_MEMBERS && key.count == 2;
    if (out->count > 0 && (!is_one || strcmp(out->service, key.parts[0]) != 0))
      return true;
    if (!is_one)
      continue;
    if (out->count++ == 0) {
      strcpy(out->service, key.parts[0]);
      out->first = *next;
    }
  }
  return out->count > 0;
}

static enum status check_members(struct facts *facts, const struct facts_rows *rows, struct errbuf *err) {
  struct arena arena = {0};
  size_t damaged = 0;
  struct group group;
  for (size_t next = 0; next_group(rows, &next, &group);) {
    if (roster_find(facts->roster, group.service) == SIZE_MAX &&
        roster_pattern_of(facts->config, group.service) == SIZE_MAX)
      continue;
    for (size_t i = 0; i < group.count; i++) {
      struct store_bytes value = facts_row_value(rows, &rows->items[group.first + i]);
      struct member_record record;
      enum status status = member_decode(value.data, value.size, &arena, &record);
      if (status == STATUS_VERSION) {
        arena_release(&arena);
        return written_by_another(err);
      }
      damaged += status != STATUS_OK;
    }
    arena_release(&arena);
  }
  tell_damage(facts, damaged);
  return STATUS_OK;
}

static void note_kinds(struct service_facts *facts, const struct roster_entry *entries, size_t count) {
  const struct config_service *service = facts->service;
  size_t at = 0;
  for (size_t i = 0; i < service->member_count; i++) {
    if (!service->members[i].is_registered)
      continue;
    while (at < count && strcmp(entries[at].id, service->members[i].name) < 0)
      at++;
    if (at < count && strcmp(entries[at].id, service->members[i].name) == 0)
      facts->members[i].kind = entries[at].record->kind;
  }
}

static void seat_group(struct facts *facts, const struct facts_rows *rows, const struct group *group) {
  size_t at = roster_place(facts->roster, group->service);
  if (at == SIZE_MAX)
    return;
  struct arena arena = {0};
  struct roster_entry *entries = arena_array(&arena, group->count, sizeof *entries);
  size_t count = 0;
  for (size_t i = 0; i < group->count; i++) {
    const struct facts_row *row = &rows->items[group->first + i];
    struct store_bytes value = facts_row_value(rows, row);
    struct member_record *record = arena_alloc(&arena, sizeof *record);
    struct facts_key key;
    facts_key_split(facts_row_key(rows, row), &key);
    if (member_decode(value.data, value.size, &arena, record) == STATUS_OK)
      entries[count++] = (struct roster_entry){group->service, arena_strdup(&arena, key.parts[1]), record};
  }
  if (roster_set(facts->roster, at, entries, count))
    rebuild(facts, at);
  note_kinds(&facts->services[at], entries, count);
  if (facts->services[at].service->name[0])
    add_to(facts, &facts->pending, MARK_PENDING, at);
  arena_release(&arena);
}

/* Makes the roster of every pending service, and of strangers, what the rows say. Services that lost all their members
 * come first, then those that are there: both may leave a vacancy that a stranger takes. */
static enum status seat_members(struct facts *facts, const struct facts_rows *rows, struct errbuf *err) {
  enum status status = check_members(facts, rows, err);
  if (status != STATUS_OK)
    return status;
  struct group group;
  for (size_t next = 0; next_group(rows, &next, &group);) {
    size_t at = roster_find(facts->roster, group.service);
    if (at != SIZE_MAX)
      facts->marks[at] |= MARK_SEATED;
  }
  size_t pending = facts->pending.count;
  for (size_t i = 0; i < pending; i++) {
    size_t at = facts->pending.services[i];
    if (!(facts->marks[at] & MARK_SEATED) && roster_set(facts->roster, at, NULL, 0))
      rebuild(facts, at);
    facts->marks[at] &= (uint8_t)~MARK_SEATED;
  }
  for (int turn = 0; turn < 2; turn++)
    for (size_t next = 0; next_group(rows, &next, &group);) {
      bool is_there = roster_find(facts->roster, group.service) != SIZE_MAX;
      if (is_there == (turn == 0))
        seat_group(facts, rows, &group);
    }
  return STATUS_OK;
}

/* Balancers */

static enum status take_balancers(struct facts *facts, const struct facts_rows *rows, struct errbuf *err) {
  if (!facts->is_balancers_pending)
    return STATUS_OK;
  struct balancer_facts *balancers;
  size_t count, damaged = 0;
  if (facts_decode_balancers(rows, &balancers, &count, &damaged) != STATUS_OK)
    return written_by_another(err);
  tell_damage(facts, damaged);
  facts->is_balancers_touched |= count + facts->balancer_count > 0;
  free(facts->balancers);
  facts->balancers = balancers;
  facts->balancer_count = count;
  return STATUS_OK;
}

const struct balancer_facts *facts_balancers(const struct facts *facts, size_t *count) {
  *count = facts->balancer_count;
  return facts->balancers;
}

/* Reading */

static enum status read_leases(const struct facts *facts, struct store_txn *txn, struct facts_rows *rows) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < facts->pending.count && status == STATUS_OK; i++)
    status = facts_rows_by_id(rows, txn, STORE_DB_LEASES, facts->services[facts->pending.services[i]].service);
  return status;
}

static enum status read_named(struct store_txn *txn, enum store_db db, const char *service, struct facts_rows *rows) {
  struct record_key prefix;
  if (!*service)
    return STATUS_OK;
  record_key_service(service, &prefix);
  return facts_rows_scan(rows, txn, db, (struct store_bytes){prefix.bytes, prefix.size});
}

static bool has_load(const struct facts *facts, size_t service) {
  return service != SIZE_MAX && facts->config->services[service].load < facts->config->load_count;
}

static enum status read_load_latches(const struct facts *facts, struct store_txn *txn, bool all,
                                     struct facts_rows *rows) {
  enum status status = STATUS_OK;
  if (facts->config->load_count == 0)
    return STATUS_OK;
  if (all) /* created services have no place yet, and nothing else has rows there */
    return facts_rows_scan(rows, txn, STORE_DB_LOAD_LATCHES, (struct store_bytes){0});
  for (size_t i = 0; i < facts->pending.count && status == STATUS_OK; i++) {
    uint32_t service = facts->pending.services[i];
    if (has_load(facts, service))
      status = read_named(txn, STORE_DB_LOAD_LATCHES, facts->services[service].service->name, rows);
  }
  for (size_t i = 0; i < facts->strangers.count && status == STATUS_OK; i++)
    if (has_load(facts, roster_pattern_of(facts->config, facts->strangers.names[i])))
      status = read_named(txn, STORE_DB_LOAD_LATCHES, facts->strangers.names[i], rows);
  return status;
}

static enum status read_rows(const struct facts *facts, const struct source *source, struct store_txn *txn, bool all,
                             struct facts_rows *rows, struct errbuf *err) {
  static const enum store_db durable[] = {STORE_DB_MEMBERS, STORE_DB_ADMIN, STORE_DB_LATCHES, STORE_DB_SLOTS};
  static const enum store_db live[] = {STORE_DB_HEALTH};
  bool is_live = source->half == FACTS_LIVE;
  const enum store_db *databases = is_live ? live : durable;
  size_t count = is_live ? sizeof live / sizeof *live : sizeof durable / sizeof *durable;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    if (all)
      status = facts_rows_scan(rows, txn, databases[i], (struct store_bytes){0});
    for (size_t j = 0; j < facts->pending.count && !all && status == STATUS_OK; j++)
      status = read_named(txn, databases[i], facts->services[facts->pending.services[j]].service->name, rows);
    for (size_t j = 0; j < facts->strangers.count && !all && status == STATUS_OK; j++)
      status = read_named(txn, databases[i], facts->strangers.names[j], rows);
  }
  if (!is_live && status == STATUS_OK)
    status = read_load_latches(facts, txn, all, rows);
  for (size_t i = 0; i < facts->pending.count && is_live && status == STATUS_OK; i++)
    status = facts_figures_read(facts->config, facts->services[facts->pending.services[i]].service, txn, rows);
  if (is_live && status == STATUS_OK)
    status = read_leases(facts, txn, rows);
  if (is_live && status == STATUS_OK && facts->is_balancers_pending)
    status = facts_rows_scan(rows, txn, STORE_DB_BALANCERS, (struct store_bytes){0});
  return status == STATUS_OK ? status : errbuf_set(err, status, "cannot be read");
}

static enum status take_rows(struct facts *facts, const struct source *source, struct facts_rows *rows,
                             struct errbuf *err) {
  enum status status = STATUS_OK;
  if (source->half == FACTS_DURABLE)
    status = seat_members(facts, rows, err);
  if (status == STATUS_OK)
    status = take_over(facts, source, rows, err);
  if (status == STATUS_OK && source->half == FACTS_LIVE)
    status = take_balancers(facts, rows, err);
  return status;
}

/* Following */

struct changes {
  struct facts *facts;
  const struct source *source;
  bool is_all;
};

static void note_change(void *context, const char *service) {
  struct changes *changes = context;
  struct facts *facts = changes->facts;
  if (!*service) {
    changes->is_all = true;
    return;
  }
  if (strcmp(service, STORE_BALANCERS) == 0) {
    facts->is_balancers_pending = true;
    return;
  }
  size_t at = roster_find(facts->roster, service);
  if (at != SIZE_MAX)
    add_to(facts, &facts->pending, MARK_PENDING, at);
  else if (changes->source->half == FACTS_DURABLE)
    add_stranger(facts, service);
}

static enum status find_pending(struct facts *facts, const struct source *source, struct store_txn *txn,
                                uint64_t *sequence, bool *all, struct errbuf *err) {
  struct changes changes = {facts, source, !source->is_followed};
  *sequence = source->sequence;
  enum status status = store_changes_since(txn, sequence, changes.is_all ? NULL : note_change, &changes);
  if (status == STATUS_RANGE)
    changes.is_all = true;
  else if (status != STATUS_OK)
    return errbuf_set(err, status, "changes cannot be read");
  for (size_t i = 0; i < facts->config->service_count && changes.is_all; i++)
    add_to(facts, &facts->pending, MARK_PENDING, i);
  for (size_t i = 0; i < facts->rebuilt.count && source->half == FACTS_LIVE; i++)
    add_to(facts, &facts->pending, MARK_PENDING, facts->rebuilt.services[i]);
  facts->is_balancers_pending |= changes.is_all;
  *all = changes.is_all;
  return STATUS_OK;
}

static void end_reading(struct facts *facts, const struct source *source, struct facts_rows *rows) {
  empty(facts, &facts->pending, MARK_PENDING);
  forget_strangers(facts);
  if (source->half == FACTS_LIVE)
    empty(facts, &facts->rebuilt, MARK_REBUILT);
  facts->is_balancers_pending = false;
  facts_rows_release(rows);
}

static enum status refresh_source(struct facts *facts, struct source *source, struct errbuf *err) {
  struct store_txn *txn;
  struct facts_rows rows = {0};
  uint64_t sequence = 0;
  bool all = false;
  enum status status = store_begin(source->store, false, &txn, err);
  if (status == STATUS_OK) {
    status = find_pending(facts, source, txn, &sequence, &all, err);
    if (status == STATUS_OK)
      status = read_rows(facts, source, txn, all, &rows, err);
    store_abort(txn);
  }
  if (status == STATUS_OK)
    status = take_rows(facts, source, &rows, err);
  if (status == STATUS_OK) {
    source->sequence = sequence;
    for (size_t i = 0; i < facts->pending.count; i++)
      add_to(facts, &facts->touched, MARK_TOUCHED, facts->pending.services[i]);
  }
  source->is_followed = status == STATUS_OK;
  end_reading(facts, source, &rows);
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
  /* the list grows while it is walked, by those that look at what was touched, and so on */
  for (size_t i = 0; i < facts->touched.count; i++)
    facts_links_each(&facts->links, facts->services[facts->touched.services[i]].service->name, touch, facts);
  for (size_t i = 0; i < facts->touched.count && changed; i++)
    changed(context, facts->touched.services[i]);
  if (facts->is_balancers_touched && changed)
    changed(context, FACTS_BALANCERS);
  facts->is_balancers_touched = false;
  empty(facts, &facts->touched, MARK_TOUCHED);
  empty(facts, &facts->rebuilt, MARK_REBUILT);
  return result;
}

static enum status reread_source(struct facts *facts, struct source *source, size_t service, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(source->store, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  struct facts_rows rows = {0};
  add_to(facts, &facts->pending, MARK_PENDING, service);
  status = read_rows(facts, source, txn, false, &rows, err);
  store_abort(txn);
  if (status == STATUS_OK)
    status = take_rows(facts, source, &rows, err);
  end_reading(facts, source, &rows);
  return status;
}

enum status facts_reread(struct facts *facts, size_t service, struct errbuf *err) {
  assert(service < facts->config->service_count);
  if (!facts->services[service].service->name[0])
    return STATUS_OK;
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

size_t facts_find_service(const struct facts *facts, const char *name) {
  return roster_find(facts->roster, name);
}

size_t facts_find_member(const struct facts *facts, size_t service, const char *name) {
  return config_find_member(facts_service(facts, service)->service, name);
}

const struct service_facts *facts_service(const struct facts *facts, size_t service) {
  assert(service < facts->config->service_count);
  return &facts->services[service];
}
