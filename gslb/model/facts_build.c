#include "gslb/model/facts_build.h"

#include <string.h>

#include "gslb/model/name_index.h"

void facts_build(const struct config_service *service, struct arena *arena, struct service_facts *out) {
  size_t address_count = 0;
  for (size_t i = 0; i < service->member_count; i++)
    address_count += service->members[i].address_count;
  out->service = service;
  out->members = arena_array(arena, service->member_count, sizeof *out->members);
  struct address_facts *addresses = arena_array(arena, address_count, sizeof *addresses);
  struct health_record *probes = arena_array(arena, address_count * service->monitor_count, sizeof *probes);
  for (size_t i = 0; i < address_count; i++)
    addresses[i].probes = probes + i * service->monitor_count;
  for (size_t i = 0; i < service->member_count; i++) {
    out->members[i].slot = FACTS_NO_SLOT;
    out->members[i].addresses = addresses;
    addresses += service->members[i].address_count;
  }
}

static void carry_address(const struct address_facts *from, size_t monitors, struct address_facts *to) {
  to->latch = from->latch;
  if (monitors > 0)
    memcpy(to->probes, from->probes, monitors * sizeof *to->probes);
}

static void carry_member(const struct service_facts *from, size_t old, struct service_facts *to, size_t new) {
  const struct config_member *before = &from->service->members[old], *now = &to->service->members[new];
  const struct member_facts *known = &from->members[old];
  struct member_facts *out = &to->members[new];
  struct address_facts *addresses = out->addresses;
  *out = *known;
  out->addresses = addresses;
  for (size_t i = 0; i < now->address_count; i++)
    for (size_t j = 0; j < before->address_count; j++)
      if (addr_equal(&now->addresses[i], &before->addresses[j])) {
        carry_address(&known->addresses[j], to->service->monitor_count, &addresses[i]);
        break;
      }
}

void facts_carry_over(const struct service_facts *from, size_t configured, struct service_facts *to) {
  for (size_t i = 0; i < configured; i++)
    carry_member(from, i, to, i);
  size_t old = configured, new = configured;
  while (old < from->service->member_count && new < to->service->member_count) {
    int order = strcmp(from->service->members[old].name, to->service->members[new].name);
    if (order == 0)
      carry_member(from, old, to, new);
    old += order <= 0;
    new += order >= 0;
  }
}

void facts_forget(struct service_facts *facts, enum facts_half half) {
  const struct config_service *service = facts->service;
  for (size_t i = 0; i < service->member_count; i++) {
    struct member_facts *member = &facts->members[i];
    if (half == FACTS_DURABLE) {
      member->override = NULL;
      member->slot = FACTS_NO_SLOT;
      member->load_over = 0;
    } else {
      member->lease = NULL;
      memset(member->metrics, 0, sizeof member->metrics);
    }
    for (size_t j = 0; j < service->members[i].address_count; j++) {
      struct address_facts *address = &member->addresses[j];
      if (half == FACTS_DURABLE)
        address->latch = (struct latch_record){0};
      else if (service->monitor_count > 0)
        memset(address->probes, 0, service->monitor_count * sizeof *address->probes);
    }
  }
}

size_t facts_member_of(const struct config_service *service, const char *name) {
  if (service->member_index) {
    uint32_t found = name_index_find(service->member_index, name);
    return found == NAME_INDEX_NONE ? SIZE_MAX : found;
  }
  for (size_t i = 0; i < service->member_count; i++)
    if (strcmp(service->members[i].name, name) == 0)
      return i;
  return SIZE_MAX;
}

struct address_facts *facts_address_of(const struct service_facts *facts, size_t member, const char *address) {
  const struct config_member *configured = &facts->service->members[member];
  struct addr wanted;
  if (addr_parse(address, &wanted) != STATUS_OK)
    return NULL;
  for (size_t i = 0; i < configured->address_count; i++)
    if (addr_equal(&configured->addresses[i], &wanted))
      return &facts->members[member].addresses[i];
  return NULL;
}

size_t facts_monitor_of(const struct config *config, const struct config_service *service, const char *name) {
  for (size_t i = 0; i < service->monitor_count; i++)
    if (strcmp(config->monitors[service->monitors[i]].name, name) == 0)
      return i;
  return SIZE_MAX;
}
