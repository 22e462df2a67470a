#include "gslb/model/config_check.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gslb/base/addr.h"
#include "gslb/model/config_schema.h"
#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"

#define TTL_MIN_STANDARD_S 5u

/* Members */

void config_check_member(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_member *member = record;
  if (!document_find(node, "site"))
    member->site = UINT32_MAX;
  for (size_t i = 0; i < member->address_count; i++) {
    const struct addr *address = &member->addresses[i];
    char text[ADDR_TEXT_SIZE];
    if (address->family && !config_is_host(address))
      schema_problem_at(reader, member->address_pos[i], "address %s does not belong to a single host",
                        addr_format(address, text));
  }
  config_check_subject(reader, config_place(node, "monitor_address"), &member->monitor_address, 0);
}

struct address_use {
  const struct config_member *member;
  const struct addr *address;
  struct config_pos pos;
  size_t order;
};

static int compare_uses(const void *left, const void *right) {
  const struct address_use *a = left, *b = right;
  if (a->address->family != b->address->family)
    return a->address->family < b->address->family ? -1 : 1;
  int difference = memcmp(a->address->bytes, b->address->bytes, sizeof a->address->bytes);
  if (difference)
    return difference;
  return a->order < b->order ? -1 : a->order > b->order;
}

static size_t collect_uses(const struct config_service *service, struct address_use *uses) {
  size_t count = 0;
  for (size_t m = 0; m < service->member_count; m++) {
    const struct config_member *member = &service->members[m];
    for (size_t a = 0; a < member->address_count; a++) {
      if (!member->addresses[a].family)
        continue;
      if (uses)
        uses[count] = (struct address_use){.member = member,
                                           .address = &member->addresses[a],
                                           .pos = member->address_pos[a],
                                           .order = count};
      count++;
    }
  }
  return count;
}

static void check_addresses(struct schema_reader *reader, const struct config_service *service) {
  struct address_use *uses = mem_array(collect_uses(service, NULL), sizeof *uses);
  size_t count = collect_uses(service, uses);
  qsort(uses, count, sizeof *uses, compare_uses);
  const struct address_use *first = uses;
  for (size_t i = 1; i < count; i++) {
    const struct address_use *use = &uses[i];
    if (!addr_equal(use->address, first->address)) {
      first = use;
      continue;
    }
    char text[ADDR_TEXT_SIZE];
    addr_format(use->address, text);
    if (use->member == first->member)
      schema_problem_at(reader, use->pos, "address %s is listed twice; first at line %d, column %d", text,
                        first->pos.line, first->pos.column);
    else
      schema_problem_at(reader, use->pos, "address %s belongs to member \"%s\" already (line %d, column %d)", text,
                        first->member->name ? first->member->name : "", first->pos.line, first->pos.column);
  }
  free(uses);
}

static void check_members(struct schema_reader *reader, const struct document_node *list,
                          struct config_service *service) {
  struct name_index *index = arena_alloc(reader->arena, sizeof *index);
  const struct document_node *node = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  for (size_t i = 0; i < service->member_count; i++, node = node->next) {
    const char *name = service->members[i].name;
    config_define(reader, index, "member", name, config_place(node, "name"), service->members, &service->members[i],
                  sizeof *service->members);
    if (name && service->name && strlen(name) + 1 + strlen(service->name) > DOMAIN_TEXT_MOST)
      schema_problem(reader, config_place(node, "name"),
                     "member \"%s\" makes a name (<member>.<service>) of more than 253 characters", name);
  }
  service->member_index = index;
  check_addresses(reader, service);
}

/* Services */

uint32_t config_zone_of(const struct config_names *names, const char *name) {
  uint32_t found = NAME_INDEX_NONE;
  for (const char *at = name; at && found == NAME_INDEX_NONE; at = domain_parent(at))
    found = name_index_find(&names->zones, at);
  return found;
}

static bool all_zones_are_named(const struct config *config) {
  for (size_t i = 0; i < config->zone_count; i++)
    if (!config->zones[i].name)
      return false;
  return true;
}

static void check_ttl(struct schema_reader *reader, const struct document_node *node, struct config_service *service) {
  const struct document_node *ttl = document_find(node, "ttl");
  if (!document_find(ttl, "min"))
    service->ttl_min_s = service->ttl_max_s < TTL_MIN_STANDARD_S ? service->ttl_max_s : TTL_MIN_STANDARD_S;
  if (!service->ttl_max_s || service->ttl_min_s <= service->ttl_max_s)
    return;
  char min[SCALAR_DURATION_SIZE], max[SCALAR_DURATION_SIZE];
  schema_problem(reader, config_place(ttl, "min"), "ttl.min %s is longer than ttl.max %s",
                 scalar_format_duration(service->ttl_min_s * INT64_C(1000), min),
                 scalar_format_duration(service->ttl_max_s * INT64_C(1000), max));
}

static bool some_member_may_have_srv_port(const struct document_node *node) {
  const struct document_node *list = document_find(node, "members");
  if (document_find(node, "accept") || !list || list->kind != DOCUMENT_LIST)
    return true; /* registered ones bring their own; what is wrong with the list is reported elsewhere */
  for (const struct document_node *member = list->first; member; member = member->next)
    if (document_find(member, "srv_port"))
      return true;
  return false;
}

static void check_srv(struct schema_reader *reader, const struct document_node *node, struct config_service *service) {
  const struct document_node *place = config_place(node, "srv");
  char quoted[SCALAR_QUOTED_SIZE], kept[DOMAIN_TEXT_SIZE];
  if (!domain_is_service_type(service->srv) || domain_read(service->srv, 0, kept, NULL) != STATUS_OK) {
    schema_problem(reader, place, "srv \"%s\" is not of the form _service._proto, such as _https._tcp",
                   scalar_quote(service->srv, quoted));
    return;
  }
  service->srv = arena_strdup(reader->arena, kept);
  if (!some_member_may_have_srv_port(node))
    schema_problem(reader, place, "srv is given, but no member has srv_port");
  if (service->name && service->name[0] == '*' && !service->accept.services_most)
    schema_problem(reader, place, "srv cannot be given for a wildcard");
  else if (service->name && strlen(service->srv) + 1 + strlen(service->name) > DOMAIN_TEXT_MOST)
    schema_problem(reader, place, "srv makes a name (%s.<service>) of more than 253 characters", service->srv);
}

/* What the name answers */

static void refuse_with_cname(struct schema_reader *reader, const struct document_node *node, const char *key,
                              bool is_refused) {
  if (is_refused)
    schema_problem(reader, config_place(node, key),
                   "%s cannot be given with answer cname: a name that has a CNAME "
                   "record has no others (RFC 2181 section 10.1)",
                   key);
}

static void check_cname(struct schema_reader *reader, const struct document_node *node,
                        const struct config_service *service) {
  const struct config_names *names = reader->context;
  refuse_with_cname(reader, node, "srv", service->srv != NULL);
  refuse_with_cname(reader, node, "https", service->https.is_given);
  refuse_with_cname(reader, node, "svcb", service->svcb.is_given);
  if (service->method == METHOD_ALL)
    schema_problem(reader, config_place(node, "method"),
                   "method all cannot be given with answer cname, which is one "
                   "record");
  if (service->answers > 1)
    schema_problem(reader, config_place(node, "answers"), "answers is %u; with answer cname there is one only",
                   service->answers);
  if (service->name && service->zone != NAME_INDEX_NONE &&
      strcmp(names->config->zones[service->zone].name, service->name) == 0)
    schema_problem(reader, config_place(node, "answer"),
                   "answer cname is impossible at \"%s\", the top of a zone, where SOA and NS records stand",
                   service->name);
}

static void check_target(struct schema_reader *reader, const struct document_node *node,
                         const struct config_service *service, const struct config_member *member) {
  const struct document_node *target = document_find(node, "target");
  bool is_wildcard = service->name && service->name[0] == '*';
  if (target && service->answer == ANSWER_ADDRESSES)
    schema_problem(reader, target->key, "key \"target\" needs answer cname or answer mx");
  else if (!target && service->answer == ANSWER_CNAME)
    schema_problem(reader, node, "missing key \"target\", which answer cname needs");
  else if (!target && service->answer == ANSWER_MX && is_wildcard)
    schema_problem(reader, node, "missing key \"target\", which answer mx of a wildcard needs");
  else if (service->answer == ANSWER_CNAME && service->name && member->target &&
           strcmp(member->target, service->name) == 0)
    schema_problem(reader, target, "target \"%s\" is the service itself", member->target);
}

static void check_answer(struct schema_reader *reader, const struct document_node *node,
                         const struct config_service *service) {
  if (service->answer == ANSWER_CNAME)
    check_cname(reader, node, service);
  const struct document_node *list = document_find(node, "members");
  const struct document_node *member = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  for (size_t i = 0; i < service->member_count; i++, member = member->next)
    if (member->kind == DOCUMENT_MAP)
      check_target(reader, member, service, &service->members[i]);
}

static void check_nearest(struct schema_reader *reader, const struct document_node *node,
                          const struct config_service *service) {
  const struct config_names *names = reader->context;
  const struct document_node *place = config_place(node, "nearest");
  if (!names->config->network_count)
    schema_problem(reader, place, "nearest is given, but no networks are");
  for (size_t i = 0; i < service->member_count; i++)
    if (service->members[i].site != UINT32_MAX)
      return;
  if (!document_find(node, "accept") || !names->config->site_count)
    schema_problem(reader, place, "nearest is given, but no member has a site");
}

void config_check_binding(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_binding *binding = record;
  binding->is_given = node != NULL;
  config_check_repeated(reader, document_find(node, "alpn"), "protocol");
}

void config_check_service(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_service *service = record;
  config_define(reader, &names->services, "service", service->name, config_place(node, "name"), names->config->services,
                service, sizeof *service);
  if (service->name) {
    service->zone = config_zone_of(names, service->name);
    if (service->zone == NAME_INDEX_NONE && all_zones_are_named(names->config))
      schema_problem(reader, config_place(node, "name"), "service \"%s\" lies outside every zone", service->name);
  }
  check_ttl(reader, node, service);
  config_check_repeated(reader, document_find(node, "monitors"), "monitor");
  config_check_repeated(reader, document_find(node, "sources"), "source");
  if (!document_find(node, "load"))
    service->load = CONFIG_NO_LOAD;
  check_members(reader, document_find(node, "members"), service);
  if (service->srv)
    check_srv(reader, node, service);
  check_answer(reader, node, service);
  if (service->is_nearest)
    check_nearest(reader, node, service);
  service->pattern = CONFIG_NO_PATTERN;
  config_check_accepting(reader, node, service);
  config_make_program(reader, config_place(node, "on_empty"), service->on_empty);
}
