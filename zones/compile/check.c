#include "zones/compile/check.h"

#include <string.h>

#include "zones/message/query.h"

/* Types of old DNSSEC (RFC 2535) that may stand beside a CNAME like those of the new. */
enum { TYPE_SIG = 24, TYPE_KEY = 25, TYPE_NXT = 30 };

struct checker {
  const struct tree *tree;
  const bool *is_broken;
  struct problems *problems; /* where to tell those of what is being checked */
};

static bool is_secondary(const struct checker *checker, uint32_t zone) {
  return checker->tree->zones[zone].config->primary_count > 0;
}

struct config_pos check_place(const struct config *config, const struct tree_node *node) {
  const struct config_service *service = &config->services[node->extra->service];
  if (node->flags & IMAGE_SRV)
    return service->srv_pos;
  return node->flags & IMAGE_MEMBER ? service->members[node->extra->member].pos : service->pos;
}

static const struct tree_record *first_record(const struct tree_node *node) {
  const struct tree_record *first = NULL;
  for (const struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next)
    if (!first || rrset->first.line < first->line)
      first = &rrset->first;
  return first;
}

static void check_apex(struct checker *checker, uint32_t zone) {
  const struct tree_zone *checked = &checker->tree->zones[zone];
  const struct tree_rrset *soa = tree_rrset(checked->apex, TYPE_SOA);
  const char *name = checked->config->name;
  if (soa && soa->count > 1) {
    const struct tree_record *second = soa->first.next;
    problem_add(checker->problems, second->file, second->line, 0, "zone %s has more than one SOA record", name);
  }
  if (checker->is_broken[zone])
    return;
  if (!soa)
    problem_add(checker->problems, checked->config->file, 0, 0, "zone %s has no SOA record", name);
  if (!tree_rrset(checked->apex, TYPE_NS))
    problem_add(checker->problems, checked->config->file, 0, 0, "zone %s has no NS record at its apex", name);
}

static void check_cname(struct checker *checker, const struct tree_node *node) {
  const struct tree_rrset *cname = tree_rrset(node, TYPE_CNAME);
  char name[NAME_TEXT_SIZE], type[RDATA_TYPE_TEXT_SIZE];
  if (!cname)
    return;
  if (cname->count > 1)
    problem_add(checker->problems, cname->first.next->file, cname->first.next->line, 0,
                "%s has more than one CNAME record", tree_name(node, name));
  for (const struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next) {
    if (rrset == cname || rrset->type == TYPE_RRSIG || rrset->type == TYPE_NSEC || rrset->type == TYPE_SIG ||
        rrset->type == TYPE_KEY || rrset->type == TYPE_NXT)
      continue;
    problem_add(checker->problems, cname->first.file, cname->first.line, 0,
                "%s has a CNAME beside other data (%s at line %d)", tree_name(node, name),
                rdata_type_name(rrset->type, type), rrset->first.line);
    return;
  }
}

static void check_dname(struct checker *checker, const struct tree_node *node) {
  const struct tree_rrset *dname = tree_rrset(node, TYPE_DNAME);
  char name[NAME_TEXT_SIZE], above[NAME_TEXT_SIZE];
  if (dname && dname->count > 1)
    problem_add(checker->problems, dname->first.next->file, dname->first.next->line, 0,
                "%s has more than one DNAME record", tree_name(node, name));
  if (!node->extra->dname || is_secondary(checker, node->zone))
    return;
  const struct tree_record *by = &tree_rrset(node->extra->dname, TYPE_DNAME)->first;
  const struct tree_record *first = first_record(node);
  if (first) {
    problem_add(checker->problems, first->file, first->line, 0, "%s stands below the DNAME of %s at %s:%d",
                tree_name(node, name), tree_name(node->extra->dname, above), by->file, by->line);
  } else if (node->extra->service != IMAGE_NONE) {
    struct config_pos pos = check_place(checker->tree->config, node);
    problem_add(checker->problems, config_file_at(checker->tree->config, pos), pos.line, pos.column,
                "%s stands below the DNAME of %s at %s:%d", tree_name(node, name), tree_name(node->extra->dname, above),
                by->file, by->line);
  }
}

/* Whether a wildcard gives the name addresses. */
static bool is_covered(const struct tree_node *encloser) {
  return encloser->extra->wildcard && tree_has_address(encloser->extra->wildcard);
}

/* A name server's name of which this zone itself must know an address: one in its authoritative part, or glue for the
 * very delegation that it serves. */
static bool lacks_address(const struct tree *tree, const struct tree_node *owner, const struct name *target) {
  const struct tree_node *node = tree_encloser(tree, target->wire, target->size, name_hash(target->wire, target->size));
  if (!node || node->zone != owner->zone || node->extra->dname || (node->flags & IMAGE_DNAME))
    return false;
  if (node->extra->cut)
    return node->extra->cut == owner && !(node->size == target->size && tree_has_address(node));
  return node->size == target->size ? !tree_has_address(node) : !is_covered(node);
}

static void check_name_servers(struct checker *checker, const struct tree_node *node) {
  const struct tree_rrset *ns = tree_rrset(node, TYPE_NS);
  if (!ns || (node->flags & IMAGE_BELOW_CUT) || checker->is_broken[node->zone] || is_secondary(checker, node->zone))
    return;
  for (const struct tree_record *record = &ns->first; record; record = record->next) {
    struct name target = {.size = (uint8_t)record->size};
    for (size_t i = 0; i < record->size; i++)
      target.wire[i] = name_lower(record->data[i]);
    char text[NAME_TEXT_SIZE];
    if (lacks_address(checker->tree, node, &target))
      problem_add(checker->problems, record->file, record->line, 0, "name server %s has no address",
                  name_to_text(target.wire, text));
  }
}

static void check_size(struct checker *checker, const struct tree_node *node) {
  char name[NAME_TEXT_SIZE], type[RDATA_TYPE_TEXT_SIZE];
  for (const struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next) {
    uint64_t size = 0;
    for (const struct tree_record *record = &rrset->first; record; record = record->next)
      size += 12u + record->size;
    if (size > CHECK_RRSET_SIZE_MOST)
      problem_add(checker->problems, rrset->first.file, rrset->first.line, 0,
                  "the %s records of %s take %llu bytes; at most %u fit", rdata_type_name(rrset->type, type),
                  tree_name(node, name), (unsigned long long)size, CHECK_RRSET_SIZE_MOST);
  }
}

const struct tree_rrset *check_collision(const struct config *config, const struct tree_node *node) {
  static const uint16_t addresses[] = {TYPE_A, TYPE_AAAA, 0}, srv[] = {TYPE_SRV, 0}, mx[] = {TYPE_MX, 0};
  const struct config_service *service = &config->services[node->extra->service];
  const uint16_t *types = addresses;
  if (node->flags & IMAGE_SRV)
    types = srv;
  else if (node->flags & IMAGE_MEMBER)
    types = addresses;
  else if (service->answer == ANSWER_CNAME)
    return node->rrsets;
  else if (service->answer == ANSWER_MX)
    types = mx;
  for (; *types; types++) {
    const struct tree_rrset *rrset = tree_rrset(node, *types);
    if (rrset)
      return rrset;
  }
  bool is_service = !(node->flags & (IMAGE_SRV | IMAGE_MEMBER));
  const struct tree_rrset *https = is_service && service->https.is_given ? tree_rrset(node, TYPE_HTTPS) : NULL;
  return !https && is_service && service->svcb.is_given ? tree_rrset(node, TYPE_SVCB) : https;
}

static void check_balanced(struct checker *checker, const struct tree_node *node) {
  const struct config *config = checker->tree->config;
  struct config_pos pos = check_place(config, node);
  char name[NAME_TEXT_SIZE], above[NAME_TEXT_SIZE];
  tree_name(node, name);
  if (node->extra->cut) {
    const struct tree_record *ns = &tree_rrset(node->extra->cut, TYPE_NS)->first;
    problem_add(checker->problems, config_file_at(config, pos), pos.line, pos.column,
                "%s is delegated: NS records of %s at %s:%d", name, tree_name(node->extra->cut, above), ns->file,
                ns->line);
    return;
  }
  const struct tree_rrset *cname = tree_rrset(node, TYPE_CNAME);
  if (cname)
    problem_add(checker->problems, config_file_at(config, pos), pos.line, pos.column,
                "%s collides with the CNAME record at %s:%d", name, cname->first.file, cname->first.line);
  const struct tree_rrset *taken = check_collision(config, node);
  if (taken)
    problem_add(checker->problems, config_file_at(config, pos), pos.line, pos.column,
                "%s collides with a static record of the same type at %s:%d", name, taken->first.file,
                taken->first.line);
}

/* What a copy has in the place of a balanced name gives way to it. */
static bool is_told(const struct checker *checker, const struct tree_node *node) {
  bool is_alias = !(node->flags & (IMAGE_SRV | IMAGE_MEMBER)) &&
                  checker->tree->config->services[node->extra->service].answer == ANSWER_CNAME;
  return !is_secondary(checker, node->zone) || (is_alias && (node->flags & IMAGE_APEX));
}

void check_zones(const struct tree *tree, const bool *is_broken, struct problems *problems, struct problems *copies) {
  struct checker checker = {.tree = tree, .is_broken = is_broken};
  for (uint32_t i = 0; i < tree->config->zone_count; i++) {
    checker.problems = is_secondary(&checker, i) ? &copies[i] : problems;
    check_apex(&checker, i);
  }
  for (const struct tree_node *node = tree->first; node; node = node->next) {
    checker.problems = is_secondary(&checker, node->zone) ? &copies[node->zone] : problems;
    check_cname(&checker, node);
    check_dname(&checker, node);
    check_name_servers(&checker, node);
    check_size(&checker, node);
    checker.problems = problems;
    if (node->extra->service != IMAGE_NONE && is_told(&checker, node))
      check_balanced(&checker, node);
  }
}
