#include "gslb/model/roster.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/base/prefix.h"
#include "gslb/model/domain.h"
#include "gslb/model/name_index.h"

#define INDEX_MEMBERS_FROM 16u /* fewer are found as fast by walking */
#define NO_VACANCY UINT32_MAX

struct seat { /* one service index */
  const struct config_service *service;
  uint64_t revision;
  struct arena arena;      /* of service, unless that is the configuration's own */
  uint32_t next_vacant;    /* of a vacancy that is vacant */
  struct created *created; /* of a vacancy that is taken */
};

struct created { /* a service that stands in a vacancy; found by name */
  char name[DOMAIN_TEXT_SIZE];
  uint32_t seat;
};

struct roster {
  const struct config *config;
  struct arena arena;
  struct seat *seats;
  uint32_t *first_vacant;    /* by service that is a pattern; NULL: there are no vacancies */
  struct name_index by_name; /* configured services */
  struct name_index by_site;
  void *created;     /* tsearch: struct created by name */
  struct arena past; /* what roster_set replaced last */
};

static int compare_created(const void *left, const void *right) {
  const struct created *a = left, *b = right;
  return strcmp(a->name, b->name);
}

static bool is_vacancy(const struct config_service *configured) {
  return configured->name[0] == '\0';
}

struct roster *roster_new(const struct config *config) {
  struct roster *roster = mem_alloc(sizeof *roster);
  roster->config = config;
  roster->seats = arena_array(&roster->arena, config->service_count, sizeof *roster->seats);
  for (size_t i = 0; i < config->service_count; i++) {
    const struct config_service *service = &config->services[i];
    roster->seats[i].service = service;
    if (!is_vacancy(service))
      name_index_add(&roster->by_name, &roster->arena, service->name, (uint32_t)i);
  }
  for (size_t i = 0; i < config->site_count; i++)
    name_index_add(&roster->by_site, &roster->arena, config->sites[i].name, (uint32_t)i);
  /* from the last, so that the first is taken first */
  for (size_t i = config->service_count; i > 0 && is_vacancy(&config->services[i - 1]); i--) {
    if (!roster->first_vacant) {
      roster->first_vacant = arena_array(&roster->arena, config->service_count, sizeof *roster->first_vacant);
      memset(roster->first_vacant, 0xff, config->service_count * sizeof *roster->first_vacant);
    }
    uint32_t pattern = config->services[i - 1].pattern;
    roster->seats[i - 1].next_vacant = roster->first_vacant[pattern];
    roster->first_vacant[pattern] = (uint32_t)(i - 1);
  }
  return roster;
}

void roster_free(struct roster *roster) {
  if (!roster)
    return;
  tdestroy(roster->created, free);
  for (size_t i = 0; i < roster->config->service_count; i++)
    arena_release(&roster->seats[i].arena);
  arena_release(&roster->past);
  arena_release(&roster->arena);
  free(roster);
}

static struct created *find_created(const struct roster *roster, const char *name) {
  struct created wanted;
  memcpy(wanted.name, name, strlen(name) + 1);
  struct created *const *found = tfind(&wanted, &roster->created, compare_created);
  return found ? *found : NULL;
}

size_t roster_find(const struct roster *roster, const char *service) {
  char wanted[DOMAIN_TEXT_SIZE];
  if (domain_read(service, DOMAIN_WILDCARD, wanted, NULL) != STATUS_OK)
    return SIZE_MAX;
  uint32_t found = name_index_find(&roster->by_name, wanted);
  if (found != NAME_INDEX_NONE)
    return found;
  const struct created *created = find_created(roster, wanted);
  return created ? created->seat : SIZE_MAX;
}

/* The name of the pattern that a service of this kept name would be created from. */
static bool pattern_name(const char *name, char out[DOMAIN_TEXT_SIZE]) {
  char label[DOMAIN_LABEL_MOST + 1];
  size_t length = strcspn(name, ".");
  if (length > DOMAIN_LABEL_MOST || !name[length])
    return false;
  memcpy(label, name, length);
  label[length] = '\0';
  if (domain_read_host_label(label, label, NULL) != STATUS_OK)
    return false;
  out[0] = '*';
  memcpy(out + 1, name + length, strlen(name + length) + 1);
  return true;
}

size_t roster_pattern_of(const struct config *config, const char *service) {
  char name[DOMAIN_TEXT_SIZE], pattern[DOMAIN_TEXT_SIZE];
  if (domain_read(service, 0, name, NULL) != STATUS_OK || !pattern_name(name, pattern))
    return SIZE_MAX;
  size_t found = config_find_service(config, pattern);
  return found != SIZE_MAX && config_service_is_pattern(&config->services[found]) ? found : SIZE_MAX;
}

static void take_vacancy(struct roster *roster, uint32_t at, const char *name) {
  struct seat *seat = &roster->seats[at];
  roster->first_vacant[roster->config->services[at].pattern] = seat->next_vacant;
  struct created *created = mem_alloc(sizeof *created);
  memcpy(created->name, name, strlen(name) + 1);
  created->seat = at;
  seat->created = created;
  struct created *const *found = tsearch(created, &roster->created, compare_created);
  if (!found)
    abort(); /* out of memory, as in gslb/base/memory */
  assert(*found == created);
}

static void leave_vacancy(struct roster *roster, uint32_t at) {
  struct seat *seat = &roster->seats[at];
  uint32_t *first = &roster->first_vacant[roster->config->services[at].pattern];
  tdelete(seat->created, &roster->created, compare_created);
  free(seat->created);
  seat->created = NULL;
  seat->next_vacant = *first;
  *first = at;
}

size_t roster_place(struct roster *roster, const char *service) {
  char name[DOMAIN_TEXT_SIZE], pattern[DOMAIN_TEXT_SIZE];
  if (domain_read(service, 0, name, NULL) != STATUS_OK)
    return SIZE_MAX;
  size_t there = roster_find(roster, name);
  if (there != SIZE_MAX)
    return roster->config->services[there].accept.is_given ? there : SIZE_MAX;
  if (!roster->first_vacant || !pattern_name(name, pattern))
    return SIZE_MAX;
  uint32_t from = name_index_find(&roster->by_name, pattern);
  uint32_t vacancy = from == NAME_INDEX_NONE ? NO_VACANCY : roster->first_vacant[from];
  if (vacancy == NO_VACANCY)
    return SIZE_MAX;
  take_vacancy(roster, vacancy, name);
  return vacancy;
}

static bool is_configured(const struct config_service *configured, const char *id) {
  if (configured->member_index)
    return name_index_find(configured->member_index, id) != NAME_INDEX_NONE;
  for (size_t i = 0; i < configured->member_count; i++)
    if (strcmp(configured->members[i].name, id) == 0)
      return true;
  return false;
}

static bool accepts_site(const struct config_accept *accept, uint32_t site) {
  for (size_t i = 0; i < accept->site_count; i++)
    if (accept->sites[i] == site)
      return true;
  return accept->site_count == 0;
}

static bool fits(const struct roster *roster, const struct config_service *configured, const struct roster_entry *entry,
                 uint32_t *site) {
  const struct member_record *record = entry->record;
  const struct config_accept *accept = &configured->accept;
  *site = record->site[0] ? name_index_find(&roster->by_site, record->site) : UINT32_MAX;
  if (!accept->is_given || (record->site[0] && *site == NAME_INDEX_NONE) || !accepts_site(accept, *site))
    return false;
  for (uint32_t i = 0; i < record->address_count && accept->network_count > 0; i++)
    if (!prefix_list_contains(accept->networks, accept->network_count, &record->addresses[i]))
      return false;
  return !is_configured(configured, entry->id);
}

static const char *const *copy_labels(struct arena *arena, const char *const *labels) {
  size_t count = 0;
  while (labels && labels[count])
    count++;
  if (count == 0)
    return NULL;
  const char **copy = arena_array(arena, count + 1, sizeof *copy);
  for (size_t i = 0; i < count; i++)
    copy[i] = arena_strdup(arena, labels[i]);
  return copy;
}

static void fill_member(struct arena *arena, const struct config_service *configured, const struct roster_entry *entry,
                        uint32_t site, struct config_member *out) {
  const struct member_record *record = entry->record;
  out->pos = configured->pos;
  out->name = arena_strdup(arena, entry->id);
  out->site = site;
  out->addresses = arena_copy(arena, record->addresses, record->address_count * sizeof *out->addresses);
  out->address_count = record->address_count;
  out->weight = record->weight;
  out->srv_port = record->port;
  out->tier = record->tier;
  out->monitors = configured->accept.monitors;
  out->is_registered = true;
  out->is_balancer = record->kind == RESOURCE_BALANCER;
  out->instance = record->instance[0] ? arena_strdup(arena, record->instance) : NULL;
  out->txt = copy_labels(arena, record->txt);
  out->utilization_url = record->utilization_url ? arena_strdup(arena, record->utilization_url) : NULL;
}

static struct config_service *build(const struct roster *roster, size_t at, const struct roster_entry *entries,
                                    size_t count, struct arena *arena) {
  const struct config_service *configured = &roster->config->services[at];
  const struct created *created = roster->seats[at].created;
  size_t most = count < configured->accept.members_most ? count : configured->accept.members_most;
  struct config_service *service = arena_copy(arena, configured, sizeof *service);
  if (created)
    service->name = arena_strdup(arena, created->name);
  service->members = arena_array(arena, configured->member_count + most, sizeof *service->members);
  if (configured->member_count > 0)
    memcpy(service->members, configured->members, configured->member_count * sizeof *service->members);
  for (size_t i = 0; i < count && service->member_count < configured->member_count + most; i++) {
    uint32_t site;
    if (fits(roster, configured, &entries[i], &site))
      fill_member(arena, configured, &entries[i], site, &service->members[service->member_count++]);
  }
  service->member_index = NULL;
  if (service->member_count < INDEX_MEMBERS_FROM)
    return service;
  struct name_index *index = arena_alloc(arena, sizeof *index);
  name_index_reserve(index, arena, service->member_count);
  for (size_t i = 0; i < service->member_count; i++)
    name_index_add(index, arena, service->members[i].name, (uint32_t)i);
  service->member_index = index;
  return service;
}

static bool same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_labels(const char *const *a, const char *const *b) {
  if (!a || !b)
    return a == b;
  for (; *a && *b; a++, b++)
    if (strcmp(*a, *b) != 0)
      return false;
  return *a == *b;
}

static bool same_member(const struct config_member *a, const struct config_member *b) {
  if (strcmp(a->name, b->name) != 0 || a->site != b->site || a->weight != b->weight || a->tier != b->tier ||
      a->srv_port != b->srv_port || a->is_balancer != b->is_balancer || a->address_count != b->address_count ||
      !same_text(a->instance, b->instance) || !same_labels(a->txt, b->txt) ||
      !same_text(a->utilization_url, b->utilization_url))
    return false;
  for (size_t i = 0; i < a->address_count; i++)
    if (!addr_equal(&a->addresses[i], &b->addresses[i]))
      return false;
  return true;
}

static bool same_members(const struct config_service *a, const struct config_service *b, size_t from) {
  if (a->member_count != b->member_count)
    return false;
  for (size_t i = from; i < a->member_count; i++)
    if (!same_member(&a->members[i], &b->members[i]))
      return false;
  return true;
}

bool roster_set(struct roster *roster, size_t service, const struct roster_entry *entries, size_t count) {
  assert(service < roster->config->service_count);
  const struct config_service *configured = &roster->config->services[service];
  struct seat *seat = &roster->seats[service];
  assert(!is_vacancy(configured) || seat->created || count == 0);
  if (count == 0 && seat->service == configured && !seat->created)
    return false;
  struct arena arena = {0};
  const struct config_service *next = build(roster, service, entries, count, &arena);
  if (next->member_count == configured->member_count) {
    arena_release(&arena);
    if (seat->created)
      leave_vacancy(roster, (uint32_t)service);
    next = configured;
  }
  if (next == seat->service || (next != configured && seat->service != configured &&
                                same_members(next, seat->service, configured->member_count))) {
    arena_release(&arena);
    return false;
  }
  arena_release(&roster->past);
  roster->past = seat->arena;
  seat->arena = arena;
  seat->service = next;
  seat->revision++;
  return true;
}

const struct config_service *roster_service(const struct roster *roster, size_t service) {
  assert(service < roster->config->service_count);
  return roster->seats[service].service;
}

uint64_t roster_revision(const struct roster *roster, size_t service) {
  assert(service < roster->config->service_count);
  return roster->seats[service].revision;
}
