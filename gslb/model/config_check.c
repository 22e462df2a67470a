#include "gslb/model/config_check.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "gslb/base/addr.h"
#include "gslb/model/config_schema.h"
#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"

const struct document_node *config_place(const struct document_node *map, const char *key) {
  const struct document_node *value = document_find(map, key);
  return value ? value : map;
}

void config_define(struct schema_reader *reader, struct name_index *index, const char *what, const char *name,
                   const struct document_node *place, const void *items, const void *item, size_t item_size) {
  if (!name)
    return;
  size_t number = (size_t)((const char *)item - (const char *)items) / item_size;
  uint32_t first = name_index_add(index, reader->arena, name, (uint32_t)number);
  if (first == NAME_INDEX_NONE)
    return;
  struct config_pos pos;
  memcpy(&pos, (const char *)items + first * item_size, sizeof pos);
  char text[SCHEMA_PLACE_SIZE];
  schema_problem(reader, place, "%s \"%s\" is defined twice; first at %s", what, name,
                 schema_place(reader, pos, place->pos, text));
}

char *config_state_path(struct schema_reader *reader, const char *below) {
  const struct config_names *names = reader->context;
  const char *state = names->config->server.state;
  if (!state)
    return NULL;
  size_t size = strlen(state) + strlen(below) + 2;
  char *path = arena_alloc(reader->arena, size);
  snprintf(path, size, "%s/%s", state, below);
  return path;
}

void config_check_repeated(struct schema_reader *reader, const struct document_node *list, const char *what) {
  if (!list || list->kind != DOCUMENT_LIST || list->count > CONFIG_NETWORK_SITES_MOST)
    return; /* a list that is too long was reported, and comparing all of it with all of it could take hours */
  for (const struct document_node *item = list->first; item; item = item->next)
    for (const struct document_node *earlier = list->first; earlier != item; earlier = earlier->next)
      if (item->kind == DOCUMENT_SCALAR && earlier->kind == DOCUMENT_SCALAR &&
          strcasecmp(item->text, earlier->text) == 0) {
        char quoted[SCALAR_QUOTED_SIZE];
        schema_problem(reader, item, "%s \"%s\" is listed twice", what, scalar_quote(item->text, quoted));
        break;
      }
}

void config_check_addresses(struct schema_reader *reader, const struct document_node *list, const char *what,
                            const struct addr *addresses, size_t count) {
  const struct document_node *item = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  for (size_t i = 0; i < count && item; i++, item = item->next)
    for (size_t j = 0; j < i && addresses[i].family; j++)
      if (addr_equal(&addresses[i], &addresses[j])) {
        char text[ADDR_TEXT_SIZE];
        if (addresses[i].port)
          addr_format_port(&addresses[i], text);
        else
          addr_format(&addresses[i], text);
        schema_problem(reader, item, "%s %s is listed twice", what, text);
        break;
      }
}

bool config_is_unspecified(const struct addr *addr) {
  static const uint8_t zero[sizeof addr->bytes] = {0};
  return memcmp(addr->bytes, zero, sizeof zero) == 0;
}

bool config_is_host(const struct addr *addr) {
  if (addr->family == 4)
    return addr->bytes[0] != 0 && addr->bytes[0] < 224;
  return !config_is_unspecified(addr) && addr->bytes[0] != 0xff;
}

void config_make_program(struct schema_reader *reader, const struct document_node *place, const char *const *command) {
  if (command && command[0])
    ((const char **)command)[0] = schema_path(reader, place->pos, command[0]);
}

/* Server */

static uint32_t cores;

static void count_cores(void) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
  cores = count < 1 ? 1 : count > (int)CONFIG_WORKERS_MOST ? CONFIG_WORKERS_MOST : (uint32_t)count;
}

/* Counted once: sockets are opened for the first count, and a thread that is bound to a core would count itself. */
static uint32_t core_count(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, count_cores);
  return cores;
}

static const char *host_name(struct schema_reader *reader) {
  char host[DOMAIN_TEXT_SIZE] = "", name[DOMAIN_TEXT_SIZE];
  if (gethostname(host, sizeof host - 1) != 0 || domain_read(host, 0, name, NULL) != STATUS_OK)
    return "localhost";
  return arena_strdup(reader->arena, name);
}

static const char *run_directory(struct schema_reader *reader) {
  const char *given = getenv("RUNTIME_DIRECTORY");
  if (given && *given == '/')
    return arena_strndup(reader->arena, given, strcspn(given, ":")); /* systemd.exec(5): several, split by colons */
  return config_state_path(reader, "run");
}

/* Each address has a thread of its own for each worker, and TCP one more. */
static void check_workers(struct schema_reader *reader, const struct document_node *node,
                          struct config_server *server) {
  uint32_t most = CONFIG_THREADS_MOST / ((uint32_t)server->listen_count + 1);
  if (!server->workers)
    server->workers = core_count() < most ? core_count() : most;
  else if (server->workers > most)
    schema_problem(reader, config_place(node, "workers"),
                   "%u workers on %zu addresses are more than %u threads: at most %u", server->workers,
                   server->listen_count, CONFIG_THREADS_MOST, most);
}

void config_check_server(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_server *server = record;
  config_check_addresses(reader, document_find(node, "listen"), "address", server->listen, server->listen_count);
  if (!server->identity)
    server->identity = host_name(reader);
  check_workers(reader, node, server);
  if (!server->run && server->state)
    server->run = run_directory(reader);
  if (!document_find(node, "nsid"))
    server->nsid = server->identity;
  config_make_program(reader, config_place(node, "on_change"), server->on_change);
}

void config_check_rate_limit(struct schema_reader *reader, const struct document_node *node, void *record) {
  static const struct prefix standard[] = {{.family = 4, .bits = 8, .bytes = {127}},
                                           {.family = 6, .bits = 128, .bytes = {[15] = 1}}};
  struct config_rate_limit *limit = record;
  if (document_find(node, "exempt"))
    return;
  limit->exempt = arena_copy(reader->arena, standard, sizeof standard);
  limit->exempt_count = sizeof standard / sizeof standard[0];
}

/* Sites, networks */

void config_check_site(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  const struct config_site *site = record;
  config_define(reader, &names->sites, "site", site->name, config_place(node, "name"), names->config->sites, site,
                sizeof *site);
}

void config_check_network(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  const struct config_network *network = record;
  char text[PREFIX_TEXT_SIZE], place[SCHEMA_PLACE_SIZE];
  if (network->prefix.family) {
    const char *name = arena_strdup(reader->arena, prefix_format(&network->prefix, text));
    uint32_t first =
        name_index_add(&names->networks, reader->arena, name, (uint32_t)(network - names->config->networks));
    if (first != NAME_INDEX_NONE)
      schema_problem(reader, config_place(node, "network"), "network %s is listed twice; first at %s", name,
                     schema_place(reader, names->config->networks[first].pos, network->pos, place));
  }
  config_check_repeated(reader, document_find(node, "sites"), "site");
}
