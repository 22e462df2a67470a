#include "discovery/publish/leftover.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"

struct search {
  const struct update_target *target;
  const struct update_patience *patience;
  struct arena *arena;
  struct errbuf *err;
  const struct directory *wanted;
  struct directory_record *found;
  size_t count, capacity;
  unsigned questions;
};

static void add(struct search *search, const struct directory_record *record) {
  search->found = mem_grow(search->found, &search->capacity, search->count + 1, sizeof *search->found);
  search->found[search->count++] = *record;
}

static void add_set(struct search *search, const struct name *owner, enum directory_type type) {
  add(search, &(struct directory_record){.owner = *owner, .type = (uint16_t)type, .data = (const uint8_t *)""});
}

static enum status ask(struct search *search, const struct name *owner, enum directory_type type,
                       struct directory *out) {
  if (search->questions == LEFTOVER_QUESTIONS_MOST)
    log_info("what an earlier run left behind is looked for in %u places and no further", LEFTOVER_QUESTIONS_MOST);
  *out = (struct directory){0};
  if (search->questions++ >= LEFTOVER_QUESTIONS_MOST)
    return STATUS_OK;
  return update_ask(search->target, owner, (uint16_t)type, search->patience, search->arena, out, search->err);
}

/* Texts in front of the zone's name. */
static bool below_zone(const struct search *search, const char *head, struct name *out) {
  const struct name *zone = &search->target->zone;
  struct name prefix;
  if (name_from_text(head, &prefix) != STATUS_OK || prefix.size - 1u + zone->size > NAME_SIZE_MOST)
    return false;
  memcpy(out->wire, prefix.wire, prefix.size - 1u);
  memcpy(out->wire + prefix.size - 1, zone->wire, zone->size);
  out->size = (uint8_t)(prefix.size - 1 + zone->size);
  return true;
}

static void add_targets(struct search *search, const struct directory *services, const uint8_t *parent,
                        size_t parent_size) {
  for (size_t i = 0; i < services->count; i++) {
    struct name target;
    add_set(search, &services->records[i].owner, DIRECTORY_SRV);
    if (!directory_target(&services->records[i], &target) || target.size != 1u + target.wire[0] + parent_size ||
        memcmp(target.wire + 1 + target.wire[0], parent, parent_size) != 0)
      continue;
    add_set(search, &target, DIRECTORY_A);
    add_set(search, &target, DIRECTORY_AAAA);
  }
}

static enum status find_register(struct search *search) {
  struct name owner;
  struct directory found;
  if (!below_zone(search, DIRECTORY_REGISTER, &owner))
    return STATUS_OK;
  enum status status = ask(search, &owner, DIRECTORY_SRV, &found);
  if (status != STATUS_OK || !found.count)
    return status;
  add_set(search, &owner, DIRECTORY_TXT);
  add_targets(search, &found, search->target->zone.wire, search->target->zone.size);
  return STATUS_OK;
}

static bool is_wanted(const struct search *search, const struct name *owner, enum directory_type type) {
  for (size_t i = 0; i < search->wanted->count; i++) {
    const struct directory_record *record = &search->wanted->records[i];
    if (record->type == type && record->owner.size == owner->size &&
        memcmp(record->owner.wire, owner->wire, owner->size) == 0)
      return true;
  }
  return false;
}

static bool begins(const struct directory *texts, const char *key) {
  size_t size = strlen(key);
  for (size_t i = 0; i < texts->count; i++) {
    const struct directory_record *record = &texts->records[i];
    if (record->size > size && record->data[0] >= size && memcmp(record->data + 1, key, size) == 0)
      return true;
  }
  return false;
}

static enum status find_instances(struct search *search, const struct directory_record *type) {
  struct name name, balancers;
  struct directory instances, texts;
  if (!directory_target(type, &name))
    return STATUS_OK;
  bool is_register = below_zone(search, DIRECTORY_REGISTER, &balancers) && balancers.size == name.size &&
                     memcmp(balancers.wire, name.wire, name.size) == 0;
  enum status status = ask(search, &name, DIRECTORY_PTR, &instances);
  for (size_t i = 0; i < instances.count && status == STATUS_OK; i++) {
    struct name instance;
    if (!directory_target(&instances.records[i], &instance) || is_wanted(search, &instance, DIRECTORY_SRV))
      continue;
    status = ask(search, &instance, DIRECTORY_TXT, &texts);
    if (status != STATUS_OK || !begins(&texts, is_register ? "path=" : "service="))
      continue;
    add(search, &instances.records[i]);
    add(search, type);
    add_set(search, &instance, DIRECTORY_SRV);
    add_set(search, &instance, DIRECTORY_TXT);
  }
  return status;
}

static enum status find_types(struct search *search) {
  struct name owner;
  struct directory types;
  if (!below_zone(search, DIRECTORY_TYPES, &owner))
    return STATUS_OK;
  enum status status = ask(search, &owner, DIRECTORY_PTR, &types);
  for (size_t i = 0; i < types.count && status == STATUS_OK; i++)
    status = find_instances(search, &types.records[i]);
  return status;
}

static enum status find_services(struct search *search, const struct leftover_places *places) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < places->service_count && status == STATUS_OK; i++) {
    const struct name *owner = &places->services[i];
    struct directory found;
    status = ask(search, owner, DIRECTORY_SRV, &found);
    size_t head = 1u + owner->wire[0]; /* _type._proto stands before the service */
    head += 1u + owner->wire[head];
    if (status == STATUS_OK)
      add_targets(search, &found, owner->wire + head, owner->size - head);
  }
  return status;
}

enum status leftover_find(const struct update_target *target, const struct leftover_places *places,
                          const struct directory *wanted, const struct update_patience *patience, struct arena *arena,
                          struct directory *out, struct errbuf *err) {
  struct search search = {.target = target, .patience = patience, .arena = arena, .err = err, .wanted = wanted};
  enum status status = find_register(&search);
  if (status == STATUS_OK)
    status = find_types(&search);
  if (status == STATUS_OK)
    status = find_services(&search, places);
  if (status == STATUS_OK) {
    out->records = arena_array(arena, search.count ? search.count : 1, sizeof *out->records);
    out->count = search.count;
    if (search.count)
      memcpy(out->records, search.found, search.count * sizeof *search.found);
    directory_sort(out);
  }
  free(search.found);
  return status;
}
