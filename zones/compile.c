#include "zones/compile.h"

#include <stdlib.h>

#include "zones/check.h"
#include "zones/layout.h"
#include "zones/master.h"
#include "zones/places.h"
#include "zones/query.h"
#include "zones/tree.h"

struct compiler {
  const struct config *config;
  struct tree *tree;
  uint32_t zone; /* being read */
  struct problems *problems;
  bool has_failed; /* the zone being read */
};

#define report(compiler, record, ...)                                                                                  \
  do {                                                                                                                 \
    (compiler)->has_failed = true;                                                                                     \
    problem_add((compiler)->problems, (record)->file, (record)->line, 0, __VA_ARGS__);                                 \
  } while (0)

/* What the parent has at the apex of a child zone that is ours too: of it only the DS records are the parent's to tell
 * (RFC 4035 section 2.4); everything else there and below is the child's. */
static bool is_parents_ds(const struct compiler *compiler, const struct tree_node *node, uint16_t type) {
  return type == TYPE_DS && compiler->tree->zones[node->zone].apex == node && node->parent &&
         node->parent->zone == compiler->zone;
}

static void visit(void *context, const struct master_record *record) {
  struct compiler *compiler = context;
  const struct tree_zone *zone = &compiler->tree->zones[compiler->zone];
  const struct name *owner = record->owner;
  char text[NAME_TEXT_SIZE];
  if (record->class != CLASS_IN) {
    report(compiler, record, "%s has class %u; only IN is served", name_to_text(owner->wire, text), record->class);
    return;
  }
  if (!name_is_below(owner->wire, owner->size, zone->apex->name, zone->apex->size)) {
    report(compiler, record, "%s is outside the zone %s", name_to_text(owner->wire, text), zone->config->name);
    return;
  }
  bool is_apex = owner->size == zone->apex->size;
  if (record->type == TYPE_SOA && !is_apex) {
    report(compiler, record, "%s has an SOA record, which belongs at the zone's apex", name_to_text(owner->wire, text));
    return;
  }
  struct tree_node *encloser = tree_encloser(compiler->tree, owner->wire, owner->size);
  if (encloser->zone != compiler->zone) {
    if (encloser->size != owner->size || !is_parents_ds(compiler, encloser, record->type))
      return;
  } else if (is_apex && record->type == TYPE_DS) {
    return; /* never asked of the zone itself */
  }
  bool exists = encloser->size == owner->size;
  tree_add(compiler->tree, exists ? encloser : tree_insert(compiler->tree, owner->wire, owner->size), record);
}

static bool check_zone_names(const struct config *config, struct problems *problems) {
  bool are_sound = true;
  for (size_t i = 0; i < config->zone_count; i++) {
    struct name name;
    if (name_from_text(config->zones[i].name, &name) == STATUS_OK)
      continue;
    problem_add(problems, config->path, config->zones[i].pos.line, config->zones[i].pos.column, "%s is no domain name",
                config->zones[i].name);
    are_sound = false;
  }
  return are_sound;
}

static void read_zones(struct compiler *compiler, bool *is_broken) {
  for (size_t i = 0; i < compiler->config->zone_count; i++) {
    const struct config_zone *zone = &compiler->config->zones[i];
    struct name origin;
    compiler->zone = (uint32_t)i;
    compiler->has_failed = name_from_text(zone->name, &origin) != STATUS_OK;
    if (!compiler->has_failed &&
        master_read(zone->file, &origin, &compiler->tree->arena, visit, compiler, compiler->problems) != STATUS_OK)
      compiler->has_failed = true;
    is_broken[i] = compiler->has_failed;
  }
}

/* Reads and judges; found is empty when the tree is fit to be laid out. */
static void build(struct tree *tree, const struct config *config, struct problems *found) {
  struct compiler compiler = {.config = config, .tree = tree, .problems = found};
  bool *is_broken = mem_array(config->zone_count, sizeof *is_broken);
  read_zones(&compiler, is_broken);
  places_add(tree, found);
  tree_settle(tree);
  check_zones(tree, is_broken, found);
  tree_prune(tree);
  free(is_broken);
}

enum status zones_compile(const struct config *config, int *fd, struct problems *problems) {
  if (!check_zone_names(config, problems))
    return STATUS_INVALID;
  struct tree tree;
  struct problems found = {0}; /* apart, since the caller's list may be full */
  enum status status = STATUS_INVALID;
  tree_init(&tree, config);
  build(&tree, config, &found);
  if (!found.count) {
    struct errbuf err;
    status = layout_write(&tree, fd, &err);
    if (status != STATUS_OK)
      problem_add(&found, config->path, 0, 0, "%s", err.text);
  }
  for (size_t i = 0; i < found.count; i++)
    problem_add(problems, found.items[i].file, found.items[i].line, found.items[i].column, "%s", found.items[i].text);
  problems_release(&found);
  tree_release(&tree);
  return status;
}
