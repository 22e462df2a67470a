#include "probes/watch.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

static int compare_keys(const struct record_key *a, const struct record_key *b) {
  size_t shorter = a->size < b->size ? a->size : b->size;
  int order = memcmp(a->bytes, b->bytes, shorter);
  if (order != 0)
    return order;
  return (a->size > b->size) - (a->size < b->size);
}

static int compare_watches(const void *a, const void *b) {
  const struct watch *const *left = a, *const *right = b;
  return compare_keys(&(*left)->row.key, &(*right)->row.key);
}

static uint8_t *encode(const struct live_row *row, size_t *size) {
  const struct watch *watch = (const struct watch *)(const void *)((const char *)row - offsetof(struct watch, row));
  uint8_t *bytes = mem_alloc(RECORD_SIZE_MOST);
  *size = health_encode(&watch->record, bytes);
  return bytes;
}

/* Of a member's address, its monitor_address, or whom the monitor itself names. */
static struct addr probed_address(const struct config_member *member, const struct addr *address,
                                  const struct config_monitor *monitor) {
  struct addr probed = *address;
  if (member->monitor_address.family)
    probed = member->monitor_address;
  if (monitor->address.family)
    probed = monitor->address;
  if (!probed.port)
    probed.port = monitor->port;
  return probed;
}

static struct watch *watch_new(const struct config *config, const struct config_service *service,
                               const struct config_member *member, const struct addr *address,
                               const struct config_monitor *monitor) {
  struct watch *watch = mem_alloc(sizeof *watch);
  record_key_probe(service->name, member->name, address, monitor->name, &watch->row.key);
  watch->row.db = STORE_DB_HEALTH;
  watch->row.encode = encode;
  watch->record.state = (enum health)monitor->starts_as;
  watch->address = *address;
  watch->target.config = config;
  watch->target.monitor = monitor;
  /* off the key, which lives as long: a registered member's names go when its service's members change */
  watch->target.service = (const char *)watch->row.key.bytes;
  watch->target.address = probed_address(member, address, monitor);
  return watch;
}

const char *watch_member(const struct watch *watch) {
  return watch->target.service + strlen(watch->target.service) + 1;
}

static void drop_doubles(struct watch_list *list) {
  size_t kept = 0;
  for (size_t i = 0; i < list->count; i++) {
    if (kept > 0 && compare_watches(&list->items[kept - 1], &list->items[i]) == 0)
      free(list->items[i]);
    else
      list->items[kept++] = list->items[i];
  }
  list->count = kept;
}

static void add_member(const struct config *config, const struct config_service *service,
                       const struct config_member *member, struct watch_list *list, size_t *capacity) {
  list->items = mem_grow(list->items, capacity, list->count + member->address_count * service->monitor_count,
                         sizeof *list->items);
  for (size_t a = 0; a < member->address_count; a++)
    for (size_t p = 0; p < service->monitor_count; p++) {
      const struct config_monitor *monitor = &config->monitors[service->monitors[p]];
      if (member->monitors >> p & 1 && probe_is_made(monitor->type))
        list->items[list->count++] = watch_new(config, service, member, &member->addresses[a], monitor);
    }
}

void watch_list_build(const struct config *config, const struct config_service *service, struct watch_list *out) {
  struct watch_list list = {0};
  size_t capacity = 0;
  bool is_watched = service->name[0] && !config_service_is_pattern(service);
  for (size_t m = 0; m < service->member_count && is_watched; m++)
    add_member(config, service, &service->members[m], &list, &capacity);
  if (list.count > 0)
    qsort(list.items, list.count, sizeof(struct watch *), compare_watches);
  drop_doubles(&list);
  *out = list;
}

void watch_list_release(struct watch_list *list) {
  for (size_t i = 0; i < list->count; i++)
    free(list->items[i]);
  free(list->items);
  *list = (struct watch_list){0};
}

struct watch *watch_list_find(const struct watch_list *list, const struct record_key *key) {
  size_t low = 0, high = list->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare_keys(key, &list->items[middle]->row.key);
    if (order == 0)
      return list->items[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}
