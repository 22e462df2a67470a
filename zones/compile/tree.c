#include "zones/compile/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zones/message/query.h"

#define SLOTS_LEAST 16u

static struct tree_slot *find_slot(const struct tree *tree, const uint8_t *name, size_t size, uint64_t hash) {
  size_t mask = tree->slot_count - 1;
  size_t at = hash & mask;
  for (; tree->slots[at].node; at = (at + 1) & mask) {
    const struct tree_node *node = tree->slots[at].node;
    if (tree->slots[at].hash == hash && node->size == size && name_equals(node->name, name, size))
      break;
  }
  return &tree->slots[at];
}

struct tree_node *tree_find(const struct tree *tree, const uint8_t *name, size_t size) {
  return find_slot(tree, name, size, name_hash(name, size))->node;
}

/* For a name that is not there. */
static void fill_slot(struct tree *tree, struct tree_slot fresh) {
  size_t mask = tree->slot_count - 1;
  size_t at = fresh.hash & mask;
  while (tree->slots[at].node)
    at = (at + 1) & mask;
  tree->slots[at] = fresh;
}

static void grow(struct tree *tree) {
  struct tree_slot *slots = tree->slots;
  size_t count = tree->slot_count;
  tree->slot_count *= 2;
  tree->slots = mem_table(tree->slot_count, sizeof *tree->slots);
  for (size_t i = 0; i < count; i++)
    if (slots[i].node)
      fill_slot(tree, slots[i]);
  free(slots);
}

static struct tree_node *create(struct tree *tree, const uint8_t *name, size_t size, struct tree_node *parent,
                                uint32_t zone) {
  struct tree_node *node = arena_alloc(&tree->arena, offsetof(struct tree_node, name) + size);
  node->hash = name_hash(name, size);
  node->parent = parent;
  node->zone = zone;
  node->service = IMAGE_NONE;
  node->member = TREE_NO_MEMBER;
  node->size = (uint8_t)size;
  memcpy(node->name, name, size);
  if (tree->last)
    tree->last->next = node;
  else
    tree->first = node;
  tree->last = node;
  if (++tree->node_count * 3 > tree->slot_count * 2)
    grow(tree);
  fill_slot(tree, (struct tree_slot){.hash = node->hash, .node = node});
  return node;
}

struct tree_node *tree_encloser(const struct tree *tree, const uint8_t *name, size_t size) {
  for (;;) {
    struct tree_node *node = tree_find(tree, name, size);
    if (node || size <= 1)
      return node;
    size_t step = *name + 1u;
    name += step;
    size -= step;
  }
}

struct tree_node *tree_insert_below(struct tree *tree, struct tree_node *encloser, const uint8_t *name, size_t size) {
  struct tree_node *node = encloser;
  while (node->size < size) {
    size_t at = 0; /* of the name that is one label longer than node's */
    while (size - at - (name[at] + 1u) > node->size)
      at += name[at] + 1u;
    node = create(tree, name + at, size - at, node, node->zone);
  }
  return node;
}

struct tree_node *tree_insert(struct tree *tree, const uint8_t *name, size_t size) {
  struct tree_node *encloser = tree_encloser(tree, name, size);
  return encloser ? tree_insert_below(tree, encloser, name, size) : NULL;
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
    tree->zones[i].apex = apex ? apex : create(tree, name.wire, name.size, NULL, (uint32_t)i);
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
         (node->service != IMAGE_NONE && !(node->flags & IMAGE_SRV));
}

void tree_add(struct tree *tree, struct tree_node *node, const struct master_record *record) {
  struct tree_rrset **link = &node->rrsets;
  while (*link && (*link)->type < record->type)
    link = &(*link)->next;
  if (!*link || (*link)->type != record->type) {
    struct tree_rrset *fresh = arena_alloc(&tree->arena, sizeof *fresh);
    fresh->type = record->type;
    fresh->ttl_s = record->ttl_s;
    fresh->next = *link;
    *link = fresh;
  }
  struct tree_rrset *rrset = *link;
  struct tree_record *added = arena_alloc(&tree->arena, offsetof(struct tree_record, data) + record->data->size);
  added->file = record->file;
  added->line = record->line;
  added->size = record->data->size;
  added->name_count = record->data->name_count;
  memcpy(added->name_at, record->data->name_at, sizeof added->name_at);
  memcpy(added->data, record->data->bytes, record->data->size);
  if (added->name_count == 1)
    added->ends_in_name = added->name_at[0] + name_size(added->data + added->name_at[0]) == added->size;
  if (rrset->last)
    rrset->last->next = added;
  else
    rrset->first = added;
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
  for (struct tree_record *record = rrset->first; record; record = record->next, count++)
    list[count] = (struct ranked){.record = record, .rank = count};
  qsort(list, count, sizeof *list, by_data);
  for (uint32_t i = 1; i < count; i++)
    list[i].is_repeated = compare(list[i - 1].record, list[i].record) == 0;
  qsort(list, count, sizeof *list, by_rank);
  struct tree_record **link = &rrset->first;
  for (uint32_t i = 0; i < count; i++) {
    if (list[i].is_repeated) {
      rrset->count--;
      continue;
    }
    *link = rrset->last = list[i].record;
    link = &list[i].record->next;
  }
  *link = NULL;
  free(list);
}

static void settle_node(struct tree_node *node) {
  struct tree_node *parent = node->parent;
  bool is_wildcard = node->size > 2 && node->name[0] == 1 && node->name[1] == '*';
  if (is_wildcard)
    node->flags |= IMAGE_WILDCARD;
  if (parent && !(node->flags & IMAGE_APEX)) {
    node->cut = parent->cut;
    node->dname = parent->flags & IMAGE_DNAME ? parent : parent->dname;
    if (is_wildcard && !node->cut)
      parent->wildcard = node;
    if (node->cut) {
      node->flags |= IMAGE_BELOW_CUT;
      return;
    }
    if (tree_rrset(node, TYPE_NS)) {
      node->flags |= IMAGE_CUT;
      node->cut = node;
      return;
    }
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
    settle_node(node);
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
