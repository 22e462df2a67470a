#include "gslb/model/facts_place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/facts_build.h"
#include "gslb/model/facts_figures.h"
#include "gslb/model/load_latch.h"

/* Rows come service by service, so the last answer is mostly the next one. */
struct finder {
  const struct facts_places *places;
  char name[STORE_KEY_MOST + 1];
  size_t service;
};

static size_t find_service(struct finder *finder, const char *name) {
  if (strcmp(finder->name, name) != 0) {
    strcpy(finder->name, name);
    finder->service = roster_find(finder->places->roster, name);
  }
  return finder->service;
}

static void *find_place(struct finder *finder, enum store_db db, struct store_bytes key) {
  static const uint8_t parts_of[STORE_DB_COUNT] = {[STORE_DB_ADMIN] = 2,         [STORE_DB_SLOTS] = 2,
                                                   [STORE_DB_LEASES] = 2,        [STORE_DB_LOAD_LATCHES] = 2,
                                                   [STORE_DB_METRICS_AGENT] = 2, [STORE_DB_METRICS_PROBE] = 2,
                                                   [STORE_DB_METRICS_SNMP] = 2,  [STORE_DB_METRICS_SCRAPE] = 2,
                                                   [STORE_DB_METRICS_CHECK] = 2, [STORE_DB_METRICS_UTILIZATION] = 2,
                                                   [STORE_DB_LATCHES] = 3,       [STORE_DB_HEALTH] = 4};
  struct facts_key split;
  facts_key_split(key, &split);
  if (split.count == 0 || split.count != parts_of[db])
    return NULL;
  size_t at = find_service(finder, split.parts[0]);
  if (at == SIZE_MAX)
    return NULL;
  const struct service_facts *known = &finder->places->services[at];
  size_t member = facts_member_of(known->service, split.parts[1]);
  if (member == SIZE_MAX)
    return NULL;
  if (parts_of[db] == 2)
    return &known->members[member];
  struct address_facts *address = facts_address_of(known, member, split.parts[2]);
  if (!address)
    return NULL;
  if (db == STORE_DB_LATCHES)
    return &address->latch;
  size_t monitor = facts_monitor_of(finder->places->config, known->service, split.parts[3]);
  return monitor == SIZE_MAX ? NULL : &address->probes[monitor];
}

static const struct config_load *load_of(const struct facts_places *places, const struct facts_row *row) {
  return facts_figures_load(places->config, places->services[row->service].service);
}

static enum status decode_load_latch(const struct config_load *load, struct store_bytes value, uint64_t *over) {
  struct load_latch_record latch;
  enum status status = load_latch_decode(value.data, value.size, &latch);
  if (status == STATUS_OK)
    *over = load_latch_unpack(load, &latch);
  return status;
}

enum status facts_decode(const struct facts_places *places, const struct facts_rows *rows, const struct facts_row *row,
                         void *to) {
  struct store_bytes value = facts_row_value(rows, row);
  struct member_facts *member = to;
  struct slot_record slot;
  enum status status;
  switch (row->db) {
  case STORE_DB_ADMIN:
    return override_decode(value.data, value.size, to);
  case STORE_DB_LATCHES:
    return latch_decode(value.data, value.size, to);
  case STORE_DB_HEALTH:
    return health_decode(value.data, value.size, to);
  case STORE_DB_LEASES:
    return lease_decode(value.data, value.size, to);
  case STORE_DB_LOAD_LATCHES:
    return decode_load_latch(load_of(places, row), value, &member->load_over);
  default:
    assert(row->db == STORE_DB_SLOTS);
  }
  status = slot_decode(value.data, value.size, &slot);
  if (status == STATUS_OK)
    member->slot = slot.slot;
  return status;
}

static enum status decode_figures(const struct facts_places *places, struct facts_rows *rows, struct facts_row *row) {
  return facts_figures_decode(load_of(places, row), metrics_source_of(row->db), facts_row_value(rows, row),
                              &rows->arena, &row->figures);
}

enum status facts_locate(const struct facts_places *places, struct facts_rows *rows, size_t *damaged) {
  union {
    struct health_record health;
    struct latch_record latch;
    struct override_record override;
    struct lease_record lease;
    struct member_facts member;
  } scratch;
  struct finder finder = {.places = places, .service = SIZE_MAX};
  for (size_t i = 0; i < rows->count; i++) {
    struct facts_row *row = &rows->items[i];
    if (row->db == STORE_DB_MEMBERS || row->db == STORE_DB_BALANCERS)
      continue;
    row->place = find_place(&finder, row->db, facts_row_key(rows, row));
    if (!row->place)
      continue;
    row->service = (uint32_t)finder.service;
    enum status status = metrics_source_of(row->db) == METRICS_SOURCES ? facts_decode(places, rows, row, &scratch)
                                                                       : decode_figures(places, rows, row);
    if (status == STATUS_VERSION)
      return status;
    if (status != STATUS_OK) {
      row->place = NULL;
      ++*damaged;
    }
  }
  return STATUS_OK;
}

enum status facts_decode_balancers(const struct facts_rows *rows, struct balancer_facts **out, size_t *count,
                                   size_t *damaged) {
  struct balancer_facts *balancers = NULL;
  size_t found = 0, capacity = 0;
  for (size_t i = 0; i < rows->count; i++) {
    if (rows->items[i].db != STORE_DB_BALANCERS)
      continue;
    struct store_bytes key = facts_row_key(rows, &rows->items[i]), value = facts_row_value(rows, &rows->items[i]);
    balancers = mem_grow(balancers, &capacity, found + 1, sizeof *balancers);
    struct balancer_facts *balancer = &balancers[found];
    enum status status = balancer_decode(value.data, value.size, &balancer->record);
    if (status == STATUS_VERSION) {
      free(balancers);
      return status;
    }
    if (status != STATUS_OK || key.size >= sizeof balancer->identity || memchr(key.data, '\0', key.size)) {
      ++*damaged;
      continue;
    }
    memcpy(balancer->identity, key.data, key.size);
    balancer->identity[key.size] = '\0';
    found++;
  }
  *out = balancers;
  *count = found;
  return STATUS_OK;
}
