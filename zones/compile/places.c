#include "zones/compile/places.h"

#include <string.h>

#include "zones/compile/check.h"

struct placer {
  struct tree *tree;
  struct problems *problems;
};

static void report(struct placer *placer, struct config_pos pos, const char *name, const char *what) {
  problem_add(placer->problems, config_file_at(placer->tree->config, pos), pos.line, pos.column, "%s %s", name, what);
}

static void place(struct placer *placer, const struct name *name, uint32_t service, uint16_t member, uint16_t flags,
                  struct config_pos pos) {
  char text[NAME_TEXT_SIZE];
  name_to_text(name->wire, text);
  struct tree_node *node = tree_insert(placer->tree, name->wire, name->size);
  if (!node) {
    report(placer, pos, text, "is in none of the zones");
    return;
  }
  if (node->extra->service != IMAGE_NONE) {
    const struct config *config = placer->tree->config;
    struct config_pos other = check_place(config, node);
    problem_add(placer->problems, config_file_at(config, pos), pos.line, pos.column,
                "%s is already a name of service %s at %s:%d", text, config->services[node->extra->service].name,
                config_file_at(config, other), other.line);
    return;
  }
  struct tree_extra *extra = tree_extra(placer->tree, node);
  extra->service = service;
  extra->member = member;
  node->flags |= flags;
}

/* Letters, digits, hyphen and underscore: what goes into a name as one label and reads the same there. */
static bool is_label(const char *text) {
  size_t length = strlen(text);
  for (const char *at = text; *at; at++) {
    char lower = (char)name_lower((uint8_t)*at);
    if (!((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '-' || lower == '_'))
      return false;
  }
  return length > 0 && length <= NAME_LABEL_MOST;
}

static void place_members(struct placer *placer, uint32_t index, const struct name *base) {
  const struct config_service *service = &placer->tree->config->services[index];
  for (size_t i = 0; i < service->member_count && i < TREE_NO_MEMBER; i++) {
    const struct config_member *member = &service->members[i];
    struct name name;
    if (is_label(member->name) && name_join(member->name, base, &name) == STATUS_OK)
      place(placer, &name, index, (uint16_t)i, IMAGE_MEMBER, member->pos);
    else if (service->srv && member->srv_port)
      problem_add(placer->problems, config_file_at(placer->tree->config, member->pos), member->pos.line,
                  member->pos.column, "member %s cannot be the target of SRV records: \"%s.%s\" is no host name",
                  member->name, member->name, service->name);
  }
}

static void place_parts(struct placer *placer, uint32_t index, const struct name *base) {
  const struct config_service *service = &placer->tree->config->services[index];
  struct name name;
  if (config_service_is_pattern(service))
    return; /* what it makes has its names by registration */
  if (base->wire[0] == 1 && base->wire[1] == '*') {
    if (service->srv)
      report(placer, service->srv_pos, service->name, "is a wildcard, which cannot have SRV records");
    return;
  }
  if (service->srv) {
    if (name_join(service->srv, base, &name) == STATUS_OK)
      place(placer, &name, index, TREE_NO_MEMBER, IMAGE_SRV, service->srv_pos);
    else
      report(placer, service->srv_pos, service->srv, "and the service's name make no domain name");
  }
  place_members(placer, index, base);
}

static uint16_t service_flags(const struct config_service *service) {
  return (uint16_t)((service->accept.is_given ? IMAGE_ACCEPT : 0) |
                    (config_service_is_pattern(service) ? IMAGE_PATTERN : 0));
}

void places_add(struct tree *tree, struct problems *problems) {
  struct placer placer = {.tree = tree, .problems = problems};
  const struct config *config = tree->config;
  struct name name;
  /* the services first, so that a clash is told at the part that is less at home */
  for (size_t i = 0; i < config->service_count; i++) {
    const struct config_service *service = &config->services[i];
    if (config_service_is_vacancy(service))
      continue;
    if (name_from_text(service->name, &name) == STATUS_OK)
      place(&placer, &name, (uint32_t)i, TREE_NO_MEMBER, service_flags(service), service->pos);
    else
      report(&placer, service->pos, service->name, "is no domain name");
  }
  for (size_t i = 0; i < config->service_count; i++)
    if (!config_service_is_vacancy(&config->services[i]) &&
        name_from_text(config->services[i].name, &name) == STATUS_OK)
      place_parts(&placer, (uint32_t)i, &name);
}
