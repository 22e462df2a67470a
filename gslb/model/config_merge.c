#include "gslb/model/config_merge.h"

#include <assert.h>
#include <string.h>

#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"

#define KEYS_MOST 32u

struct merge {
  struct schema_reader *reader;
  const struct schema_map *map;
  const struct config_bundle *bundle;
  struct document_node *root;
  struct arena *tree;
  bool *is_taken;                        /* for each part of the bundle */
  struct document_node *last[KEYS_MOST]; /* of the list under each key of the map; NULL: not looked for yet */
};

const struct document_node *config_include_list(const struct document_node *root) {
  const struct document_node *list = document_find(root, "include");
  return list && list->kind == DOCUMENT_LIST ? list : NULL;
}

static struct document_node *last_of(struct document_node *node) {
  while (node && node->next)
    node = node->next;
  return node;
}

static struct document_node *copy_of(struct merge *merge, const struct document_node *node) {
  struct document_node *copy = arena_copy(merge->tree, node, sizeof *node);
  copy->next = NULL;
  return copy;
}

/* Includes */

/* The row of a key whose value is a list; SIZE_MAX when there is none. */
static size_t list_row(const struct merge *merge, const char *key) {
  for (size_t i = 0; i < merge->map->count; i++)
    if (strcmp(merge->map->rows[i].key, key) == 0)
      return merge->map->rows[i].is_list ? i : SIZE_MAX;
  return SIZE_MAX;
}

static void add_to_root(struct merge *merge, const struct document_node *value) {
  struct document_node *copy = copy_of(merge, value), *last = last_of(merge->root->first);
  if (last)
    last->next = copy;
  else
    merge->root->first = copy;
  merge->root->count++;
}

static void join_lists(struct merge *merge, size_t row, struct document_node *list, const struct document_node *more) {
  if (!more->count)
    return;
  if (!merge->last[row])
    merge->last[row] = last_of(list->first);
  if (merge->last[row])
    merge->last[row]->next = more->first;
  else
    list->first = more->first;
  merge->last[row] = last_of(more->first);
  list->count += more->count;
}

static void merge_value(struct merge *merge, const struct document_node *from, const struct document_node *value) {
  struct schema_reader *reader = merge->reader;
  const struct document_node *first = document_find(from, value->key->text);
  if (strcmp(value->key->text, "include") == 0) {
    schema_problem(reader, value->key, "an included file cannot include others");
    return;
  }
  if (first != value) {
    schema_report_twice(reader, value->key, first->key);
    return;
  }
  struct document_node *there = merge->root->first;
  while (there && strcmp(there->key->text, value->key->text) != 0)
    there = there->next;
  size_t row = list_row(merge, value->key->text);
  if (!there)
    add_to_root(merge, value);
  else if (row != SIZE_MAX && there->kind == DOCUMENT_LIST && value->kind == DOCUMENT_LIST)
    join_lists(merge, row, there, value);
  else
    schema_report_twice(reader, value->key, there->key);
}

static void merge_file(struct merge *merge, const struct document_node *entry, const char *path) {
  const struct bundle_part *part = bundle_find(merge->bundle, BUNDLE_FILE, path);
  if (!part) {
    schema_problem(merge->reader, entry, "include %s was not read together with this file", path);
    return;
  }
  bool *is_taken = &merge->is_taken[part - merge->bundle->parts];
  if (*is_taken)
    return;
  *is_taken = true;
  if (part->is_failed) {
    schema_problem(merge->reader, entry, "include %s %.*s", path, (int)part->size, part->bytes);
    return;
  }
  const struct document_node *from =
      document_parse(part->path, part->bytes, part->size, merge->tree, merge->reader->problems);
  if (!from)
    return;
  if (from->kind != DOCUMENT_MAP) {
    schema_problem(merge->reader, from, "an included file must be a mapping, like the main one");
    return;
  }
  for (const struct document_node *value = from->first; value; value = value->next)
    merge_value(merge, from, value);
}

static void merge_entry(struct merge *merge, const struct document_node *entry) {
  if (entry->kind == DOCUMENT_REFUSED)
    return;
  if (entry->kind != DOCUMENT_SCALAR || !*entry->text) {
    schema_problem(merge->reader, entry, "an element of include must be a path");
    return;
  }
  const char *path = schema_path(merge->reader, entry->pos, entry->text);
  const struct bundle_part *pattern = bundle_find(merge->bundle, BUNDLE_PATTERN, path);
  if (!pattern) {
    merge_file(merge, entry, path);
    return;
  }
  for (size_t at = 0; at < pattern->size;) {
    size_t length = strnlen(pattern->bytes + at, pattern->size - at);
    merge_file(merge, entry, arena_strndup(merge->tree, pattern->bytes + at, length));
    at += length + 1;
  }
}

static void merge_files(struct merge *merge) {
  const struct document_node *value = document_find(merge->root, "include");
  if (!value || value->kind == DOCUMENT_REFUSED)
    return;
  if (value->kind != DOCUMENT_LIST) {
    schema_problem(merge->reader, value, "include must be a list of paths");
    return;
  }
  for (const struct document_node *entry = value->first; entry; entry = entry->next)
    merge_entry(merge, entry);
}

/* Directories of zones */

/* A value as if the file had it, at the place of another one. */
static struct document_node *made_value(struct merge *merge, const char *key, const char *text,
                                        const struct document_node *place) {
  struct document_node *name = copy_of(merge, place->key), *value = copy_of(merge, place);
  name->text = key;
  value->text = text;
  value->is_plain = false;
  value->key = name;
  return value;
}

/* The row of one zone of the directory: its name and file, and the other keys of the row. */
static struct document_node *made_zone(struct merge *merge, const struct document_node *row,
                                       const struct document_node *directory, const char *name, const char *file) {
  struct document_node *zone = copy_of(merge, row);
  zone->first = made_value(merge, "name", name, directory);
  struct document_node *last = zone->first->next = made_value(merge, "file", file, directory);
  for (const struct document_node *value = row->first; value; value = value->next)
    if (value != directory)
      last = last->next = copy_of(merge, value);
  zone->count = row->count + 1;
  return zone;
}

static bool may_be_expanded(struct merge *merge, const struct document_node *row,
                            const struct document_node *directory) {
  static const char *const others[] = {"name", "file", "primaries", "primary_key"};
  bool is_alone = true;
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    const struct document_node *other = document_find(row, others[i]);
    if (other)
      schema_problem(merge->reader, other->key, "key \"%s\" cannot be given with directory", others[i]);
    is_alone = is_alone && !other;
  }
  if (directory->kind == DOCUMENT_SCALAR && *directory->text)
    return is_alone;
  if (directory->kind != DOCUMENT_REFUSED)
    schema_problem(merge->reader, directory, "directory must be a path");
  return false;
}

/* The name of the zone in a file; NULL when the file is named like none. */
static const char *zone_name(struct merge *merge, const struct document_node *directory, const char *file,
                             size_t length) {
  char *name = arena_strndup(merge->tree, file, length - (sizeof CONFIG_ZONE_SUFFIX - 1));
  char kept[DOMAIN_TEXT_SIZE], quoted[SCALAR_QUOTED_SIZE];
  struct errbuf err;
  if (domain_read(name, 0, kept, &err) == STATUS_OK)
    return name;
  schema_problem(merge->reader, directory, "file \"%s\" in this directory is not named like a zone: \"%s\" %s",
                 scalar_quote(file, quoted), name, err.text);
  return NULL;
}

/* Puts the zones of the directory into the list behind row; the last of them, or row when nothing was put. */
static struct document_node *expand(struct merge *merge, struct document_node *row,
                                    const struct document_node *directory, const char *path,
                                    const struct bundle_part *part, size_t *count) {
  struct document_node *last = row;
  for (size_t at = 0; at < part->size;) {
    size_t length = strnlen(part->bytes + at, part->size - at);
    const char *file = arena_strndup(merge->tree, part->bytes + at, length);
    at += length + 1;
    const char *name = length >= sizeof CONFIG_ZONE_SUFFIX ? zone_name(merge, directory, file, length) : NULL;
    if (!name)
      continue;
    struct document_node *zone = made_zone(merge, row, directory, name, schema_join(merge->tree, path, file));
    zone->next = last->next;
    last->next = zone;
    last = zone;
    (*count)++;
  }
  return last;
}

static void expand_directories(struct merge *merge, struct document_node *zones) {
  struct document_node **link = &zones->first;
  while (*link) {
    struct document_node *row = *link;
    const struct document_node *directory = document_find(row, "directory");
    if (!directory || !may_be_expanded(merge, row, directory)) {
      link = &row->next;
      continue;
    }
    const char *path = schema_path(merge->reader, directory->pos, directory->text);
    const struct bundle_part *part = bundle_find(merge->bundle, BUNDLE_DIRECTORY, path);
    if (!part || part->is_failed) {
      schema_problem(merge->reader, directory, "directory %s %.*s", path, part ? (int)part->size : 0,
                     part ? part->bytes : "");
      link = &row->next;
      continue;
    }
    size_t count = 0;
    struct document_node *last = expand(merge, row, directory, path, part, &count);
    zones->count += count - 1;
    *link = row->next;
    if (last != row)
      link = &last->next;
  }
}

void config_merge(struct schema_reader *reader, const struct schema_map *map, const struct config_bundle *bundle,
                  struct document_node *root, struct arena *tree) {
  assert(map->count <= KEYS_MOST);
  struct merge merge = {.reader = reader, .map = map, .bundle = bundle, .root = root, .tree = tree};
  merge.is_taken = arena_array(tree, bundle->count + 1, sizeof *merge.is_taken);
  if (bundle->count)
    merge.is_taken[0] = true; /* the main file does not include itself */
  merge_files(&merge);
  struct document_node *zones = (struct document_node *)document_find(root, "zones");
  if (zones && zones->kind == DOCUMENT_LIST)
    expand_directories(&merge, zones);
}
