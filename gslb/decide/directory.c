#include "gslb/decide/directory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/decide/srv_weight.h"

#define HOST_TTL_S 120u /* RFC 6762 section 10: of records that name or describe a host */
#define OTHER_TTL_S 4500u
#define RECORD_HEAD 12u /* a compressed owner, type, class, TTL, length */
#define STRING_MOST 255u
#define SRV_TARGET_AT 6u

struct group { /* the instances of one service type */
  const char *type;
  struct name name; /* <type>.<origin> */
  struct name *instances;
  size_t count, capacity;
  size_t bytes;
};

struct draft {
  const struct directory_wish *wish;
  struct arena *arena;
  struct directory_record *records;
  size_t count, capacity;
  struct group *groups;
  size_t group_count, group_capacity;
};

struct target { /* what an SRV record says */
  struct name name;
  uint16_t priority, weight, port;
  uint32_t ttl_s;
};

struct strings { /* the data of a TXT record */
  uint8_t *bytes;
  size_t size, capacity;
};

static void add(struct draft *draft, const struct name *owner, enum directory_type type, uint32_t ttl_s,
                const void *data, size_t size) {
  assert(size <= UINT16_MAX);
  draft->records = mem_grow(draft->records, &draft->capacity, draft->count + 1, sizeof *draft->records);
  uint8_t *copy = arena_alloc(draft->arena, size ? size : 1);
  memcpy(copy, data, size);
  draft->records[draft->count++] = (struct directory_record){.owner = *owner,
                                                             .type = (uint16_t)type,
                                                             .ttl_s = ttl_s,
                                                             .data = copy,
                                                             .size = (uint16_t)size};
}

static void add_address(struct draft *draft, const struct name *owner, uint32_t ttl_s, const struct addr *addr) {
  add(draft, owner, addr->family == 4 ? DIRECTORY_A : DIRECTORY_AAAA, ttl_s, addr->bytes, addr_length(addr));
}

static size_t srv_data(const struct target *target, uint8_t out[SRV_TARGET_AT + NAME_SIZE_MOST]) {
  const uint16_t numbers[] = {target->priority, target->weight, target->port};
  for (size_t i = 0; i < 3; i++) {
    out[2 * i] = (uint8_t)(numbers[i] >> 8);
    out[2 * i + 1] = (uint8_t)numbers[i];
  }
  memcpy(out + SRV_TARGET_AT, target->name.wire, target->name.size);
  return SRV_TARGET_AT + target->name.size;
}

static void add_srv(struct draft *draft, const struct name *owner, const struct target *target) {
  uint8_t data[SRV_TARGET_AT + NAME_SIZE_MOST];
  add(draft, owner, DIRECTORY_SRV, target->ttl_s, data, srv_data(target, data));
}

static bool add_string(struct strings *strings, const char *key, const char *value) {
  size_t key_size = strlen(key), size = key_size + strlen(value);
  if (size > STRING_MOST)
    return false;
  strings->bytes = mem_grow(strings->bytes, &strings->capacity, strings->size + 1 + size, 1);
  strings->bytes[strings->size++] = (uint8_t)size;
  memcpy(strings->bytes + strings->size, key, key_size);
  memcpy(strings->bytes + strings->size + key_size, value, size - key_size);
  strings->size += size;
  return true;
}

static void add_txt(struct draft *draft, const struct name *owner, uint32_t ttl_s, struct strings *strings) {
  if (!strings->size) /* RFC 6763 section 6.1 */
    add_string(strings, "", "");
  add(draft, owner, DIRECTORY_TXT, ttl_s, strings->bytes, strings->size);
  free(strings->bytes);
}

/* Parts of kept form, "" and "." for none, put together. */
static bool compose(struct name *out, const char *first, const char *second, const char *third) {
  const char *parts[] = {first, second, third};
  char text[NAME_TEXT_SIZE];
  size_t used = 0;
  for (size_t i = 0; i < 3; i++) {
    if (!*parts[i] || strcmp(parts[i], ".") == 0)
      continue;
    int size = snprintf(text + used, sizeof text - used, "%s%s", used ? "." : "", parts[i]);
    used += (size_t)size;
    if (used >= sizeof text)
      return false;
  }
  return name_from_text(used ? text : ".", out) == STATUS_OK;
}

/* One label of any bytes before a name, in data (case kept) and as an owner. */
static bool put_label(const char *label, size_t size, const struct name *parent, struct name *data,
                      struct name *owner) {
  if (!size || size > NAME_LABEL_MOST || 1 + size + parent->size > NAME_SIZE_MOST)
    return false;
  data->size = (uint8_t)(1 + size + parent->size);
  data->wire[0] = (uint8_t)size;
  memcpy(data->wire + 1, label, size);
  memcpy(data->wire + 1 + size, parent->wire, parent->size);
  *owner = *data;
  for (size_t i = 1; i <= size; i++)
    owner->wire[i] = name_lower(owner->wire[i]);
  return true;
}

/* At most 63 bytes, without half of a UTF-8 character at the end. */
static size_t label_size(const char *text) {
  size_t size = strlen(text);
  if (size <= NAME_LABEL_MOST)
    return size;
  for (size = NAME_LABEL_MOST; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80; size--)
    ;
  return size;
}

static struct group *find_group(struct draft *draft, const char *type) {
  for (size_t i = 0; i < draft->group_count; i++)
    if (strcmp(draft->groups[i].type, type) == 0)
      return &draft->groups[i];
  struct group group = {.type = type};
  if (!compose(&group.name, type, draft->wish->origin, ""))
    return NULL;
  draft->groups = mem_grow(draft->groups, &draft->group_capacity, draft->group_count + 1, sizeof *draft->groups);
  draft->groups[draft->group_count] = group;
  return &draft->groups[draft->group_count++];
}

/* Whether the instance has this name now: not when it is taken, or no name, or there is no room. */
static bool take_instance(struct draft *draft, struct group *group, const char *label, uint32_t ttl_s,
                          struct name *owner) {
  struct name data;
  if (!put_label(label, label_size(label), &group->name, &data, owner))
    return false;
  for (size_t i = 0; i < group->count; i++)
    if (group->instances[i].size == owner->size && memcmp(group->instances[i].wire, owner->wire, owner->size) == 0)
      return false;
  if (group->count >= DIRECTORY_INSTANCES_MOST || group->bytes + RECORD_HEAD + data.size > DIRECTORY_SET_BYTES_MOST)
    return false;
  group->instances = mem_grow(group->instances, &group->capacity, group->count + 1, sizeof *group->instances);
  group->instances[group->count++] = *owner;
  group->bytes += RECORD_HEAD + data.size;
  add(draft, &group->name, DIRECTORY_PTR, ttl_s, data.wire, data.size);
  return true;
}

static bool is_usable(const struct balancer_facts *balancer, const struct directory_wish *wish) {
  const struct balancer_record *record = &balancer->record;
  return record->is_accepting && record->address_count && record->addresses[0].port && record->name[0] &&
         (record->is_own || !wish->is_multicast);
}

static struct strings register_strings(bool is_tls) {
  struct strings strings = {0};
  add_string(&strings, "path=", DIRECTORY_API_PATH);
  add_string(&strings, "api=", DIRECTORY_API_VERSION);
  add_string(&strings, "tls=", is_tls ? "1" : "0");
  return strings;
}

static void add_balancer(struct draft *draft, const struct balancer_facts *balancer, const struct name *owner,
                         bool is_tls) {
  const struct directory_wish *wish = draft->wish;
  const struct balancer_record *record = &balancer->record;
  struct target target = {.priority = record->priority,
                          .weight = record->weight,
                          .port = record->addresses[0].port,
                          .ttl_s = wish->is_multicast ? HOST_TTL_S : DIRECTORY_REGISTER_TTL_S};
  if (!compose(&target.name, record->name, wish->origin, ""))
    return;
  bool is_told = false;
  if (wish->has_register && record->is_tls == is_tls) {
    add_srv(draft, owner, &target);
    is_told = true;
  }
  struct group *group = wish->has_browse || wish->is_multicast ? find_group(draft, DIRECTORY_REGISTER) : NULL;
  struct name instance;
  uint32_t ttl_s = wish->is_multicast ? OTHER_TTL_S : DIRECTORY_REGISTER_TTL_S;
  if (group && take_instance(draft, group, balancer->identity, ttl_s, &instance)) {
    struct strings strings = register_strings(record->is_tls);
    add_srv(draft, &instance, &target);
    add_txt(draft, &instance, ttl_s, &strings);
    is_told = true;
  }
  for (uint32_t i = 0; is_told && i < record->address_count; i++)
    add_address(draft, &target.name, target.ttl_s, &record->addresses[i]);
}

static void add_balancers(struct draft *draft, const struct balancer_facts *balancers, size_t count) {
  const struct directory_wish *wish = draft->wish;
  const struct balancer_facts *speaker = NULL;
  struct name owner;
  if (!compose(&owner, DIRECTORY_REGISTER, wish->origin, ""))
    return;
  for (size_t i = 0; i < count; i++)
    if (is_usable(&balancers[i], wish) && (!speaker || balancers[i].record.is_own))
      speaker = &balancers[i];
  if (!speaker)
    return;
  for (size_t i = 0; i < count; i++)
    if (is_usable(&balancers[i], wish))
      add_balancer(draft, &balancers[i], &owner, speaker->record.is_tls);
  if (wish->has_register) {
    struct strings strings = register_strings(speaker->record.is_tls);
    add_txt(draft, &owner, wish->is_multicast ? OTHER_TTL_S : DIRECTORY_REGISTER_TTL_S, &strings);
  }
}

/* A service's name without the zone's. */
static void make_relative(const char *service, const char *zone, char *out, size_t size) {
  size_t length = strlen(service), zone_length = strcmp(zone, ".") == 0 ? 0 : strlen(zone);
  assert(length < size && zone_length <= length);
  if (zone_length)
    length = zone_length == length ? 0 : length - zone_length - 1;
  memcpy(out, service, length);
  out[length] = '\0';
}

struct listing { /* a service that is being told */
  const struct config *config;
  const struct config_service *service;
  const struct evaluation *evaluation;
  char relative[256];
  uint32_t heaviest;
  size_t set_bytes; /* of its SRV records */
};

static uint16_t preference(const struct config_service *service, size_t member) {
  size_t value = service->srv_priority + service->members[member].tier;
  if (service->method == METHOD_FIRST) /* the order of `first` is an order of preference */
    value += member;
  return value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
}

static bool find_target(const struct draft *draft, const struct listing *listing, size_t index, struct target *out) {
  const struct config_service *service = listing->service;
  const struct config_member *member = &service->members[index];
  *out = (struct target){.priority = preference(service, index),
                         .weight = balance_srv_weight(listing->evaluation->members[index].weight,
                                                      listing->evaluation->members[index].headroom, listing->heaviest),
                         .port = member->srv_port,
                         .ttl_s = listing->evaluation->ttl_s};
  if (member->target)
    return name_from_text(member->target, &out->name) == STATUS_OK;
  return draft->wish->has_services ? compose(&out->name, member->name, listing->relative, draft->wish->origin)
                                   : compose(&out->name, member->name, service->name, "");
}

static void add_member_service(struct draft *draft, struct listing *listing, size_t index, const struct name *owner,
                               const struct target *target) {
  const struct config_member *member = &listing->service->members[index];
  const struct member_state *state = &listing->evaluation->members[index];
  size_t bytes = RECORD_HEAD + SRV_TARGET_AT + target->name.size;
  if (listing->set_bytes + bytes > DIRECTORY_SET_BYTES_MOST)
    return;
  listing->set_bytes += bytes;
  add_srv(draft, owner, target);
  for (size_t i = 0; !member->target && i < member->address_count; i++)
    if (state->addresses[i].is_answered)
      add_address(draft, &target->name, target->ttl_s, &member->addresses[i]);
}

static void add_member_instance(struct draft *draft, const struct listing *listing, size_t index,
                                const struct target *target) {
  const struct config_member *member = &listing->service->members[index];
  struct group *group = find_group(draft, listing->service->srv);
  struct name owner;
  char plain[CONFIG_MEMBER_NAME_MOST + 1 + sizeof listing->relative];
  if (!group)
    return;
  snprintf(plain, sizeof plain, "%s%s%s", member->name, listing->relative[0] ? "." : "", listing->relative);
  bool is_taken = member->instance && take_instance(draft, group, member->instance, target->ttl_s, &owner);
  if (!is_taken && !take_instance(draft, group, plain, target->ttl_s, &owner))
    return;
  struct strings strings = {0};
  add_string(&strings, "service=", listing->service->name);
  for (const char *const *text = member->txt; text && *text; text++)
    add_string(&strings, "", *text);
  add_srv(draft, &owner, target);
  add_txt(draft, &owner, target->ttl_s, &strings);
}

static void add_service(struct draft *draft, const struct config *config, const struct service_facts *facts,
                        int64_t now_ms, int64_t *valid_until_ms) {
  const struct config_service *service = facts->service;
  struct arena scratch = {0};
  struct evaluation evaluation = {0};
  struct listing listing = {.config = config, .service = service, .evaluation = &evaluation};
  struct name owner;
  make_relative(service->name, config->zones[service->zone].name, listing.relative, sizeof listing.relative);
  evaluate_service(config, facts, now_ms, &scratch, &evaluation);
  if (evaluation.valid_until_ms < *valid_until_ms)
    *valid_until_ms = evaluation.valid_until_ms;
  listing.heaviest = balance_srv_heaviest(service, &evaluation);
  bool is_named = compose(&owner, service->srv, listing.relative, draft->wish->origin);
  for (size_t i = 0; i < service->member_count; i++) {
    struct target target;
    if (!evaluation.members[i].is_answered || !service->members[i].srv_port ||
        !find_target(draft, &listing, i, &target))
      continue;
    if (draft->wish->has_services && is_named)
      add_member_service(draft, &listing, i, &owner, &target);
    if (draft->wish->has_browse)
      add_member_instance(draft, &listing, i, &target);
  }
  arena_release(&scratch);
}

static void add_services(struct draft *draft, const struct config *config, const struct facts *facts, size_t zone,
                         int64_t now_ms, int64_t *valid_until_ms) {
  for (size_t i = 0; i < config->service_count; i++) {
    if (config->services[i].zone != zone || !config->services[i].srv)
      continue;
    const struct service_facts *known = facts_service(facts, i);
    const char *name = known->service->name;
    if (name[0] && name[0] != '*' && !config_service_is_pattern(known->service))
      add_service(draft, config, known, now_ms, valid_until_ms);
  }
}

int directory_compare_owners(const struct name *a, const struct name *b) {
  uint8_t starts[2][NAME_SIZE_MOST / 2 + 1];
  unsigned counts[2] = {0, 0};
  const uint8_t *wires[2] = {a->wire, b->wire};
  for (int side = 0; side < 2; side++)
    for (unsigned at = 0; wires[side][at]; at += 1u + wires[side][at])
      starts[side][counts[side]++] = (uint8_t)at;
  while (counts[0] && counts[1]) {
    const uint8_t *left = a->wire + starts[0][--counts[0]], *right = b->wire + starts[1][--counts[1]];
    int order = memcmp(left + 1, right + 1, *left < *right ? *left : *right);
    if (order || *left != *right)
      return order ? order : *left - *right;
  }
  return (int)counts[0] - (int)counts[1];
}

static int compare_records(const void *a, const void *b) {
  const struct directory_record *left = a, *right = b;
  int order = directory_compare_owners(&left->owner, &right->owner);
  if (!order)
    order = left->type - right->type;
  if (!order)
    order = memcmp(left->data, right->data, left->size < right->size ? left->size : right->size);
  return order ? order : left->size - right->size;
}

bool directory_is_same_set(const struct directory_record *a, const struct directory_record *b) {
  return a->type == b->type && a->owner.size == b->owner.size &&
         memcmp(a->owner.wire, b->owner.wire, a->owner.size) == 0;
}

bool directory_target(const struct directory_record *record, struct name *out) {
  size_t from = record->type == DIRECTORY_SRV ? SRV_TARGET_AT : 0, used = 0;
  if ((record->type != DIRECTORY_SRV && record->type != DIRECTORY_PTR) || record->size <= from ||
      record->size - from > NAME_SIZE_MOST)
    return false;
  const uint8_t *wire = record->data + from;
  size_t size = record->size - from;
  while (used < size && wire[used] && wire[used] <= NAME_LABEL_MOST)
    used += 1u + wire[used];
  if (used + 1 != size || wire[used])
    return false;
  for (size_t i = 0; i < size; i++)
    out->wire[i] = name_lower(wire[i]);
  out->size = (uint8_t)size;
  return true;
}

static void even_ttls(struct directory_record *records, size_t count) {
  for (size_t first = 0, end; first < count; first = end) {
    uint32_t least = records[first].ttl_s;
    for (end = first + 1; end < count && directory_is_same_set(&records[first], &records[end]); end++)
      if (records[end].ttl_s < least)
        least = records[end].ttl_s;
    for (size_t i = first; i < end; i++)
      records[i].ttl_s = least;
  }
}

void directory_sort(struct directory *directory) {
  struct directory_record *records = directory->records;
  size_t kept = 0;
  if (directory->count)
    qsort(records, directory->count, sizeof *records, compare_records);
  for (size_t i = 0; i < directory->count; i++)
    if (!kept || compare_records(&records[kept - 1], &records[i]) != 0)
      records[kept++] = records[i];
  directory->count = kept;
  even_ttls(records, kept);
}

static void finish(struct draft *draft, struct directory *out) {
  struct name owner;
  uint32_t ttl_s = draft->wish->is_multicast ? OTHER_TTL_S : DIRECTORY_REGISTER_TTL_S;
  bool is_named = compose(&owner, DIRECTORY_TYPES, draft->wish->origin, "");
  for (size_t i = 0; i < draft->group_count; i++) {
    struct group *group = &draft->groups[i];
    if (group->count && is_named)
      add(draft, &owner, DIRECTORY_PTR, ttl_s, group->name.wire, group->name.size);
    free(group->instances);
  }
  free(draft->groups);
  out->records = arena_array(draft->arena, draft->count ? draft->count : 1, sizeof *out->records);
  out->count = draft->count;
  if (draft->count)
    memcpy(out->records, draft->records, draft->count * sizeof *draft->records);
  directory_sort(out);
  free(draft->records);
}

void directory_build(const struct config *config, const struct facts *facts, size_t zone, int64_t now_ms,
                     const struct directory_wish *wish, struct arena *arena, struct directory *out) {
  assert(zone < config->zone_count);
  struct draft draft = {.wish = wish, .arena = arena};
  size_t count;
  const struct balancer_facts *balancers = facts_balancers(facts, &count);
  out->valid_until_ms = INT64_MAX;
  if (wish->has_register || wish->has_browse || wish->is_multicast)
    add_balancers(&draft, balancers, count);
  if ((wish->has_browse || wish->has_services) && !wish->is_multicast)
    add_services(&draft, config, facts, zone, now_ms, &out->valid_until_ms);
  finish(&draft, out);
}

void directory_build_balancers(const struct balancer_facts *balancers, size_t count, const struct directory_wish *wish,
                               struct arena *arena, struct directory *out) {
  struct draft draft = {.wish = wish, .arena = arena};
  out->valid_until_ms = INT64_MAX;
  add_balancers(&draft, balancers, count);
  finish(&draft, out);
}
