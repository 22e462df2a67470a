#include "zones/compile/compile.h"

#include <stdlib.h>
#include <time.h>

#include "gslb/base/log.h"
#include "zones/compile/check.h"
#include "zones/compile/layout.h"
#include "zones/compile/places.h"
#include "zones/compile/tree.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/records/content.h"
#include "zones/records/master.h"
#include "zones/records/source_text.h"

struct compiler {
  const struct config *config;
  struct tree *tree;
  struct provenance *provenance; /* NULL: nobody wants to know */
  uint32_t zone;                 /* being read */
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
  struct tree_node *encloser = tree_encloser(compiler->tree, owner->wire, owner->size, record->owner_hash);
  if (encloser->zone != compiler->zone) {
    if (encloser->size != owner->size || !is_parents_ds(compiler, encloser, record->type))
      return;
  } else if (is_apex && record->type == TYPE_DS) {
    return; /* never asked of the zone itself */
  }
  struct tree_node *node = tree_insert_below(compiler->tree, encloser, owner->wire, owner->size, record->owner_hash);
  tree_add(compiler->tree, node, record);
}

static void announce(void *context, uint64_t owner_hash) {
  const struct compiler *compiler = context;
  tree_prefetch(compiler->tree, owner_hash);
}

static bool check_zone_names(const struct config *config, struct problems *problems) {
  bool are_sound = true;
  for (size_t i = 0; i < config->zone_count; i++) {
    struct name name;
    if (name_from_text(config->zones[i].name, &name) == STATUS_OK)
      continue;
    problem_add(problems, config_file_at(config, config->zones[i].pos), config->zones[i].pos.line,
                config->zones[i].pos.column, "%s is no domain name", config->zones[i].name);
    are_sound = false;
  }
  return are_sound;
}

/* Whether there is a copy; one that cannot be read counts, so that it is told. */
static bool has_copy(const struct compiler *compiler, const struct config_zone *zone) {
  bool is_absent = source_text_is_absent(zone->file);
  if (is_absent && compiler->provenance)
    provenance_add_absent(compiler->provenance, zone->file);
  return !is_absent;
}

static void read_zones(struct compiler *compiler, bool *is_broken, struct problems *found, struct problems *copies) {
  for (size_t i = 0; i < compiler->config->zone_count; i++) {
    const struct config_zone *zone = &compiler->config->zones[i];
    struct name origin;
    compiler->zone = (uint32_t)i;
    compiler->problems = zone->primary_count ? &copies[i] : found;
    compiler->has_failed =
        name_from_text(zone->name, &origin) != STATUS_OK || (zone->primary_count && !has_copy(compiler, zone));
    const struct master_reading reading = {.arena = &compiler->tree->arena,
                                           .visit = visit,
                                           .announce = announce,
                                           .context = compiler,
                                           .problems = compiler->problems,
                                           .provenance = compiler->provenance};
    if (!compiler->has_failed && master_read(zone->file, &origin, &reading) != STATUS_OK)
      compiler->has_failed = true;
    is_broken[i] = compiler->has_failed;
  }
}

static void drop_rrset(struct tree_node *node, const struct tree_rrset *rrset) {
  struct tree_rrset **link = &node->rrsets;
  while (*link != rrset)
    link = &(*link)->next;
  *link = rrset->next;
}

static bool is_delegated(const struct tree *tree, const struct tree_node *node) {
  const struct tree_node *apex = tree->zones[node->zone].apex;
  for (; node && node != apex; node = node->parent)
    if (tree_rrset(node, TYPE_NS))
      return true;
  return false;
}

/* What the primary has in the places of our balanced names, frozen members perhaps, gives way to them. */
static void make_room(struct tree *tree) {
  for (struct tree_node *node = tree->first; node; node = node->next) {
    const struct tree_zone *zone = &tree->zones[node->zone];
    if (node->extra->service == IMAGE_NONE || !zone->config->primary_count || node == zone->apex ||
        is_delegated(tree, node))
      continue;
    const struct tree_rrset *rrset = tree_rrset(node, TYPE_CNAME);
    if (rrset)
      drop_rrset(node, rrset);
    while ((rrset = check_collision(tree->config, node)))
      drop_rrset(node, rrset);
  }
}

/* Leaves the names, so that the zone is still known, and the DS records that are its parent's. */
static void drop_zone(struct tree *tree, uint32_t zone) {
  for (struct tree_node *node = tree->first; node; node = node->next) {
    if (node->zone != zone)
      continue;
    struct tree_rrset *ds = node == tree->zones[zone].apex ? tree_rrset(node, TYPE_DS) : NULL;
    if (ds)
      ds->next = NULL;
    node->rrsets = ds;
    if (node->extra->cut || node->extra->dname || node->extra->wildcard) {
      struct tree_extra *extra = tree_extra(tree, node);
      extra->cut = extra->dname = extra->wildcard = NULL;
    }
    node->flags &= IMAGE_APEX | IMAGE_SRV | IMAGE_MEMBER;
  }
}

/* A copy that is no sound zone is as none: the primary's fault must not keep the rest from being served. */
static void drop_unfit(struct tree *tree, const bool *is_broken, const struct problems *copies) {
  bool is_changed = false;
  for (uint32_t i = 0; i < tree->config->zone_count; i++) {
    const struct problem *first = copies[i].items;
    if (!copies[i].count && !(is_broken[i] && tree->config->zones[i].primary_count))
      continue;
    if (copies[i].count)
      log_warning("zone %s: its copy is not used: %s:%d: %s", tree->config->zones[i].name, first->file, first->line,
                  first->text);
    drop_zone(tree, i);
    is_changed = true;
  }
  if (is_changed)
    tree_settle(tree);
}

/* Reads and judges; found is empty when the tree is fit to be laid out. copies[zone]: what makes a copy unfit. */
static void build(struct tree *tree, struct provenance *provenance, struct problems *found, struct problems *copies) {
  const struct config *config = tree->config;
  struct compiler compiler = {.config = config, .tree = tree, .provenance = provenance};
  bool *is_broken = mem_array(config->zone_count, sizeof *is_broken);
  read_zones(&compiler, is_broken, found, copies);
  places_add(tree, found);
  make_room(tree);
  tree_settle(tree);
  check_zones(tree, is_broken, found, copies);
  for (size_t i = 0; i < config->zone_count && provenance; i++)
    if (copies[i].count) /* to be told at each reload */
      provenance_spoil(provenance);
  drop_unfit(tree, is_broken, copies);
  tree_prune(tree);
  free(is_broken);
}

/* serial: unixtime: the time of compilation, where that is newer than the file's. The SOA's data ends in five numbers
 * of which the serial is the first (RFC 1035 section 3.3.13). */
static void stamp_serials(struct tree *tree, uint32_t now_s) {
  for (size_t i = 0; i < tree->config->zone_count; i++) {
    struct tree_rrset *soa = tree_rrset(tree->zones[i].apex, TYPE_SOA);
    if (tree->config->zones[i].serial != ZONE_SERIAL_UNIXTIME || !soa)
      continue;
    uint8_t *serial = soa->first.data + soa->first.size - 20;
    if (soa_is_newer(now_s, wire_get_u32(serial)))
      wire_set_u32(serial, now_s);
  }
}

static struct problems *copies_new(const struct config *config) {
  return mem_array(config->zone_count + 1, sizeof(struct problems));
}

static void copies_free(struct problems *copies, const struct config *config) {
  for (size_t i = 0; i < config->zone_count; i++)
    problems_release(&copies[i]);
  free(copies);
}

enum status zones_compile(const struct config *config, int *fd, struct problems *problems) {
  return zones_compile_from(config, NULL, fd, problems);
}

enum status zones_compile_from(const struct config *config, struct provenance *provenance, int *fd,
                               struct problems *problems) {
  if (!check_zone_names(config, problems))
    return STATUS_INVALID;
  struct tree tree;
  struct problems found = {0}; /* apart, since the caller's list may be full */
  enum status status = STATUS_INVALID;
  tree_init(&tree, config);
  struct problems *copies = copies_new(config);
  build(&tree, provenance, &found, copies);
  copies_free(copies, config);
  struct cookie_secrets cookies = {0};
  struct errbuf err;
  if (config->server.cookie_secret && cookie_read_secrets(config->server.cookie_secret, &cookies, &err) != STATUS_OK)
    problem_add(&found, config->path, 0, 0, "server.cookies.secret: %s", err.text);
  if (!found.count) {
    stamp_serials(&tree, (uint32_t)time(NULL));
    status = layout_write(&tree, &cookies, fd, &err);
    if (status != STATUS_OK)
      problem_add(&found, config->path, 0, 0, "%s", err.text);
  }
  for (size_t i = 0; i < found.count; i++)
    problem_add(problems, found.items[i].file, found.items[i].line, found.items[i].column, "%s", found.items[i].text);
  problems_release(&found);
  tree_release(&tree);
  return status;
}

enum status zones_check_copy(const char *zone, const char *file, struct errbuf *err) {
  struct addr primary = {0};
  struct config_zone one = {.name = zone, .file = file, .primaries = &primary, .primary_count = 1};
  const struct config config = {.path = file, .zones = &one, .zone_count = 1};
  struct name name;
  if (name_from_text(zone, &name) != STATUS_OK)
    return errbuf_set(err, STATUS_INVALID, "%s is no domain name", zone);
  struct tree tree;
  struct problems found = {0}, copies = {0};
  bool is_broken = false;
  tree_init(&tree, &config);
  struct compiler compiler = {.config = &config, .tree = &tree};
  read_zones(&compiler, &is_broken, &found, &copies);
  tree_settle(&tree);
  check_zones(&tree, &is_broken, &found, &copies);
  enum status status = STATUS_OK;
  if (copies.count)
    status = errbuf_set(err, STATUS_INVALID, "%s:%d: %s", file, copies.items[0].line, copies.items[0].text);
  else if (is_broken)
    status = errbuf_set(err, STATUS_NOTFOUND, "%s: there is none", file);
  problems_release(&found);
  problems_release(&copies);
  tree_release(&tree);
  return status;
}
