#include "gslb/model/config_check.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/config.h"
#include "gslb/model/domain.h"

/* Names that are taken besides those of services */

struct taker { /* who needs them */
  const char *name;
  const char *records;
  uint32_t zone;
  struct config_pos pos;
};

static char *below(const char *name, const char *prefix) {
  bool is_root = strcmp(name, ".") == 0;
  return mem_format("%s%s%s", prefix, is_root ? "" : ".", is_root ? "" : name);
}

static void check_taken_name(struct schema_reader *reader, const struct taker *taker, const char *prefix) {
  const struct config_names *names = reader->context;
  const struct config *config = names->config;
  char *name = below(taker->name, prefix), place[SCHEMA_PLACE_SIZE];
  uint32_t other = name_index_find(&names->services, name), zone = config_zone_of(names, name);
  if (other != NAME_INDEX_NONE)
    schema_problem_at(reader, taker->pos,
                      "the %s records of \"%s\" need the name \"%s\", which is a service by itself (%s)",
                      taker->records, taker->name, name,
                      schema_place(reader, config->services[other].pos, taker->pos, place));
  if (zone != taker->zone)
    schema_problem_at(reader, taker->pos,
                      "the %s records of \"%s\" need the name \"%s\", which lies in another zone, \"%s\"",
                      taker->records, taker->name, name, config->zones[zone].name);
  free(name);
}

static void check_service_names(struct schema_reader *reader, const struct config_service *service) {
  if (!service->name || service->name[0] == '*' || service->zone == NAME_INDEX_NONE)
    return;
  struct taker taker = {.name = service->name, .records = "SRV", .zone = service->zone, .pos = service->srv_pos};
  if (service->srv)
    check_taken_name(reader, &taker, service->srv);
  for (size_t m = 0; m < service->member_count; m++) {
    const struct config_member *member = &service->members[m];
    bool has_srv = service->srv && member->srv_port, has_mx = service->answer == ANSWER_MX && !member->target;
    if (!member->name || (!has_srv && !has_mx))
      continue;
    taker.records = has_srv ? "SRV" : "MX";
    taker.pos = member->pos;
    check_taken_name(reader, &taker, member->name);
  }
}

/* Zones */

static void check_registering(struct schema_reader *reader, const struct document_node *node,
                              const struct config_zone *zone) {
  const struct config_names *names = reader->context;
  const struct config_control *control = &names->config->control;
  const struct document_node *given = document_find(node, "register");
  if (given && !control->advertise_count && !names->config->peer_count)
    schema_problem(reader, given,
                   "register is given, but nobody can be told of: there are no peers, and neither control.listen "
                   "(other than 0.0.0.0 and ::) nor control.advertise.addresses");
  struct taker taker = {.name = zone->name,
                        .records = "registration",
                        .zone = (uint32_t)(zone - names->config->zones),
                        .pos = given ? given->pos : zone->pos};
  const char *const prefixes[] = {"_gslb-register._tcp", control->advertise_count ? control->advertise_name : NULL};
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
    if (prefixes[i])
      check_taken_name(reader, &taker, prefixes[i]);
    if (prefixes[i] && strlen(prefixes[i]) + 1 + strlen(zone->name) > DOMAIN_TEXT_MOST)
      schema_problem_at(reader, taker.pos, "the registration records of \"%s\" need a name of more than 253 characters",
                        zone->name);
  }
}

static void complete_zones(struct schema_reader *reader, const struct document_node *list, struct config *config) {
  const struct config_names *names = reader->context;
  const struct config_control *control = &config->control;
  bool *is_accepting = mem_array(config->zone_count, sizeof *is_accepting);
  for (size_t i = 0; i < config->service_count; i++) {
    const struct config_service *service = &config->services[i];
    if (service->accept.is_given && service->name && service->zone != NAME_INDEX_NONE)
      is_accepting[service->zone] = true;
  }
  const struct document_node *node = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  for (size_t i = 0; i < config->zone_count && node; i++, node = node->next) {
    struct config_zone *zone = &config->zones[i];
    if (!document_find(node, "register"))
      zone->has_register = is_accepting[i] && (control->has_listen || control->advertise_count);
    if (!document_find(node, "browse"))
      zone->has_browse = is_accepting[i];
    bool is_defined = zone->name && name_index_find(&names->zones, zone->name) == i;
    if (zone->has_register && is_defined)
      check_registering(reader, node, zone);
  }
  free(is_accepting);
}

/* Vacancies */

/* How many services the patterns may create; reports those for which there is no room. */
static size_t count_vacancies(struct schema_reader *reader, const struct document_node *list,
                              const struct config *config) {
  const struct document_node *node = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  size_t count = 0;
  for (size_t i = 0; i < config->service_count && node; i++, node = node->next) {
    if (!config_service_is_pattern(&config->services[i]))
      continue;
    count += config->services[i].accept.services_most;
    if (config->service_count + count > CONFIG_SERVICES_MOST) {
      schema_problem(reader, document_find(document_find(node, "accept"), "services"),
                     "services makes %zu services possible together with those before it; at most %u are allowed",
                     config->service_count + count, CONFIG_SERVICES_MOST);
      return 0;
    }
  }
  return count;
}

static void add_vacancies(struct schema_reader *reader, struct config *config, size_t vacancies) {
  size_t configured = config->service_count, at = configured;
  struct config_service *services = arena_array(reader->arena, configured + vacancies + 1, sizeof *services);
  memcpy(services, config->services, configured * sizeof *services);
  for (size_t i = 0; i < configured; i++) {
    if (!config_service_is_pattern(&services[i]))
      continue;
    struct config_service vacancy = services[i];
    vacancy.name = "";
    vacancy.pattern = (uint32_t)i;
    for (uint32_t v = 0; v < services[i].accept.services_most; v++)
      services[at++] = vacancy;
  }
  config->services = services;
  config->service_count = at;
}

static void add_own_loads(struct schema_reader *reader, struct config *config) {
  const struct config_names *names = reader->context;
  if (!names->own_load_count)
    return;
  size_t shared = config->load_count, count = shared + names->own_load_count;
  struct config_load *loads = arena_array(reader->arena, count + 1, sizeof *loads);
  if (shared)
    memcpy(loads, config->loads, shared * sizeof *loads);
  config->loads = loads;
  config->load_count = count;
  for (const struct config_own_load *own = names->own_loads; own; own = own->next)
    loads[--count] = own->load;
}

void config_check_all(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config *config = record;
  config_check_socket(reader, node, config->control.socket);
  config_check_zone_files(reader);
  for (size_t i = 0; i < config->service_count; i++)
    check_service_names(reader, &config->services[i]);
  add_own_loads(reader, config);
  config_check_votes(reader, node);
  complete_zones(reader, document_find(node, "zones"), config);
  size_t vacancies = count_vacancies(reader, document_find(node, "services"), config);
  if (vacancies && !reader->problems->count)
    add_vacancies(reader, config, vacancies);
}
