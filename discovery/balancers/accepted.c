#include "discovery/balancers/accepted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/domain.h"
#include "gslb/model/name_index.h"

struct accepted {
  struct arena arena;
  struct name_index index;
  const char **names;
  size_t count, capacity;
};

static void add(struct accepted *accepted, const char *service) {
  const char *name = arena_strdup(&accepted->arena, service);
  name_index_add(&accepted->index, &accepted->arena, name, (uint32_t)accepted->count);
  accepted->names = mem_grow(accepted->names, &accepted->capacity, accepted->count + 1, sizeof *accepted->names);
  accepted->names[accepted->count++] = name;
}

struct accepted *accepted_new(const struct config *config) {
  struct accepted *accepted = mem_alloc(sizeof *accepted);
  for (size_t i = 0; i < config->service_count; i++)
    if (config->services[i].accept.is_given && config->services[i].name[0])
      add(accepted, config->services[i].name);
  return accepted;
}

struct accepted *accepted_copy(const struct accepted *accepted) {
  struct accepted *copy = mem_alloc(sizeof *copy);
  for (size_t i = 0; i < accepted->count; i++)
    add(copy, accepted->names[i]);
  return copy;
}

void accepted_free(struct accepted *accepted) {
  if (!accepted)
    return;
  arena_release(&accepted->arena);
  free(accepted->names);
  free(accepted);
}

bool accepted_has(const struct accepted *accepted, const char *service) {
  if (name_index_find(&accepted->index, service) != NAME_INDEX_NONE)
    return true;
  const char *base = domain_parent(service);
  char pattern[DOMAIN_TEXT_SIZE + 2];
  int length = base ? snprintf(pattern, sizeof pattern, "*.%s", base) : -1;
  return length > 0 && (size_t)length < sizeof pattern && name_index_find(&accepted->index, pattern) != NAME_INDEX_NONE;
}

size_t accepted_each_lost(const struct accepted *before, const struct accepted *after, accepted_visit *visit,
                          void *context) {
  size_t lost = 0;
  for (size_t i = 0; i < before->count; i++) {
    if (accepted_has(after, before->names[i]))
      continue;
    lost++;
    if (visit)
      visit(context, before->names[i]);
  }
  return lost;
}
