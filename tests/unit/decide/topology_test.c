#include "gslb/decide/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/random.h"

#define SITES 6
#define NETWORKS_MOST 48
#define SERVICES_MOST 4
#define MEMBERS_MOST 8
#define POINTS_MOST (2 * NETWORKS_MOST)
#define ROUNDS 4000
#define ADDRESSES 12 /* a round and service */

#define NO_SITE UINT32_MAX

/* A configuration with only what topology_new reads. */
struct world {
  struct config config;
  struct config_site sites[SITES];
  struct config_network networks[NETWORKS_MOST];
  uint32_t lists[NETWORKS_MOST][SITES];
  struct config_service services[SERVICES_MOST];
  struct config_member members[SERVICES_MOST][MEMBERS_MOST];
};

static void world_init(struct world *world) {
  memset(world, 0, sizeof *world);
  world->config.sites = world->sites;
  world->config.site_count = SITES;
  world->config.networks = world->networks;
  world->config.services = world->services;
}

static void add_network(struct world *world, const struct prefix *prefix, const uint32_t *sites, size_t count) {
  size_t at = world->config.network_count++;
  assert_true(at < NETWORKS_MOST && count <= SITES);
  memcpy(world->lists[at], sites, count * sizeof *sites);
  world->networks[at] = (struct config_network){.prefix = *prefix, .sites = world->lists[at], .site_count = count};
}

/* sites: one letter each, 'a' for site 0. */
static void add(struct world *world, const char *text, const char *sites) {
  struct prefix prefix;
  uint32_t list[SITES];
  assert_int_equal(prefix_parse(text, &prefix), STATUS_OK);
  for (size_t i = 0; sites[i]; i++)
    list[i] = (uint32_t)(sites[i] - 'a');
  add_network(world, &prefix, list, strlen(sites));
}

static void add_service(struct world *world, const uint32_t *sites, size_t count, bool is_nearest) {
  size_t at = world->config.service_count++;
  assert_true(at < SERVICES_MOST && count <= MEMBERS_MOST);
  for (size_t i = 0; i < count; i++)
    world->members[at][i].site = sites[i];
  world->services[at] = (struct config_service){.name = "a.example.com",
                                                .members = world->members[at],
                                                .member_count = count,
                                                .is_nearest = is_nearest};
}

static struct topology_hit find(const struct topology_tree *tree, const char *text) {
  struct addr addr;
  assert_int_equal(addr_parse(text, &addr), STATUS_OK);
  return topology_find(tree, addr.family, addr.bytes);
}

/* sites: as for add; "" for class 0. */
static void expect(const struct topology *topology, size_t service, const char *text, const char *sites,
                   uint8_t scope_bits) {
  const struct topology_tree *tree = topology_of(topology, service);
  struct topology_hit hit = find(tree, text);
  size_t count;
  const uint32_t *list = topology_class_sites(tree, hit.class, &count);
  assert_true(hit.class < topology_class_count(tree));
  assert_int_equal(hit.class == 0, sites[0] == '\0');
  assert_int_equal(count, strlen(sites));
  for (size_t i = 0; i < count; i++)
    assert_int_equal(list[i], sites[i] - 'a');
  assert_int_equal(hit.scope_bits, scope_bits);
}

static const uint32_t all_sites[SITES] = {0, 1, 2, 3, 4, 5};

static void without_networks_all_clients_are_alike(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  assert_int_equal(topology_class_count(topology_of(topology, 0)), 1);
  expect(topology, 0, "192.0.2.1", "", 0);
  expect(topology, 0, "2001:db8::1", "", 0);
  topology_free(topology);
}

static void a_network_of_all_addresses_has_scope_0(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "0.0.0.0/0", "ab");
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "0.0.0.0", "ab", 0);
  expect(topology, 0, "255.255.255.255", "ab", 0);
  expect(topology, 0, "::1", "", 0);
  topology_free(topology);
}

static void single_addresses_have_the_longest_scope(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "192.0.2.1/32", "a");
  add(&world, "255.255.255.255/32", "a");
  add(&world, "2001:db8::5/128", "b");
  add(&world, "::/128", "b");
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "192.0.2.1", "a", 32);
  expect(topology, 0, "192.0.2.0", "", 32);
  expect(topology, 0, "192.0.2.2", "", 31);
  expect(topology, 0, "255.255.255.255", "a", 32);
  expect(topology, 0, "255.255.255.254", "", 32);
  expect(topology, 0, "0.0.0.0", "", 1);
  expect(topology, 0, "2001:db8::5", "b", 128);
  expect(topology, 0, "2001:db8::4", "", 128);
  expect(topology, 0, "::", "b", 128);
  expect(topology, 0, "8000::", "", 1);
  topology_free(topology);
}

static void an_outer_network_is_as_narrow_as_what_it_holds_demands(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "10.0.0.0/8", "ab");
  add(&world, "10.1.2.0/24", "ba");
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "10.1.2.3", "ba", 24);
  expect(topology, 0, "10.1.3.3", "ab", 24);
  expect(topology, 0, "10.1.0.1", "ab", 23);
  expect(topology, 0, "10.128.0.1", "ab", 9);
  expect(topology, 0, "11.0.0.1", "", 8);
  topology_free(topology);
}

static void equal_neighbours_are_one_network(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "10.0.0.0/24", "ab");
  add(&world, "10.0.1.0/24", "ab");
  add(&world, "10.0.2.0/23", "ab");
  add(&world, "10.0.4.0/24", "ab");
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "10.0.1.1", "ab", 22);
  expect(topology, 0, "10.0.4.1", "ab", 24);
  assert_int_equal(topology_class_count(topology_of(topology, 0)), 2);
  topology_free(topology);
}

static void sites_that_a_service_lacks_make_no_difference(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "10.0.0.0/9", "cab");
  add(&world, "10.128.0.0/9", "acb");
  add(&world, "11.0.0.0/8", "c");
  const uint32_t two[] = {1, 0, NO_SITE, 1}, three[] = {2, 1, 0};
  add_service(&world, two, 4, true);
  add_service(&world, three, 3, true);
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "10.0.0.1", "ab", 8);
  expect(topology, 0, "11.0.0.1", "", 8);
  expect(topology, 0, "12.0.0.1", "", 6);
  assert_int_equal(topology_class_count(topology_of(topology, 0)), 2);
  expect(topology, 1, "10.0.0.1", "cab", 9);
  expect(topology, 1, "11.0.0.1", "c", 8);
  assert_int_equal(topology_class_count(topology_of(topology, 1)), 4);
  topology_free(topology);
}

static void services_that_use_the_same_sites_share_a_tree(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "10.0.0.0/8", "ab");
  const uint32_t one_way[] = {0, 3}, other_way[] = {3, NO_SITE, 0, 0}, none[] = {NO_SITE};
  add_service(&world, one_way, 2, true);
  add_service(&world, one_way, 2, false);
  add_service(&world, other_way, 4, true);
  add_service(&world, none, 1, true);
  struct topology *topology = topology_new(&world.config);
  assert_non_null(topology_of(topology, 0));
  assert_null(topology_of(topology, 1));
  assert_ptr_equal(topology_of(topology, 0), topology_of(topology, 2));
  assert_ptr_not_equal(topology_of(topology, 0), topology_of(topology, 3));
  expect(topology, 0, "10.0.0.1", "a", 8);
  expect(topology, 3, "10.0.0.1", "", 0);
  topology_free(topology);
}

static void services_that_do_not_prefer_the_nearest_have_no_tree(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "10.0.0.0/8", "ab");
  add_service(&world, all_sites, SITES, false);
  struct topology *topology = topology_new(&world.config);
  assert_null(topology_of(topology, 0));
  topology_free(topology);
  topology_free(NULL);
}

static void a_site_named_twice_stands_where_it_was_named_first(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "10.0.0.0/9", "abab");
  add(&world, "10.128.0.0/9", "ab");
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "10.0.0.1", "ab", 8);
  topology_free(topology);
}

static void mapped_addresses_are_ipv6(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "192.0.2.0/24", "a");
  add(&world, "::ffff:192.0.2.128/121", "b");
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "192.0.2.200", "a", 24);
  expect(topology, 0, "::ffff:192.0.2.200", "b", 121);
  expect(topology, 0, "::ffff:192.0.2.100", "", 121);
  topology_free(topology);
}

static void of_an_ipv4_address_only_four_bytes_count(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "192.0.2.0/24", "a");
  add_service(&world, all_sites, SITES, true);
  struct topology *topology = topology_new(&world.config);
  uint8_t bytes[16];
  memset(bytes, 0xff, sizeof bytes);
  memcpy(bytes, (uint8_t[]){192, 0, 2, 255}, 4);
  struct topology_hit hit = topology_find(topology_of(topology, 0), 4, bytes);
  assert_int_equal(hit.class, 1);
  assert_int_equal(hit.scope_bits, 24);
  topology_free(topology);
}

/* Against plain reading of the definition, over random worlds. */

struct list {
  uint32_t sites[SITES];
  size_t count;
};

/* Where the decision can change, for one service and family, and what it is from there on. */
struct points {
  struct addr addresses[POINTS_MOST];
  struct list lists[POINTS_MOST];
  size_t count;
};

static bool uses(const struct config_service *service, uint32_t site) {
  for (size_t i = 0; i < service->member_count; i++)
    if (service->members[i].site == site)
      return true;
  return false;
}

static struct list list_of(const struct world *world, const struct config_service *service, const struct addr *addr) {
  const struct config_network *best = NULL;
  struct list list = {.count = 0};
  for (size_t i = 0; i < world->config.network_count; i++) {
    const struct config_network *network = &world->networks[i];
    if (prefix_contains(&network->prefix, addr) && (!best || network->prefix.bits >= best->prefix.bits))
      best = network;
  }
  for (size_t i = 0; best && i < best->site_count; i++)
    if (uses(service, best->sites[i]))
      list.sites[list.count++] = best->sites[i];
  return list;
}

static bool is_same(const struct list *a, const struct list *b) {
  return a->count == b->count && memcmp(a->sites, b->sites, a->count * sizeof *a->sites) == 0;
}

/* The first address after the prefix; false at the end of the space. */
static bool after(const struct prefix *prefix, struct addr *out) {
  *out = (struct addr){.family = prefix->family};
  memcpy(out->bytes, prefix->bytes, sizeof out->bytes);
  for (int bit = prefix->bits - 1; bit >= 0; bit--) {
    uint8_t mask = (uint8_t)(0x80 >> bit % 8);
    out->bytes[bit / 8] ^= mask;
    if (out->bytes[bit / 8] & mask)
      return true;
  }
  return false;
}

static void collect_points(const struct world *world, const struct config_service *service, uint8_t family,
                           struct points *points) {
  points->count = 0;
  for (size_t i = 0; i < world->config.network_count; i++) {
    const struct prefix *prefix = &world->networks[i].prefix;
    if (prefix->family != family)
      continue;
    struct addr *at = &points->addresses[points->count];
    *at = (struct addr){.family = family};
    memcpy(at->bytes, prefix->bytes, sizeof at->bytes);
    points->count += 1 + after(prefix, at + 1);
  }
  for (size_t i = 0; i < points->count; i++)
    points->lists[i] = list_of(world, service, &points->addresses[i]);
}

/* Whether all addresses that share so many bits with this one have its list: the block's own first address and all
 * points within tell. */
static bool is_uniform(const struct world *world, const struct config_service *service, const struct points *points,
                       const struct addr *addr, uint8_t bits) {
  struct prefix block = {.family = addr->family, .bits = bits};
  memcpy(block.bytes, addr->bytes, sizeof block.bytes);
  prefix_mask(block.bytes, bits);
  struct addr first = {.family = addr->family};
  memcpy(first.bytes, block.bytes, sizeof first.bytes);
  struct list list = list_of(world, service, &first);
  for (size_t i = 0; i < points->count; i++)
    if (prefix_contains(&block, &points->addresses[i]) && !is_same(&points->lists[i], &list))
      return false;
  return true;
}

static void random_list(struct random *random, uint32_t *sites, size_t *count) {
  *count = 1 + random_below(random, random_below(random, 2) ? 2 : SITES);
  for (size_t i = 0; i < *count; i++) {
    bool is_new;
    do {
      is_new = true;
      sites[i] = random_below(random, SITES);
      for (size_t j = 0; j < i; j++)
        is_new = is_new && sites[j] != sites[i];
    } while (!is_new);
  }
}

static void flip(uint8_t *bytes, uint32_t bit) {
  bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

/* Half of the networks lie in, around or beside an earlier one. */
static void random_prefix(struct random *random, const struct world *world, struct prefix *prefix) {
  uint8_t width;
  if (world->config.network_count && random_below(random, 2)) {
    *prefix = world->networks[random_below(random, (uint32_t)world->config.network_count)].prefix;
    width = prefix->family == 4 ? 32 : 128;
    if (random_below(random, 3) == 0 && prefix->bits)
      flip(prefix->bytes, prefix->bits - 1u);
  } else {
    *prefix = (struct prefix){.family = random_below(random, 2) ? 4 : 6};
    width = prefix->family == 4 ? 32 : 128;
    prefix->bits = (uint8_t)random_below(random, width + 1u);
  }
  uint8_t kept = prefix->bits;
  int bits = kept + (int)random_below(random, 17) - 8;
  prefix->bits = (uint8_t)(bits < 0 ? 0 : bits > width ? width : bits);
  for (uint32_t bit = kept; bit < prefix->bits; bit++)
    if (random_below(random, 2))
      flip(prefix->bytes, bit);
  prefix_mask(prefix->bytes, prefix->bits);
}

static void random_world(struct random *random, struct world *world) {
  world_init(world);
  size_t networks = random_below(random, NETWORKS_MOST + 1), services = 1 + random_below(random, SERVICES_MOST);
  for (size_t i = 0; i < networks; i++) {
    struct prefix prefix;
    uint32_t sites[SITES];
    size_t count;
    random_prefix(random, world, &prefix);
    random_list(random, sites, &count);
    add_network(world, &prefix, sites, count);
  }
  for (size_t i = 0; i < services; i++) {
    uint32_t sites[MEMBERS_MOST];
    size_t count = random_below(random, 5);
    for (size_t s = 0; s < count; s++)
      sites[s] = random_below(random, 8) ? random_below(random, SITES) : NO_SITE;
    add_service(world, sites, count, true);
  }
}

/* Anywhere, or at an edge of a network, or near one. */
static struct addr random_address(struct random *random, const struct points *points, uint8_t family) {
  struct addr addr = {.family = family};
  uint8_t width = family == 4 ? 32 : 128;
  if (points->count == 0 || random_below(random, 4) == 0) {
    for (size_t i = 0; i < addr_length(&addr); i++)
      addr.bytes[i] = (uint8_t)random_below(random, 256);
    return addr;
  }
  addr = points->addresses[random_below(random, (uint32_t)points->count)];
  if (random_below(random, 3) == 0) /* the one before; at the start of the space the last */
    for (int i = (int)addr_length(&addr) - 1; i >= 0 && addr.bytes[i]-- == 0; i--)
      ;
  for (uint32_t flips = random_below(random, 3); flips; flips--)
    flip(addr.bytes, random_below(random, width));
  return addr;
}

static void check_address(struct random *random, const struct world *world, const struct topology_tree *tree,
                          const struct config_service *service, const struct points *points, struct addr addr) {
  uint8_t width = addr.family == 4 ? 32 : 128;
  struct topology_hit hit = topology_find(tree, addr.family, addr.bytes);
  struct list wanted = list_of(world, service, &addr), found;
  const uint32_t *sites = topology_class_sites(tree, hit.class, &found.count);
  assert_true(found.count <= SITES);
  if (found.count)
    memcpy(found.sites, sites, found.count * sizeof *sites);
  assert_true(is_same(&found, &wanted));
  assert_int_equal(hit.class == 0, wanted.count == 0);

  assert_true(hit.scope_bits <= width);
  assert_true(is_uniform(world, service, points, &addr, hit.scope_bits));
  if (hit.scope_bits)
    assert_false(is_uniform(world, service, points, &addr, hit.scope_bits - 1));
  for (int sample = 0; sample < 4; sample++) {
    struct addr other = addr;
    for (uint32_t bit = hit.scope_bits; bit < width; bit++)
      if (random_below(random, 2))
        flip(other.bytes, bit);
    struct topology_hit same = topology_find(tree, other.family, other.bytes);
    assert_int_equal(same.class, hit.class);
    assert_int_equal(same.scope_bits, hit.scope_bits);
  }
}

static void random_nested_networks_give_the_longest_match_and_the_exact_scope(void **state) {
  (void)state;
  static struct world world;
  static struct points points;
  struct random random;
  random_seed(&random, 7871);
  for (int round = 0; round < ROUNDS; round++) {
    random_world(&random, &world);
    struct topology *topology = topology_new(&world.config);
    for (size_t i = 0; i < world.config.service_count; i++) {
      uint8_t family = random_below(&random, 2) ? 4 : 6;
      collect_points(&world, &world.services[i], family, &points);
      for (int n = 0; n < ADDRESSES; n++)
        check_address(&random, &world, topology_of(topology, i), &world.services[i], &points,
                      random_address(&random, &points, family));
    }
    topology_free(topology);
  }
}

static void a_service_that_accepts_may_use_the_sites_it_accepts(void **state) {
  (void)state;
  struct world world;
  world_init(&world);
  add(&world, "10.0.0.0/8", "fedcba");
  add_service(&world, (const uint32_t[]){2}, 1, true);
  add_service(&world, (const uint32_t[]){2}, 1, true);
  add_service(&world, NULL, 0, true);
  add_service(&world, NULL, 0, true);
  world.services[0].accept = (struct config_accept){.is_given = true, .sites = (uint32_t[]){0, 4}, .site_count = 2};
  world.services[2].accept = (struct config_accept){.is_given = true, .services_most = 1};
  world.services[2].pattern = CONFIG_NO_PATTERN;
  world.services[3] = world.services[2];
  world.services[3].name = "";
  world.services[3].pattern = 2;
  struct topology *topology = topology_new(&world.config);
  expect(topology, 0, "10.1.2.3", "eca", 8);
  expect(topology, 1, "10.1.2.3", "c", 8);
  expect(topology, 2, "10.1.2.3", "fedcba", 8);
  assert_ptr_equal(topology_of(topology, 3), topology_of(topology, 2));
  topology_free(topology);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_service_that_accepts_may_use_the_sites_it_accepts),
      cmocka_unit_test(without_networks_all_clients_are_alike),
      cmocka_unit_test(a_network_of_all_addresses_has_scope_0),
      cmocka_unit_test(single_addresses_have_the_longest_scope),
      cmocka_unit_test(an_outer_network_is_as_narrow_as_what_it_holds_demands),
      cmocka_unit_test(equal_neighbours_are_one_network),
      cmocka_unit_test(sites_that_a_service_lacks_make_no_difference),
      cmocka_unit_test(services_that_use_the_same_sites_share_a_tree),
      cmocka_unit_test(services_that_do_not_prefer_the_nearest_have_no_tree),
      cmocka_unit_test(a_site_named_twice_stands_where_it_was_named_first),
      cmocka_unit_test(mapped_addresses_are_ipv6),
      cmocka_unit_test(of_an_ipv4_address_only_four_bytes_count),
      cmocka_unit_test(random_nested_networks_give_the_longest_match_and_the_exact_scope),
  };
  return cmocka_run_group_tests_name("topology", tests, NULL, NULL);
}
