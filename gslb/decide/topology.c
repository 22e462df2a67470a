#include "gslb/decide/topology.h"

#include <stdbool.h>
#include <stdlib.h>

#include "gslb/base/memory.h"
#include "gslb/decide/site_list.h"
#include "gslb/decide/span.h"
#include "gslb/decide/span_index.h"
#include "gslb/decide/span_map.h"

#define FAMILIES 2 /* IPv4, IPv6 */
#define NO_TREE UINT32_MAX

struct topology_tree {
  struct span_index ipv4;
  struct span_map ipv6;
  struct site_lists classes;
};

struct topology {
  struct arena arena;
  struct topology_tree *trees; /* by number of the set of sites; number 0 is the empty set */
  size_t tree_count;
  size_t tree_capacity;
  uint32_t *tree_of; /* by service; NO_TREE for one that does not prefer the nearest */
};

/* What all trees are made from: the networks laid flat, with numbers of their lists as values. */
struct flat_networks {
  struct site_lists lists;
  struct span *spans[FAMILIES];
  size_t counts[FAMILIES];
};

/* Sites taken once each, in the order met. Beginning a new set costs nothing, however many sites there are. */
struct site_set {
  uint32_t *rounds; /* by site: the round that took it */
  uint32_t round;
  uint32_t *sites;
  size_t count;
};

static void set_begin(struct site_set *set) {
  set->round++;
  set->count = 0;
}

static void set_take(struct site_set *set, uint32_t site) {
  if (set->rounds[site] == set->round)
    return;
  set->rounds[site] = set->round;
  set->sites[set->count++] = site;
}

static bool set_has(const struct site_set *set, uint32_t site) {
  return set->rounds[site] == set->round;
}

static void flatten(const struct config *config, struct site_set *set, struct flat_networks *flat) {
  uint32_t *numbers = mem_array(config->network_count, sizeof *numbers);
  site_lists_init(&flat->lists);
  for (size_t i = 0; i < config->network_count; i++) {
    const struct config_network *network = &config->networks[i];
    set_begin(set);
    for (size_t s = 0; s < network->site_count; s++)
      set_take(set, network->sites[s]);
    numbers[i] = site_lists_add(&flat->lists, set->sites, set->count);
  }

  struct span_network *networks = mem_array(config->network_count, sizeof *networks);
  for (int family = 0; family < FAMILIES; family++) {
    size_t count = 0;
    for (size_t i = 0; i < config->network_count; i++) {
      const struct prefix *prefix = &config->networks[i].prefix;
      if (prefix->family == (family ? 6 : 4))
        networks[count++] = (struct span_network){.first = span_address_of(prefix->family, prefix->bytes),
                                                  .value = numbers[i],
                                                  .bits = prefix->bits};
    }
    flat->spans[family] = mem_array(2 * count + 1, sizeof *flat->spans[family]);
    flat->counts[family] = span_flatten(networks, count, 0, flat->spans[family]);
  }
  free(networks);
  free(numbers);
}

static void flat_release(struct flat_networks *flat) {
  for (int family = 0; family < FAMILIES; family++)
    free(flat->spans[family]);
  site_lists_release(&flat->lists);
}

static int compare_sites(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

/* Where registrations may bring members to. */
static void collect_accepted(const struct config *config, const struct config_accept *accept, struct site_set *set) {
  if (!accept->is_given)
    return;
  for (size_t i = 0; i < accept->site_count; i++)
    set_take(set, accept->sites[i]);
  for (size_t i = 0; i < config->site_count && accept->site_count == 0; i++)
    set_take(set, (uint32_t)i);
}

/* Sorted, so that services that name the same sites in another order share a tree. */
static void collect_sites(const struct config *config, const struct config_service *service, struct site_set *set) {
  set_begin(set);
  collect_accepted(config, &service->accept, set);
  for (size_t i = 0; i < service->member_count; i++)
    if (service->members[i].site != UINT32_MAX)
      set_take(set, service->members[i].site);
  qsort(set->sites, set->count, sizeof *set->sites, compare_sites);
}

static void add_tree(struct topology *topology, const struct flat_networks *flat, const struct site_set *set) {
  topology->trees =
      mem_grow(topology->trees, &topology->tree_capacity, topology->tree_count + 1, sizeof *topology->trees);
  struct topology_tree *tree = &topology->trees[topology->tree_count++];
  uint32_t *class_of = mem_array(flat->lists.count, sizeof *class_of);
  uint32_t *projected = mem_array(set->count, sizeof *projected);
  site_lists_init(&tree->classes);
  for (uint32_t list = 0; list < flat->lists.count; list++) {
    size_t count, kept = 0;
    const uint32_t *sites = site_lists_get(&flat->lists, list, &count);
    for (size_t i = 0; i < count; i++)
      if (set_has(set, sites[i]))
        projected[kept++] = sites[i];
    class_of[list] = site_lists_add(&tree->classes, projected, kept);
  }
  span_index_build(&tree->ipv4, &topology->arena, flat->spans[0], flat->counts[0], class_of);
  span_map_build(&tree->ipv6, &topology->arena, flat->spans[1], flat->counts[1], class_of);
  free(projected);
  free(class_of);
}

static void add_trees(struct topology *topology, const struct config *config) {
  struct site_set set = {.rounds = mem_array(config->site_count, sizeof *set.rounds),
                         .sites = mem_array(config->site_count, sizeof *set.sites)};
  struct flat_networks flat;
  struct site_lists sets;
  flatten(config, &set, &flat);
  site_lists_init(&sets);
  set_begin(&set);
  add_tree(topology, &flat, &set);
  for (size_t i = 0; i < config->service_count; i++) {
    const struct config_service *service = &config->services[i];
    if (!service->is_nearest)
      continue;
    if (!service->name[0]) { /* a vacancy is like its pattern, which stands before it */
      topology->tree_of[i] = topology->tree_of[service->pattern];
      continue;
    }
    collect_sites(config, service, &set);
    topology->tree_of[i] = site_lists_add(&sets, set.sites, set.count);
    if (sets.count > topology->tree_count)
      add_tree(topology, &flat, &set);
  }
  site_lists_release(&sets);
  flat_release(&flat);
  free(set.rounds);
  free(set.sites);
}

struct topology *topology_new(const struct config *config) {
  struct topology *topology = mem_alloc(sizeof *topology);
  topology->tree_of = mem_array(config->service_count, sizeof *topology->tree_of);
  bool is_needed = false;
  for (size_t i = 0; i < config->service_count; i++) {
    topology->tree_of[i] = NO_TREE;
    is_needed = is_needed || config->services[i].is_nearest;
  }
  if (is_needed)
    add_trees(topology, config);
  return topology;
}

void topology_free(struct topology *topology) {
  if (!topology)
    return;
  for (size_t i = 0; i < topology->tree_count; i++)
    site_lists_release(&topology->trees[i].classes);
  arena_release(&topology->arena);
  free(topology->trees);
  free(topology->tree_of);
  free(topology);
}

const struct topology_tree *topology_of(const struct topology *topology, size_t service) {
  uint32_t number = topology->tree_of[service];
  return number == NO_TREE ? NULL : &topology->trees[number];
}

uint32_t topology_class_count(const struct topology_tree *tree) {
  return (uint32_t)tree->classes.count;
}

const uint32_t *topology_class_sites(const struct topology_tree *tree, uint32_t class, size_t *count) {
  return site_lists_get(&tree->classes, class, count);
}

struct topology_hit topology_find(const struct topology_tree *tree, uint8_t family, const uint8_t bytes[16]) {
  struct span_hit hit = family == 4 ? span_index_find(&tree->ipv4, span_ipv4_of(bytes))
                                    : span_map_find(&tree->ipv6, span_address_of(family, bytes));
  return (struct topology_hit){.class = hit.value, .scope_bits = hit.scope_bits};
}
