#include "gslb/model/config_check.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "gslb/base/addr.h"
#include "gslb/model/config_schema.h"
#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"

#define TIMEOUT_STANDARD_MS 2000
#define SOCKET_PATH_MOST (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

const struct document_node *config_place(const struct document_node *map, const char *key) {
  const struct document_node *value = document_find(map, key);
  return value ? value : map;
}

void config_define(struct schema_reader *reader, struct name_index *index, const char *what, const char *name,
                   size_t number, const struct document_node *node, const void *items, size_t item_size) {
  if (!name)
    return;
  uint32_t first = name_index_add(index, reader->arena, name, (uint32_t)number);
  if (first == NAME_INDEX_NONE)
    return;
  struct config_pos pos;
  memcpy(&pos, (const char *)items + first * item_size, sizeof pos);
  const struct document_node *place = config_place(node, "name");
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

/* Server and control */

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

static void check_listen(struct schema_reader *reader, const struct document_node *node,
                         const struct config_server *server) {
  const struct document_node *item = node && node->kind == DOCUMENT_LIST ? node->first : NULL;
  for (size_t i = 0; i < server->listen_count; i++, item = item->next)
    for (size_t j = 0; j < i && server->listen[i].family; j++)
      if (addr_equal(&server->listen[i], &server->listen[j])) {
        char text[ADDR_TEXT_SIZE];
        schema_problem(reader, item, "address %s is listed twice", addr_format_port(&server->listen[i], text));
        break;
      }
}

void config_check_server(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_server *server = record;
  check_listen(reader, document_find(node, "listen"), server);
  if (!server->identity)
    server->identity = host_name(reader);
  if (!server->workers)
    server->workers = core_count();
  if (!server->run && server->state)
    server->run = run_directory(reader);
  if (!document_find(node, "nsid"))
    server->nsid = server->identity;
  if (server->on_change && server->on_change[0]) {
    const char **command = (const char **)server->on_change;
    command[0] = schema_path(reader, config_place(node, "on_change")->pos, command[0]);
  }
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

void config_check_control(struct schema_reader *reader, const struct document_node *node, void *record) {
  const struct config_names *names = reader->context;
  struct config_control *control = record;
  const struct config_server *server = &names->config->server;
  char text[ADDR_TEXT_SIZE];
  control->has_listen = control->listen.family != 0;
  if (control->has_listen && !addr_is_loopback(&control->listen))
    schema_problem(reader, config_place(node, "listen"),
                   "listen %s is not a loopback address; another one needs TLS and tokens, which this version lacks",
                   addr_format_port(&control->listen, text));
  for (size_t i = 0; control->has_listen && i < server->listen_count; i++)
    if (addr_equal(&control->listen, &server->listen[i]))
      schema_problem(reader, config_place(node, "listen"), "listen %s is taken by server.listen",
                     addr_format_port(&control->listen, text));
  if (!control->socket)
    control->socket = config_state_path(reader, "control.sock");
}

void config_check_socket(struct schema_reader *reader, const struct document_node *root, const char *socket) {
  if (!socket || strlen(socket) <= SOCKET_PATH_MOST)
    return;
  const struct document_node *place = document_find(document_find(root, "control"), "socket");
  if (!place) /* it follows from the state directory */
    place = config_place(document_find(root, "server"), "state");
  schema_problem(reader, place, "control.socket has a path of %zu bytes (%s); at most %zu are possible", strlen(socket),
                 socket, SOCKET_PATH_MOST);
}

/* Sites, networks, monitors */

void config_check_site(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  const struct config_site *site = record;
  config_define(reader, &names->sites, "site", site->name, (size_t)(site - names->config->sites), node,
                names->config->sites, sizeof *site);
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

static bool has_blank_or_foreign(const char *text) {
  for (; *text; text++)
    if (*text <= ' ' || *text >= 0x7f)
      return true;
  return false;
}

static void check_http(struct schema_reader *reader, const struct document_node *node,
                       const struct config_monitor *monitor) {
  if (monitor->path && (*monitor->path != '/' || has_blank_or_foreign(monitor->path)))
    schema_problem(reader, config_place(node, "path"),
                   "path must begin with \"/\" and have printable ASCII without blanks "
                   "(write others as %%20 and the like)");
  if (monitor->host && has_blank_or_foreign(monitor->host))
    schema_problem(reader, config_place(node, "host"), "host must be printable ASCII without blanks");
}

static void check_dns(struct schema_reader *reader, const struct document_node *node,
                      const struct config_monitor *monitor) {
  if (!monitor->expect_answer)
    return;
  const struct document_node *place = config_place(document_find(node, "expect"), "answer");
  if (monitor->expect_rcode != 0)
    schema_problem(reader, place, "answer can only be expected with rcode NOERROR");
  unsigned family = monitor->query_type == 1 ? 4 : monitor->query_type == 28 ? 6 : 0;
  struct addr addr;
  if (family && (addr_parse(monitor->expect_answer, &addr) != STATUS_OK || addr.family != family))
    schema_problem(reader, place, "answer to a query of type %s must be an IPv%u address", family == 4 ? "A" : "AAAA",
                   family);
}

void config_check_monitor(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_monitor *monitor = record;
  config_define(reader, &names->monitors, "monitor", monitor->name, (size_t)(monitor - names->config->monitors), node,
                names->config->monitors, sizeof *monitor);
  if (monitor->type == MONITOR_HTTP)
    check_http(reader, node, monitor);
  else if (monitor->type == MONITOR_DNS)
    check_dns(reader, node, monitor);
  if (!monitor->interval_ms)
    return;
  char timeout[SCALAR_DURATION_SIZE], interval[SCALAR_DURATION_SIZE];
  if (!document_find(node, "timeout"))
    monitor->timeout_ms = monitor->interval_ms < TIMEOUT_STANDARD_MS ? monitor->interval_ms : TIMEOUT_STANDARD_MS;
  if (monitor->timeout_ms > monitor->interval_ms)
    schema_problem(reader, config_place(node, "timeout"), "timeout %s is longer than interval %s",
                   scalar_format_duration(monitor->timeout_ms, timeout),
                   scalar_format_duration(monitor->interval_ms, interval));
}
