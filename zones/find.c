#include "zones/find.h"

#include <string.h>

#include "gslb/model/name.h"
#include "zones/query.h"

const struct image_node *find_node(const struct image *image, const uint8_t *name, size_t size) {
  const struct image_head *head = image_head(image);
  const struct image_bucket *buckets = (const struct image_bucket *)(const void *)(image->base + head->buckets);
  uint64_t hash = name_hash(name, size);
  uint32_t mask = head->bucket_count - 1, tag = (uint32_t)(hash >> 32);
  for (uint32_t i = (uint32_t)hash & mask; buckets[i].node; i = (i + 1) & mask) {
    if (buckets[i].tag != tag)
      continue;
    const struct image_node *node = image_node(image, (uint64_t)buckets[i].node * 8);
    if (node->name_size == size && memcmp(image_node_name(node), name, size) == 0)
      return node;
  }
  return NULL;
}

/* The nearest existing name above: its node, or NULL when the name is in no zone of ours. */
static const struct image_node *find_encloser(const struct image *image, const uint8_t *name, size_t size) {
  while (size > 1) {
    size_t step = *name + 1u;
    name += step;
    size -= step;
    const struct image_node *node = find_node(image, name, size);
    if (node)
      return node;
  }
  return NULL;
}

static void set_at(const struct image *image, struct find_result *out, enum find_kind kind,
                   const struct image_node *node) {
  out->kind = kind;
  out->node = node;
  out->zone = image_zone(image, node->zone);
  out->encloser = NULL;
}

/* DS at the apex of a zone of ours: the parent's side answers when it is ours too. */
static bool find_ds(const struct image *image, const struct image_node *apex, struct find_result *out) {
  const struct image_node *above = find_encloser(image, image_node_name(apex), apex->name_size);
  if (!above)
    return false;
  if (above->cut)
    set_at(image, out, FIND_DELEGATION, image_node(image, above->cut));
  else
    set_at(image, out, FIND_NAME, apex);
  out->zone = image_zone(image, above->zone);
  return true;
}

void find_name(const struct image *image, const uint8_t *name, size_t size, uint16_t type, struct find_result *out) {
  const struct image_node *node = find_node(image, name, size);
  if (node) {
    if (type == TYPE_DS && (node->flags & IMAGE_APEX) && find_ds(image, node, out))
      return;
    const struct image_node *cut = node->cut ? image_node(image, node->cut) : NULL;
    if (cut && !(cut == node && type == TYPE_DS))
      set_at(image, out, FIND_DELEGATION, cut);
    else if (node->dname)
      set_at(image, out, FIND_DNAME, image_node(image, node->dname));
    else
      set_at(image, out, FIND_NAME, node);
    return;
  }
  const struct image_node *encloser = find_encloser(image, name, size);
  if (!encloser) {
    *out = (struct find_result){.kind = FIND_OUTSIDE};
    return;
  }
  if (encloser->cut) {
    set_at(image, out, FIND_DELEGATION, image_node(image, encloser->cut));
  } else if (encloser->flags & IMAGE_DNAME) {
    set_at(image, out, FIND_DNAME, encloser);
  } else if (encloser->dname) {
    set_at(image, out, FIND_DNAME, image_node(image, encloser->dname));
  } else if (encloser->wildcard) {
    set_at(image, out, FIND_NAME, image_node(image, encloser->wildcard));
    out->encloser = encloser;
  } else {
    set_at(image, out, FIND_ABSENT, encloser);
    out->node = NULL;
    out->encloser = encloser;
  }
}
