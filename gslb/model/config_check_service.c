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

static bool can_be_answered(const struct addr *addr) {
  static const uint8_t zero[16] = {0};
  if (addr->family == 4)
    return addr->bytes[0] != 0 && addr->bytes[0] < 224; /* RFC 1112 section 4, RFC 1122 section 3.2.1.3 */
  return memcmp(addr->bytes, zero, sizeof zero) != 0 && addr->bytes[0] != 0xff;
}

void config_check_member(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_member *member = record;
  if (!document_find(node, "site"))
    member->site = UINT32_MAX;
  for (size_t i = 0; i < member->address_count; i++) {
    const struct addr *address = &member->addresses[i];
    char text[ADDR_TEXT_SIZE];
    if (address->family && !can_be_answered(address))
      problem_add(reader->problems, reader->file, member->address_pos[i].line, member->address_pos[i].column,
                  "address %s does not belong to a single host", addr_format(address, text));
  }
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
      problem_add(reader->problems, reader->file, use->pos.line, use->pos.column,
                  "address %s is listed twice; first at line %d, column %d", text, first->pos.line, first->pos.column);
    else
      problem_add(reader->problems, reader->file, use->pos.line, use->pos.column,
                  "address %s belongs to member \"%s\" already (line %d, column %d)", text,
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
    config_define(reader, index, "member", name, i, node, service->members, sizeof *service->members);
    if (name && service->name && strlen(name) + 1 + strlen(service->name) > DOMAIN_TEXT_MOST)
      schema_problem(reader, config_place(node, "name"),
                     "member \"%s\" makes a name (<member>.<service>) of more than 253 characters", name);
  }
  service->member_index = index;
  check_addresses(reader, service);
}

/* Services */

static uint32_t zone_of(const struct config_names *names, const char *name) {
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

static void check_monitors(struct schema_reader *reader, const struct document_node *list) {
  /* a list that is too long was reported, and comparing all of it with all of it could take hours */
  if (!list || list->kind != DOCUMENT_LIST || list->count > CONFIG_MONITORS_MOST)
    return;
  for (const struct document_node *item = list->first; item; item = item->next)
    for (const struct document_node *earlier = list->first; earlier != item; earlier = earlier->next)
      if (item->kind == DOCUMENT_SCALAR && earlier->kind == DOCUMENT_SCALAR &&
          strcasecmp(item->text, earlier->text) == 0) {
        char quoted[SCALAR_QUOTED_SIZE];
        schema_problem(reader, item, "monitor \"%s\" is listed twice", scalar_quote(item->text, quoted));
        break;
      }
}

static bool some_member_has_srv_port(const struct document_node *list) {
  if (!list || list->kind != DOCUMENT_LIST)
    return true; /* reported elsewhere */
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
  if (!some_member_has_srv_port(document_find(node, "members")))
    schema_problem(reader, place, "srv is given, but no member has srv_port");
  if (service->name && service->name[0] == '*')
    schema_problem(reader, place, "srv cannot be given for a wildcard");
  else if (service->name && strlen(service->srv) + 1 + strlen(service->name) > DOMAIN_TEXT_MOST)
    schema_problem(reader, place, "srv makes a name (%s.<service>) of more than 253 characters", service->srv);
}

void config_check_service(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_service *service = record;
  config_define(reader, &names->services, "service", service->name, (size_t)(service - names->config->services), node,
                names->config->services, sizeof *service);
  if (service->name) {
    service->zone = zone_of(names, service->name);
    if (service->zone == NAME_INDEX_NONE && all_zones_are_named(names->config))
      schema_problem(reader, config_place(node, "name"), "service \"%s\" lies outside every zone", service->name);
  }
  check_ttl(reader, node, service);
  check_monitors(reader, document_find(node, "monitors"));
  check_members(reader, document_find(node, "members"), service);
  if (service->srv)
    check_srv(reader, node, service);
}

/* Names that a service takes besides its own */

static void check_taken_name(struct schema_reader *reader, const struct config_service *service, const char *prefix,
                             struct config_pos pos) {
  const struct config_names *names = reader->context;
  char *name = mem_format("%s.%s", prefix, service->name);
  uint32_t other = name_index_find(&names->services, name);
  if (other != NAME_INDEX_NONE) {
    struct config_pos first = names->config->services[other].pos;
    problem_add(reader->problems, reader->file, pos.line, pos.column,
                "the SRV records of \"%s\" need the name \"%s\", which is a service by itself (line %d, column %d)",
                service->name, name, first.line, first.column);
  }
  uint32_t zone = zone_of(names, name);
  if (zone != service->zone)
    problem_add(reader->problems, reader->file, pos.line, pos.column,
                "the SRV records of \"%s\" need the name \"%s\", which lies in another zone, \"%s\"", service->name,
                name, names->config->zones[zone].name);
  free(name);
}

void config_check_all(struct schema_reader *reader, const struct document_node *node, void *record) {
  const struct config *config = record;
  config_check_socket(reader, node, config->control.socket);
  for (size_t i = 0; i < config->service_count; i++) {
    const struct config_service *service = &config->services[i];
    if (!service->name || !service->srv || service->zone == NAME_INDEX_NONE)
      continue;
    check_taken_name(reader, service, service->srv, service->srv_pos);
    for (size_t m = 0; m < service->member_count; m++) {
      const struct config_member *member = &service->members[m];
      if (member->name && member->srv_port)
        check_taken_name(reader, service, member->name, member->pos);
    }
  }
}
