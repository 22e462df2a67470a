#include "zones/compile/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zones/message/query.h"

#define SLOTS_LEAST 16u

static const struct tree_extra no_extra = {.service = IMAGE_NONE, .member = TREE_NO_MEMBER};

static uint64_t fold_slot(uint64_t hash, const struct tree_node *node) {
  uint64_t address = (uintptr_t)node;
  assert(!(address >> TREE_SLOT_SHIFT));
  return hash >> TREE_SLOT_SHIFT << TREE_SLOT_SHIFT | address;
}

static struct tree_node *slot_node(uint64_t slot) {
  return (struct tree_node *)(uintptr_t)(slot & (((uint64_t)1 << TREE_SLOT_SHIFT) - 1));
}

static struct tree_node *find(const struct tree *tree, const uint8_t *name, size_t size, uint64_t hash) {
  size_t mask = tree->slot_count - 1;
  for (size_t at = hash & mask; tree->slots[at]; at = (at + 1) & mask) {
    if ((tree->slots[at] ^ hash) >> TREE_SLOT_SHIFT)
      continue;
    struct tree_node *node = slot_node(tree->slots[at]);
    if (node->size == size && name_equals(node->name, name, size))
      return node;
  }
  return NULL;
}

struct tree_node *tree_find(const struct tree *tree, const uint8_t *name, size_t size) {
  return find(tree, name, size, name_hash(name, size));
}

/* For a name that is not there. */
static void fill_slot(struct tree *tree, uint64_t hash, const struct tree_node *node) {
  size_t mask = tree->slot_count - 1;
  size_t at = hash & mask;
  while (tree->slots[at])
    at = (at + 1) & mask;
  tree->slots[at] = fold_slot(hash, node);
}

static void step_ahead(struct tree_walk *walk) {
  const struct tree_node *node = walk->ahead;
  uint64_t hash = name_hash(node->name, node->size);
  __builtin_prefetch(walk->table + (hash & walk->mask) * walk->entry_size, 1);
  walk->hashes[walk->hashed++ % TREE_AHEAD] = hash;
  walk->ahead = node->next;
}

void tree_walk_start(struct tree_walk *walk, const struct tree *tree, const void *table, size_t count,
                     size_t entry_size) {
  *walk = (struct tree_walk){.ahead = tree->first, .table = table, .mask = count - 1, .entry_size = entry_size};
  while (walk->ahead && walk->hashed < TREE_AHEAD)
    step_ahead(walk);
  walk->next = tree->first;
}

bool tree_walk_next(struct tree_walk *walk) {
  if (!walk->next)
    return false;
  walk->node = walk->next;
  walk->next = walk->node->next;
  walk->hash = walk->hashes[walk->reached++ % TREE_AHEAD];
  if (walk->ahead)
    step_ahead(walk);
  return true;
}

static void grow(struct tree *tree) {
  free(tree->slots);
  tree->slot_count *= 2;
  tree->slots = mem_table(tree->slot_count, sizeof *tree->slots);
  struct tree_walk walk;
  tree_walk_start(&walk, tree, tree->slots, tree->slot_count, sizeof *tree->slots);
  while (tree_walk_next(&walk))
    fill_slot(tree, walk.hash, walk.node);
}

static struct tree_node *create(struct tree *tree, const uint8_t *name, size_t size, uint64_t hash,
                                struct tree_node *parent, uint32_t zone) {
  struct tree_node *node =
      arena_alloc_aligned(&tree->arena, offsetof(struct tree_node, name) + size, _Alignof(struct tree_node));
  node->parent = parent;
  node->extra = &no_extra;
  node->zone = zone;
  node->size = (uint8_t)size;
  memcpy(node->name, name, size);
  if (++tree->node_count * 3 > tree->slot_count * 2)
    grow(tree);
  if (tree->last)
    tree->last->next = node;
  else
    tree->first = node;
  tree->last = node;
  tree->recent = parent;
  fill_slot(tree, hash, node);
  return node;
}

struct tree_extra *tree_extra(struct tree *tree, struct tree_node *node) {
  if (node->extra == &no_extra) {
    struct tree_extra *extra = arena_alloc_aligned(&tree->arena, sizeof *extra, _Alignof(struct tree_extra));
    *extra = no_extra;
    node->extra = extra;
  }
  return (struct tree_extra *)(uintptr_t)node->extra;
}

struct tree_node *tree_encloser(const struct tree *tree, const uint8_t *name, size_t size, uint64_t hash) {
  struct tree_node *node = find(tree, name, size, hash);
  while (!node && size > 1) {
    size_t step = *name + 1u;
    name += step;
    size -= step;
    const struct tree_node *recent = tree->recent;
    if (recent && recent->size == size && name_equals(recent->name, name, size))
      return (struct tree_node *)(uintptr_t)recent;
    node = tree_find(tree, name, size);
  }
  return node;
}

struct tree_node *tree_insert_below(struct tree *tree, struct tree_node *encloser, const uint8_t *name, size_t size,
                                    uint64_t hash) {
  struct tree_node *node = encloser;
  while (node->size < size) {
    size_t at = 0; /* of the name that is one label longer than node's */
    while (size - at - (name[at] + 1u) > node->size)
      at += name[at] + 1u;
    node = create(tree, name + at, size - at, at ? name_hash(name + at, size - at) : hash, node, node->zone);
  }
  return node;
}

struct tree_node *tree_insert(struct tree *tree, const uint8_t *name, size_t size) {
  uint64_t hash = name_hash(name, size);
  struct tree_node *encloser = tree_encloser(tree, name, size, hash);
  return encloser ? tree_insert_below(tree, encloser, name, size, hash) : NULL;
}

static int by_size(const void *a, const void *b) {
  const struct tree_zone *one = a, *other = b;
  size_t one_size = one->apex->size, other_size = other->apex->size;
  return (one_size > other_size) - (one_size < other_size);
}

/* Joins each apex to the zone around it, the outermost zones first so that what lies between lands in the right one. */
static void join_zones(struct tree *tree) {
  size_t count = tree->config->zone_count;
  struct tree_zone *ordered = mem_array(count, sizeof *ordered);
  memcpy(ordered, tree->zones, count * sizeof *ordered);
  qsort(ordered, count, sizeof *ordered, by_size);
  for (size_t i = 0; i < count; i++) {
    struct tree_node *apex = ordered[i].apex;
    if (apex->size > 1) {
      size_t step = apex->name[0] + 1u;
      apex->parent = tree_insert(tree, apex->name + step, apex->size - step);
    }
  }
  free(ordered);
}

void tree_init(struct tree *tree, const struct config *config) {
  *tree = (struct tree){.config = config, .slot_count = SLOTS_LEAST};
  tree->slots = mem_table(tree->slot_count, sizeof *tree->slots);
  tree->zones = mem_array(config->zone_count, sizeof *tree->zones);
  for (size_t i = 0; i < config->zone_count; i++) {
    struct name name;
    enum status status = name_from_text(config->zones[i].name, &name);
    assert(status == STATUS_OK);
    (void)status;
    tree->zones[i].config = &config->zones[i];
    struct tree_node *apex = tree_find(tree, name.wire, name.size);
    tree->zones[i].apex =
        apex ? apex : create(tree, name.wire, name.size, name_hash(name.wire, name.size), NULL, (uint32_t)i);
  }
  if (config->zone_count)
    join_zones(tree);
}

void tree_release(struct tree *tree) {
  free(tree->slots);
  free(tree->zones);
  arena_release(&tree->arena);
  *tree = (struct tree){0};
}

struct tree_rrset *tree_rrset(const struct tree_node *node, uint16_t type) {
  struct tree_rrset *rrset = node->rrsets;
  while (rrset && rrset->type < type)
    rrset = rrset->next;
  return rrset && rrset->type == type ? rrset : NULL;
}

bool tree_has_address(const struct tree_node *node) {
  return tree_rrset(node, TYPE_A) || tree_rrset(node, TYPE_AAAA) ||
         (node->extra->service != IMAGE_NONE && !(node->flags & IMAGE_SRV));
}

static void fill_record(struct tree_record *out, const struct master_record *record) {
  out->file = record->file;
  out->line = record->line;
  out->size = record->data->size;
  out->name_count = record->data->name_count;
  memcpy(out->name_at, record->data->name_at, sizeof out->name_at);
  memcpy(out->data, record->data->bytes, record->data->size);
  if (out->name_count == 1)
    out->ends_in_name = out->name_at[0] + name_size(out->data + out->name_at[0]) == out->size;
}

/* With its first record. */
static struct tree_rrset *create_rrset(struct tree *tree, struct tree_rrset *next, const struct master_record *record) {
  struct tree_rrset *rrset =
      arena_alloc_aligned(&tree->arena, offsetof(struct tree_rrset, first.data) + record->data->size,
                          _Alignof(struct tree_rrset));
  fill_record(&rrset->first, record);
  rrset->last = &rrset->first;
  rrset->count = 1;
  rrset->type = record->type;
  rrset->ttl_s = record->ttl_s;
  rrset->next = next;
  return rrset;
}

void tree_add(struct tree *tree, struct tree_node *node, const struct master_record *record) {
  struct tree_rrset **link = &node->rrsets;
  while (*link && (*link)->type < record->type)
    link = &(*link)->next;
  struct tree_rrset *rrset = *link;
  if (!rrset || rrset->type != record->type) {
    *link = create_rrset(tree, rrset, record);
    return;
  }
  struct tree_record *added = arena_alloc_aligned(&tree->arena, offsetof(struct tree_record, data) + record->data->size,
                                                  _Alignof(struct tree_record));
  fill_record(added, record);
  rrset->last->next = added;
  rrset->last = added;
  rrset->count++;
  if (record->ttl_s < rrset->ttl_s)
    rrset->ttl_s = record->ttl_s;
}

const char *tree_name(const struct tree_node *node, char text[NAME_TEXT_SIZE]) {
  return name_to_text(node->name, text);
}

/* Data without the case of its name, which makes no difference (RFC 4343). Label lengths are below 'A'. */
static uint8_t canonical(const struct tree_record *record, size_t at) {
  return at >= record->name_at[0] ? name_lower(record->data[at]) : record->data[at];
}

static int compare(const struct tree_record *a, const struct tree_record *b) {
  if (a->size != b->size)
    return a->size < b->size ? -1 : 1;
  if (!a->ends_in_name || !b->ends_in_name)
    return memcmp(a->data, b->data, a->size);
  for (size_t i = 0; i < a->size; i++) {
    uint8_t one = canonical(a, i), other = canonical(b, i);
    if (one != other)
      return one < other ? -1 : 1;
  }
  return 0;
}

struct ranked {
  struct tree_record *record;
  uint32_t rank; /* in the file */
  bool is_repeated;
};

static int by_data(const void *a, const void *b) {
  const struct ranked *one = a, *other = b;
  int order = compare(one->record, other->record);
  return order ? order : (one->rank > other->rank) - (one->rank < other->rank);
}

static int by_rank(const void *a, const void *b) {
  const struct ranked *one = a, *other = b;
  return (one->rank > other->rank) - (one->rank < other->rank);
}

/* Keeps the first of equal records, and the order (RFC 2181 section 5). */
static void drop_repeated(struct tree_rrset *rrset) {
  struct ranked *list = mem_array(rrset->count, sizeof *list);
  uint32_t count = 0;
  for (struct tree_record *record = &rrset->first; record; record = record->next, count++)
    list[count] = (struct ranked){.record = record, .rank = count};
  qsort(list, count, sizeof *list, by_data);
  for (uint32_t i = 1; i < count; i++)
    list[i].is_repeated = compare(list[i - 1].record, list[i].record) == 0;
  qsort(list, count, sizeof *list, by_rank);
  rrset->last = &rrset->first; /* which is the first of its equals, if it has any */
  for (uint32_t i = 1; i < count; i++) {
    if (list[i].is_repeated) {
      rrset->count--;
      continue;
    }
    rrset->last->next = list[i].record;
    rrset->last = list[i].record;
  }
  rrset->last->next = NULL;
  free(list);
}

static void settle_node(struct tree *tree, struct tree_node *node) {
  struct tree_node *parent = node->parent;
  bool is_wildcard = node->size > 2 && node->name[0] == 1 && node->name[1] == '*';
  if (is_wildcard)
    node->flags |= IMAGE_WILDCARD;
  if (parent && !(node->flags & IMAGE_APEX)) {
    struct tree_node *cut = parent->extra->cut;
    struct tree_node *dname = parent->flags & IMAGE_DNAME ? parent : parent->extra->dname;
    if (is_wildcard && !cut)
      tree_extra(tree, parent)->wildcard = node;
    if (!cut && tree_rrset(node, TYPE_NS)) {
      node->flags |= IMAGE_CUT;
      cut = node;
    } else if (cut) {
      node->flags |= IMAGE_BELOW_CUT;
    }
    if (cut != node->extra->cut)
      tree_extra(tree, node)->cut = cut;
    if (dname != node->extra->dname)
      tree_extra(tree, node)->dname = dname;
    if (cut)
      return;
  }
  if (tree_rrset(node, TYPE_CNAME))
    node->flags |= IMAGE_CNAME;
  if (tree_rrset(node, TYPE_DNAME))
    node->flags |= IMAGE_DNAME;
}

void tree_settle(struct tree *tree) {
  for (size_t i = 0; i < tree->config->zone_count; i++)
    tree->zones[i].apex->flags |= IMAGE_APEX;
  for (struct tree_node *node = tree->first; node; node = node->next) {
    for (struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next)
      if (rrset->count > 1)
        drop_repeated(rrset);
    settle_node(tree, node);
  }
}

/* Whether a record survives at a cut or below it (RFC 1034 section 4.2.1, RFC 4035 section 2). */
static bool is_kept(const struct tree_node *node, uint16_t type) {
  if (type == TYPE_A || type == TYPE_AAAA || !(node->flags & (IMAGE_CUT | IMAGE_BELOW_CUT)))
    return true;
  return (node->flags & IMAGE_CUT) && (type == TYPE_NS || type == TYPE_DS || type == TYPE_RRSIG || type == TYPE_NSEC);
}

void tree_prune(struct tree *tree) {
  for (struct tree_node *node = tree->first; node; node = node->next) {
    struct tree_rrset **link = &node->rrsets;
    while (*link) {
      if (is_kept(node, (*link)->type)) {
        tree->zones[node->zone].record_count += (*link)->count;
        link = &(*link)->next;
      } else {
        *link = (*link)->next;
      }
    }
  }
}
