#include "gslb/model/config_check.h"

#include <string.h>

#include "gslb/model/scalar.h"

#define MEMBERS_STANDARD 1000u

static void check_numbers(struct schema_reader *reader, const struct document_node *node, const char *key,
                          uint32_t least, uint32_t most) {
  const struct document_node *range = document_find(node, key), *greatest = document_find(range, "most");
  bool is_read = most || (greatest && greatest->kind == DOCUMENT_SCALAR && strcmp(greatest->text, "0") == 0);
  if (is_read && least > most)
    schema_problem(reader, config_place(range, "least"), "%s.least %u is greater than %s.most %u", key, least, key,
                   most);
}

void config_check_accept(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_accept *accept = record;
  accept->is_given = node != NULL;
  if (!node)
    return;
  config_check_repeated(reader, document_find(node, "tokens"), "token");
  config_check_repeated(reader, document_find(node, "sites"), "site");
  config_check_repeated(reader, document_find(node, "networks"), "network");
  config_check_repeated(reader, document_find(node, "monitors"), "monitor");
  check_numbers(reader, node, "weight", accept->weight_least, accept->weight_most);
  check_numbers(reader, node, "tier", accept->tier_least, accept->tier_most);
  char least[SCALAR_DURATION_SIZE], most[SCALAR_DURATION_SIZE];
  if (accept->lease_most_ms && accept->lease_least_ms > accept->lease_most_ms)
    schema_problem(reader, config_place(document_find(node, "lease"), "least"),
                   "lease.least %s is longer than lease.most %s", scalar_format_duration(accept->lease_least_ms, least),
                   scalar_format_duration(accept->lease_most_ms, most));
}

/* Monitors */

/* Puts the monitors that accept names behind the service's own where they are not among them. */
static void unite_monitors(struct schema_reader *reader, const struct document_node *node,
                           struct config_service *service) {
  struct config_accept *accept = &service->accept;
  uint32_t united[2 * CONFIG_MONITORS_MOST];
  size_t count = service->monitor_count;
  if (count)
    memcpy(united, service->monitors, count * sizeof *united);
  accept->monitors = 0;
  for (size_t i = 0; i < accept->named_monitor_count; i++) {
    size_t at = 0;
    while (at < count && united[at] != accept->named_monitors[i])
      at++;
    if (at == count)
      united[count++] = accept->named_monitors[i];
    accept->monitors |= 1u << at;
  }
  if (count > CONFIG_MONITORS_MOST)
    schema_problem(reader, node, "monitors and accept.monitors name %zu monitors together; at most %u are allowed",
                   count, CONFIG_MONITORS_MOST);
  if (count > service->monitor_count)
    service->monitors = arena_copy(reader->arena, united, count * sizeof *united);
  service->monitor_count = count;
}

static void check_monitors(struct schema_reader *reader, const struct document_node *accept,
                           struct config_service *service) {
  uint32_t own = (1u << service->monitor_count) - 1;
  for (size_t i = 0; i < service->member_count; i++)
    service->members[i].monitors = own;
  service->accept.monitors = own;
  const struct document_node *named = document_find(accept, "monitors");
  if (named)
    unite_monitors(reader, named, service);
}

/* Members and patterns */

static void check_members_given(struct schema_reader *reader, const struct document_node *node) {
  const struct document_node *list = document_find(node, "members");
  if (!list)
    schema_problem(reader, node, "missing key \"members\" or \"accept\"");
  else if (list->kind == DOCUMENT_LIST && !list->count)
    schema_problem(reader, list, "members needs at least 1 element, unless accept is given");
}

static void check_room(struct schema_reader *reader, const struct document_node *accept,
                       struct config_service *service) {
  size_t room = CONFIG_MEMBERS_MOST - service->member_count;
  const struct document_node *members = document_find(accept, "members");
  if (!members)
    service->accept.members_most = room < MEMBERS_STANDARD ? (uint32_t)room : MEMBERS_STANDARD;
  else if (service->accept.members_most > room)
    schema_problem(reader, members, "members is %u; besides %zu configured members there is room for %zu",
                   service->accept.members_most, service->member_count, room);
}

static void check_pattern(struct schema_reader *reader, const struct document_node *node,
                          const struct config_service *service) {
  const struct document_node *services = document_find(document_find(node, "accept"), "services");
  if (service->name && strncmp(service->name, "*.", 2) != 0)
    schema_problem(reader, services,
                   "services makes the service a pattern, which needs a name such as *.dyn.example.com, not \"%s\"",
                   service->name);
  if (service->member_count)
    schema_problem(reader, config_place(node, "members"),
                   "members cannot be given together with accept.services: a pattern has none");
}

static void check_answer(struct schema_reader *reader, const struct document_node *place,
                         const struct config_service *service) {
  bool is_wildcard = service->name && service->name[0] == '*' && !service->accept.services_most;
  if (service->answer == ANSWER_CNAME)
    schema_problem(reader, place, "accept cannot be given with answer cname: a registered member has no target");
  else if (service->answer == ANSWER_MX && is_wildcard)
    schema_problem(reader, place,
                   "accept cannot be given with answer mx of a wildcard: a registered member has no target");
}

void config_check_accepting(struct schema_reader *reader, const struct document_node *node,
                            struct config_service *service) {
  const struct document_node *accept = document_find(node, "accept");
  check_monitors(reader, accept, service);
  if (!accept) {
    check_members_given(reader, node);
    return;
  }
  check_room(reader, accept, service);
  check_answer(reader, accept, service);
  if (service->accept.services_most)
    check_pattern(reader, node, service);
}
