#include "gslb/decide/site_list.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define CELLS_FIRST 16u

/* FNV-1a over whole numbers, then folded so that the low bits depend on all */
static uint32_t hash(const uint32_t *sites, size_t count) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (size_t i = 0; i < count; i++)
    sum = (sum ^ sites[i]) * 0x100000001b3u;
  return (uint32_t)(sum ^ sum >> 32);
}

static bool is_equal(const struct site_lists *lists, uint32_t number, uint32_t hashed, const uint32_t *sites,
                     size_t count) {
  const struct site_list *list = &lists->lists[number];
  if (list->hash != hashed || list->count != count)
    return false;
  return count == 0 || memcmp(lists->sites + list->start, sites, count * sizeof *sites) == 0;
}

static void enlarge_cells(struct site_lists *lists) {
  free(lists->cells);
  lists->cell_count = lists->cell_count ? lists->cell_count * 2 : CELLS_FIRST;
  lists->cells = mem_array(lists->cell_count, sizeof *lists->cells);
  for (uint32_t number = 0; number < lists->count; number++) {
    size_t at = lists->lists[number].hash & (lists->cell_count - 1);
    while (lists->cells[at])
      at = (at + 1) & (lists->cell_count - 1);
    lists->cells[at] = number + 1;
  }
}

void site_lists_init(struct site_lists *lists) {
  *lists = (struct site_lists){0};
  site_lists_add(lists, NULL, 0);
}

void site_lists_release(struct site_lists *lists) {
  free(lists->sites);
  free(lists->lists);
  free(lists->cells);
  *lists = (struct site_lists){0};
}

uint32_t site_lists_add(struct site_lists *lists, const uint32_t *sites, size_t count) {
  if (lists->count >= lists->cell_count / 2)
    enlarge_cells(lists);
  uint32_t hashed = hash(sites, count);
  size_t at = hashed & (lists->cell_count - 1);
  for (; lists->cells[at]; at = (at + 1) & (lists->cell_count - 1))
    if (is_equal(lists, lists->cells[at] - 1, hashed, sites, count))
      return lists->cells[at] - 1;

  assert(count <= UINT32_MAX && lists->count < UINT32_MAX);
  lists->sites = mem_grow(lists->sites, &lists->site_capacity, lists->site_count + count, sizeof *lists->sites);
  lists->lists = mem_grow(lists->lists, &lists->capacity, lists->count + 1, sizeof *lists->lists);
  if (count)
    memcpy(lists->sites + lists->site_count, sites, count * sizeof *sites);
  lists->lists[lists->count] = (struct site_list){.start = lists->site_count, .count = (uint32_t)count, .hash = hashed};
  lists->site_count += count;
  lists->cells[at] = (uint32_t)++lists->count;
  return (uint32_t)lists->count - 1;
}

const uint32_t *site_lists_get(const struct site_lists *lists, uint32_t number, size_t *count) {
  assert(number < lists->count);
  const struct site_list *list = &lists->lists[number];
  *count = list->count;
  return list->count ? lists->sites + list->start : NULL;
}
