#include "zones/tables/registered.h"

#include <string.h>
#include <urcu-qsbr.h>

#include "gslb/model/name.h"

static const struct table *table_at(const struct book *book, uint32_t service) {
  return rcu_dereference(book->tables[service]);
}

static void make(const struct image_node *at, uint32_t service, const struct table *table, uint16_t flags,
                 uint32_t member, struct registered *out) {
  out->node = (struct image_node){.zone = at->zone,
                                  .service = service,
                                  .flags = flags,
                                  .name_size = 1,
                                  .member = (uint16_t)member};
  out->table = table;
}

static enum registered_kind find_member(const struct image_node *at, uint32_t service, const struct table *table,
                                        const uint8_t *label, struct registered *out) {
  const struct table_name *found = table_find_name(table, label);
  make(at, service, table, IMAGE_MEMBER, found ? found->index : UINT16_MAX, out);
  return found ? REGISTERED_NAME : REGISTERED_ABSENT;
}

/* Whether the service's type, "_http._tcp", stands in the name with this many labels. */
static bool is_type(const char *type, const uint8_t *name, unsigned labels) {
  for (; labels; labels--) {
    size_t length = strcspn(type, ".");
    if (length != *name || memcmp(type, name + 1, length) != 0)
      return false;
    type += length + (type[length] == '.');
    name += *name + 1u;
  }
  return *type == '\0';
}

static const char *second_part(const char *type) {
  const char *dot = strchr(type, '.');
  return dot ? dot + 1 : "";
}

/* labels: how many stand before the created service's own in the name. */
static enum registered_kind find_part(const char *type, const struct image_node *pattern, uint32_t service,
                                      const struct table *table, const uint8_t *name, unsigned labels,
                                      struct registered *out) {
  if (labels == 0) {
    make(pattern, service, table, IMAGE_ACCEPT, UINT16_MAX, out);
    return REGISTERED_NAME;
  }
  if (type && labels == 2 && is_type(type, name, 2)) {
    make(pattern, service, table, IMAGE_SRV, UINT16_MAX, out);
    return REGISTERED_NAME;
  }
  if (type && labels == 1 && is_type(second_part(type), name, 1)) {
    make(pattern, IMAGE_NONE, NULL, 0, UINT16_MAX, out);
    return REGISTERED_NAME;
  }
  if (labels == 1)
    return find_member(pattern, service, table, name, out);
  make(pattern, service, table, 0, UINT16_MAX, out);
  return REGISTERED_ABSENT;
}

static enum registered_kind find_created(const struct book *book, const struct image_node *pattern, const uint8_t *name,
                                         unsigned labels, struct registered *out) {
  const uint8_t *label = name;
  for (unsigned i = 1; i < labels; i++)
    label += *label + 1u;
  const struct table *created = table_at(book, pattern->service);
  const struct table_name *found = table_find_name(created, label);
  make(pattern, pattern->service, created, IMAGE_PATTERN, UINT16_MAX, out);
  if (!found)
    return REGISTERED_ABSENT;
  /* its vacancy may have been given to another name while this worker looks */
  const struct table *table = table_at(book, found->index);
  if (!table->label || table->label[0] != *label || memcmp(table->label, label, *label + 1u) != 0)
    return REGISTERED_ABSENT;
  const char *type = book->config->services[found->index].srv;
  return find_part(type, pattern, found->index, table, name, labels - 1, out);
}

enum registered_kind registered_find(const struct book *book, const struct find_result *found, const uint8_t *name,
                                     size_t size, struct registered *out) {
  const struct image_node *encloser = found->encloser;
  if (!encloser)
    return REGISTERED_FOREIGN;
  unsigned labels = 0;
  for (const uint8_t *at = name; size > encloser->name_size; size -= *at + 1u, at += *at + 1u)
    labels++;
  if (found->kind == FIND_NAME && (found->node->flags & IMAGE_PATTERN))
    return find_created(book, found->node, name, labels, out);
  if (!(encloser->flags & IMAGE_ACCEPT) || labels != 1)
    return REGISTERED_FOREIGN;
  struct registered made;
  enum registered_kind kind = find_member(encloser, encloser->service, table_at(book, encloser->service), name, &made);
  /* a static wildcard below the service answers for members that are not there */
  if (kind == REGISTERED_ABSENT && found->kind == FIND_NAME)
    return REGISTERED_FOREIGN;
  *out = made;
  return kind;
}
