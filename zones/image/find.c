#include "zones/image/find.h"

#include "zones/message/query.h"

/* The nearest existing name above: its node, or NULL when the name is in no zone of ours. */
static const struct image_node *find_encloser(const struct image *image, const uint8_t *name, size_t size) {
  while (size > 1) {
    size_t step = *name + 1u;
    name += step;
    size -= step;
    const struct image_node *node = find_node(image, name, size, name_hash(name, size));
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
  uint32_t cut = image_node_links(above).cut;
  if (cut)
    set_at(image, out, FIND_DELEGATION, image_node(image, cut));
  else
    set_at(image, out, FIND_NAME, apex);
  out->zone = image_zone(image, above->zone);
  return true;
}

/* The name is there: it answers, or what stands above it does. */
static void settle(const struct image *image, const struct image_node *node, uint16_t type, struct find_result *out) {
  if (type == TYPE_DS && (node->flags & IMAGE_APEX) && find_ds(image, node, out))
    return;
  struct image_links links = image_node_links(node);
  const struct image_node *cut = links.cut ? image_node(image, links.cut) : NULL;
  if (cut && !(cut == node && type == TYPE_DS))
    set_at(image, out, FIND_DELEGATION, cut);
  else if (links.dname)
    set_at(image, out, FIND_DNAME, image_node(image, links.dname));
  else
    set_at(image, out, FIND_NAME, node);
}

static void settle_below(const struct image *image, const struct image_node *encloser, struct find_result *out) {
  struct image_links links = image_node_links(encloser);
  if (links.cut) {
    set_at(image, out, FIND_DELEGATION, image_node(image, links.cut));
  } else if (encloser->flags & IMAGE_DNAME) {
    set_at(image, out, FIND_DNAME, encloser);
  } else if (links.dname) {
    set_at(image, out, FIND_DNAME, image_node(image, links.dname));
  } else if (links.wildcard) {
    set_at(image, out, FIND_NAME, image_node(image, links.wildcard));
    out->encloser = encloser;
  } else {
    set_at(image, out, FIND_ABSENT, encloser);
    out->node = NULL;
    out->encloser = encloser;
  }
}

void find_from(const struct image *image, const struct image_node *node, const uint8_t *name, size_t size,
               uint16_t type, struct find_result *out) {
  if (node) {
    settle(image, node, type, out);
    return;
  }
  const struct image_node *encloser = find_encloser(image, name, size);
  if (encloser)
    settle_below(image, encloser, out);
  else
    *out = (struct find_result){.kind = FIND_OUTSIDE};
}

void find_name(const struct image *image, const uint8_t *name, size_t size, uint64_t hash, uint16_t type,
               struct find_result *out) {
  find_from(image, find_node(image, name, size, hash), name, size, type, out);
}
