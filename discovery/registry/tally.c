#include "discovery/registry/tally.h"

#include <assert.h>
#include <stdlib.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/domain.h"

/* jansson's objects are the hash tables: name -> integer, never 0. */
struct tally {
  size_t resources;
  json_t *owners, *services, *below;
  struct tally_change *pending;
};

struct tally *tally_new(void) {
  struct tally *tally = mem_alloc(sizeof *tally);
  tally->owners = value_must(json_object());
  tally->services = value_must(json_object());
  tally->below = value_must(json_object());
  return tally;
}

void tally_free(struct tally *tally) {
  if (!tally)
    return;
  json_decref(tally->owners);
  json_decref(tally->services);
  json_decref(tally->below);
  free(tally);
}

static json_int_t get(const json_t *counts, const char *name) {
  return json_integer_value(json_object_get(counts, name));
}

/* Returns the count as it is then. */
static json_int_t move(json_t *counts, const char *name, int by) {
  json_t *value = json_object_get(counts, name);
  json_int_t count = json_integer_value(value) + by;
  assert(count >= 0);
  if (count == 0)
    json_object_del(counts, name);
  else if (value)
    json_integer_set(value, count);
  else
    json_object_set_new(counts, name, json_integer(count));
  return count;
}

size_t tally_count(const struct tally *tally, enum tally_kind kind, const char *name) {
  switch (kind) {
  case TALLY_RESOURCES:
    return tally->resources;
  case TALLY_OWNER:
    return (size_t)get(tally->owners, name);
  case TALLY_SERVICE:
    return (size_t)get(tally->services, name);
  case TALLY_BELOW:
    return (size_t)get(tally->below, name);
  }
  return 0;
}

static void count(struct tally *tally, const struct tally_holding *holding, int by) {
  if (!holding->owner)
    return;
  tally->resources += (size_t)by;
  move(tally->owners, holding->owner, by);
  for (size_t i = 0; i < holding->service_count; i++) {
    json_int_t members = move(tally->services, holding->services[i], by);
    if (members == (by > 0 ? 1 : 0))
      move(tally->below, domain_parent(holding->services[i]), by);
  }
}

void tally_add(struct tally *tally, const struct tally_holding *holding) {
  count(tally, holding, 1);
}

static void take_back(struct tally *tally, struct tally_change *change) {
  count(tally, &change->after, -1);
  count(tally, &change->before, 1);
}

void tally_begin(struct tally *tally, struct tally_change *change) {
  if (!change->is_pending)
    return;
  while (tally->pending) {
    struct tally_change *pending = tally->pending;
    take_back(tally, pending);
    tally->pending = pending->next;
    pending->is_pending = false;
  }
}

void tally_apply(struct tally *tally, struct tally_change *change) {
  assert(!change->is_pending);
  count(tally, &change->before, -1);
  count(tally, &change->after, 1);
  change->is_pending = true;
  change->next = tally->pending;
  tally->pending = change;
}

void tally_settle(struct tally *tally, struct tally_change *change, bool is_stored) {
  if (!change->is_pending)
    return;
  struct tally_change **at = &tally->pending;
  while (*at != change)
    at = &(*at)->next;
  *at = change->next;
  change->is_pending = false;
  if (!is_stored)
    take_back(tally, change);
}
