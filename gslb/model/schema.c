#include "gslb/model/schema.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gslb/base/addr.h"
#include "gslb/base/prefix.h"
#include "gslb/model/domain.h"
#include "gslb/model/nearest.h"
#include "gslb/model/scalar.h"

#define SUGGESTIONS_MOST 100u
#define ROWS_MOST 48u
#define TEXT_MOST 4096
#define LIST_SIZE 512u

static void load_map(struct schema_reader *reader, const struct schema_map *map, const struct document_node *node,
                     void *record);

static void *field_at(void *record, size_t offset) {
  return (char *)record + offset;
}

static void report(struct schema_reader *reader, struct config_pos pos, const char *format, va_list args) {
  char text[1024];
  vsnprintf(text, sizeof text, format, args);
  problem_add(reader->problems, pos.file ? pos.file : reader->file, pos.line, pos.column, "%s", text);
}

void schema_problem(struct schema_reader *reader, const struct document_node *node, const char *format, ...) {
  va_list args;
  va_start(args, format);
  report(reader, node ? node->pos : (struct config_pos){.line = 0}, format, args);
  va_end(args);
}

void schema_problem_at(struct schema_reader *reader, struct config_pos pos, const char *format, ...) {
  va_list args;
  va_start(args, format);
  report(reader, pos, format, args);
  va_end(args);
}

const char *schema_place(const struct schema_reader *reader, struct config_pos pos, struct config_pos seen_from,
                         char text[SCHEMA_PLACE_SIZE]) {
  const char *file = pos.file ? pos.file : reader->file, *other = seen_from.file ? seen_from.file : reader->file;
  bool is_same = strcmp(file, other) == 0;
  snprintf(text, SCHEMA_PLACE_SIZE, "%.250s%sline %d, column %d", is_same ? "" : file, is_same ? "" : ", ", pos.line,
           pos.column);
  return text;
}

/* Puts the word behind those in list, as far as there is room. */
static void append_word(char list[LIST_SIZE], const char *word) {
  size_t used = strlen(list);
  snprintf(list + used, LIST_SIZE - used, "%s%s", used ? ", " : "", word);
}

bool schema_may_suggest(struct schema_reader *reader) {
  return reader->suggestions++ < SUGGESTIONS_MOST;
}

/* The directory that relative paths at pos begin from: its length and where it starts. */
static size_t base_of(const struct schema_reader *reader, struct config_pos pos, const char **start) {
  if (!pos.file || strcmp(pos.file, reader->file) == 0) {
    *start = reader->directory;
    return strlen(reader->directory);
  }
  const char *slash = strrchr(pos.file, '/'); /* other files than the main one have absolute names */
  *start = pos.file;
  return slash ? (size_t)(slash - pos.file) : 0;
}

static const char *join(struct arena *arena, const char *directory, size_t directory_size, const char *path) {
  size_t base = *path == '/' ? 0 : directory_size;
  char *out = arena_alloc(arena, base + strlen(path) + 2);
  memcpy(out, directory, base);
  size_t used = base;
  while (used && out[used - 1] == '/')
    used--;
  while (*path) {
    size_t length = strcspn(path, "/");
    if (length && !(length == 1 && *path == '.')) {
      out[used++] = '/';
      memcpy(out + used, path, length);
      used += length;
    }
    path += length + (path[length] == '/');
  }
  if (!used)
    out[used++] = '/';
  out[used] = '\0';
  return out;
}

const char *schema_join(struct arena *arena, const char *directory, const char *path) {
  return join(arena, directory, strlen(directory), path);
}

const char *schema_path(const struct schema_reader *reader, struct config_pos pos, const char *path) {
  const char *directory;
  size_t length = base_of(reader, pos, &directory);
  return join(reader->arena, directory, length, path);
}

/* Values */

static bool read_text(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      const char **out) {
  size_t length = strlen(node->text);
  size_t least = row->least ? (size_t)row->least : 1, most = row->most ? (size_t)row->most : TEXT_MOST;
  if (length < least || length > most) {
    if (length == 0)
      schema_problem(reader, node, "%s is empty", row->key);
    else
      schema_problem(reader, node, "%s has %zu bytes; %zu to %zu are allowed", row->key, length, least, most);
    return false;
  }
  for (const char *at = node->text; *at; at++)
    if (((unsigned char)*at < ' ' || *at == 0x7f) && row->kind != SCHEMA_LINES) {
      schema_problem(reader, node, "%s contains a control character", row->key);
      return false;
    }
  *out =
      row->kind == SCHEMA_PATH ? schema_path(reader, node->pos, node->text) : arena_strdup(reader->arena, node->text);
  return true;
}

static bool read_name(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      const char **out) {
  char name[DOMAIN_TEXT_SIZE], quoted[SCALAR_QUOTED_SIZE];
  struct errbuf err;
  enum status status = row->kind == SCHEMA_DOMAIN ? domain_read(node->text, row->allowed, name, &err)
                                                  : domain_read_host_label(node->text, name, &err);
  if (status != STATUS_OK) {
    schema_problem(reader, node, "%s \"%s\" %s", row->key, scalar_quote(node->text, quoted), err.text);
    return false;
  }
  *out = arena_strdup(reader->arena, name);
  return true;
}

static bool read_number(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        int64_t *out) {
  char quoted[SCALAR_QUOTED_SIZE];
  int64_t value;
  if (scalar_number(node->text, &value) != STATUS_OK) {
    schema_problem(reader, node, "%s must be a whole number from %lld to %lld, not \"%s\"", row->key,
                   (long long)row->least, (long long)row->most, scalar_quote(node->text, quoted));
    return false;
  }
  if (value < row->least || value > row->most) {
    schema_problem(reader, node, "%s is %s; it must be from %lld to %lld", row->key, scalar_quote(node->text, quoted),
                   (long long)row->least, (long long)row->most);
    return false;
  }
  *out = value;
  return true;
}

static bool read_decimal(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         double *out) {
  char quoted[SCALAR_QUOTED_SIZE];
  double value;
  if (scalar_decimal(node->text, &value) != STATUS_OK) {
    schema_problem(reader, node, "%s must be a number such as 3 or 0.5, not \"%s\"", row->key,
                   scalar_quote(node->text, quoted));
    return false;
  }
  if ((row->least || row->most) && (value < (double)row->least || value > (double)row->most)) {
    schema_problem(reader, node, "%s is %s; it must be from %lld to %lld", row->key, scalar_quote(node->text, quoted),
                   (long long)row->least, (long long)row->most);
    return false;
  }
  *out = value;
  return true;
}

static bool read_duration(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                          int64_t *out) {
  char quoted[SCALAR_QUOTED_SIZE], least[SCALAR_DURATION_SIZE], most[SCALAR_DURATION_SIZE];
  struct errbuf err;
  int64_t value;
  scalar_quote(node->text, quoted);
  if (scalar_duration(node->text, &value, &err) != STATUS_OK) {
    schema_problem(reader, node, "%s \"%s\" %s", row->key, quoted, err.text);
    return false;
  }
  if (value < row->least || value > row->most) {
    schema_problem(reader, node, "%s is %s; it must be from %s to %s", row->key, quoted,
                   scalar_format_duration(row->least, least), scalar_format_duration(row->most, most));
    return false;
  }
  if (row->kind == SCHEMA_SECONDS && value % 1000 != 0) {
    schema_problem(reader, node, "%s is %s; it must be a whole number of seconds", row->key, quoted);
    return false;
  }
  *out = value;
  return true;
}

static bool read_word(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      int *out) {
  struct nearest nearest;
  nearest_begin(&nearest, node->text);
  char list[LIST_SIZE] = "";
  for (int i = 0; row->words[i]; i++) {
    if (strcmp(row->words[i], node->text) == 0) {
      *out = i;
      return true;
    }
    nearest_offer(&nearest, row->words[i]);
    append_word(list, row->words[i]);
  }
  char quoted[SCALAR_QUOTED_SIZE];
  schema_problem(reader, node, "%s is \"%s\", which is none of %s%s%s%s", row->key, scalar_quote(node->text, quoted),
                 list, nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                 nearest.best ? "\"?" : "");
  return false;
}

static bool read_address(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         struct addr *out) {
  bool has_port = row->kind == SCHEMA_ENDPOINT;
  enum status status = has_port ? addr_parse_port(node->text, out) : addr_parse(node->text, out);
  if (status == STATUS_OK)
    return true;
  char quoted[SCALAR_QUOTED_SIZE];
  scalar_quote(node->text, quoted);
  if (status == STATUS_RANGE)
    schema_problem(reader, node, "\"%s\" has a port outside 1 to 65535", quoted);
  else if (has_port)
    schema_problem(reader, node, "\"%s\" is not an IP address with a port, such as 192.0.2.1@53 or 2001:db8::1@53",
                   quoted);
  else
    schema_problem(reader, node, "\"%s\" is not an IP address", quoted);
  return false;
}

static bool read_network(struct schema_reader *reader, const struct document_node *node, struct prefix *out) {
  enum status status = prefix_parse(node->text, out);
  if (status == STATUS_OK)
    return true;
  char quoted[SCALAR_QUOTED_SIZE];
  scalar_quote(node->text, quoted);
  if (status == STATUS_RANGE)
    schema_problem(reader, node, "network \"%s\" has bits beyond its length, or too great a length", quoted);
  else
    schema_problem(reader, node, "\"%s\" is not a network such as 192.0.2.0/24 or 2001:db8::/32", quoted);
  return false;
}

static bool read_bool(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      bool *out) {
  bool is_true = strcmp(node->text, "true") == 0;
  if (is_true || strcmp(node->text, "false") == 0) {
    *out = is_true;
    return true;
  }
  char quoted[SCALAR_QUOTED_SIZE];
  schema_problem(reader, node, "%s must be true or false, not \"%s\"", row->key, scalar_quote(node->text, quoted));
  return false;
}

static bool read_scalar(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  int64_t number;
  int word;
  switch (row->kind) {
  case SCHEMA_DOMAIN:
  case SCHEMA_LABEL:
    return read_name(reader, row, node, field);
  case SCHEMA_BOOL:
    return read_bool(reader, row, node, field);
  case SCHEMA_U8:
    if (!read_number(reader, row, node, &number))
      return false;
    *(uint8_t *)field = (uint8_t)number;
    return true;
  case SCHEMA_U16:
    if (!read_number(reader, row, node, &number))
      return false;
    *(uint16_t *)field = (uint16_t)number;
    return true;
  case SCHEMA_U32:
    if (!read_number(reader, row, node, &number))
      return false;
    *(uint32_t *)field = (uint32_t)number;
    return true;
  case SCHEMA_DECIMAL:
    return read_decimal(reader, row, node, field);
  case SCHEMA_MILLISECONDS:
    return read_duration(reader, row, node, field);
  case SCHEMA_SECONDS:
    if (!read_duration(reader, row, node, &number))
      return false;
    *(uint32_t *)field = (uint32_t)(number / 1000);
    return true;
  case SCHEMA_WORD:
    if (!read_word(reader, row, node, &word))
      return false;
    memcpy(field, &word, sizeof word); /* enums of this size have other types */
    return true;
  case SCHEMA_ADDRESS:
  case SCHEMA_ENDPOINT:
    return read_address(reader, row, node, field);
  case SCHEMA_NETWORK:
    return read_network(reader, node, field);
  default:
    return read_text(reader, row, node, field);
  }
}

/* Structure */

static const char *kind_name(enum document_kind kind) {
  return kind == DOCUMENT_LIST ? "a list" : kind == DOCUMENT_MAP ? "a mapping" : "a single value";
}

static bool is_null(const struct document_node *node) {
  return node->kind == DOCUMENT_SCALAR && node->is_plain &&
         (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

/* Whether the node has the kind that is wanted; reports when it has not. */
static bool expect_kind(struct schema_reader *reader, const char *what, const struct document_node *node,
                        enum document_kind wanted) {
  if (node->kind == DOCUMENT_REFUSED)
    return false;
  if (is_null(node)) {
    schema_problem(reader, node,
                   wanted == DOCUMENT_LIST ? "%s has no value; an empty list is written []" : "%s has no value", what);
    return false;
  }
  if (node->kind != wanted) {
    schema_problem(reader, node, "%s must be %s, not %s", what, kind_name(wanted), kind_name(node->kind));
    return false;
  }
  return true;
}

/* The row's value, or one element of it when it is a list. */
static bool load_value(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                       void *field) {
  char what[96];
  snprintf(what, sizeof what, "%s%s", row->is_list ? "an element of " : "", row->key);
  if (row->kind == SCHEMA_CUSTOM) {
    if (node->kind == DOCUMENT_REFUSED)
      return false;
    if (is_null(node)) {
      schema_problem(reader, node, "%s has no value", what);
      return false;
    }
    return row->read(reader, row, node, field);
  }
  if (row->kind == SCHEMA_MAP) {
    if (!expect_kind(reader, what, node, DOCUMENT_MAP))
      return false;
    load_map(reader, row->map, node, field);
    return true;
  }
  return expect_kind(reader, what, node, DOCUMENT_SCALAR) && read_scalar(reader, row, node, field);
}

static void load_list(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *record) {
  if (!expect_kind(reader, row->key, node, DOCUMENT_LIST))
    return;
  if (node->count < row->list_least)
    schema_problem(reader, node, "%s needs at least %zu %s", row->key, row->list_least,
                   row->list_least == 1 ? "element" : "elements");
  size_t count = node->count < row->list_most ? node->count : row->list_most;
  char *items = arena_array(reader->arena, count + 1, row->item_size);
  struct config_pos *places = row->pos_offset ? arena_array(reader->arena, count + 1, sizeof *places) : NULL;
  memcpy(field_at(record, row->offset), &items, sizeof items);
  if (places)
    memcpy(field_at(record, row->pos_offset), &places, sizeof places);
  if (row->count_offset)
    memcpy(field_at(record, row->count_offset), &count, sizeof count);
  const struct document_node *item = node->first;
  for (size_t i = 0; i < count; i++, item = item->next) {
    if (places)
      places[i] = item->pos;
    load_value(reader, row, item, items + i * row->item_size);
  }
  if (item)
    schema_problem(reader, item, "%s has %zu elements; at most %zu are allowed", row->key, node->count, row->list_most);
}

static const struct schema_row *row_of(const struct schema_map *map, const char *key) {
  for (size_t i = 0; i < map->count; i++)
    if (strcmp(map->rows[i].key, key) == 0)
      return &map->rows[i];
  return NULL;
}

static void report_unknown(struct schema_reader *reader, const struct schema_map *map,
                           const struct document_node *key) {
  char quoted[SCALAR_QUOTED_SIZE];
  scalar_quote(key->text, quoted);
  if (!schema_may_suggest(reader)) {
    schema_problem(reader, key, "unknown key \"%s\"", quoted);
    return;
  }
  struct nearest nearest;
  nearest_begin(&nearest, key->text);
  char list[LIST_SIZE] = "";
  for (size_t i = 0; i < map->count; i++) {
    nearest_offer(&nearest, map->rows[i].key);
    append_word(list, map->rows[i].key);
  }
  if (nearest.best)
    schema_problem(reader, key, "unknown key \"%s\"; did you mean \"%s\"?", quoted, nearest.best);
  else
    schema_problem(reader, key, "unknown key \"%s\"; the keys here are %s", quoted, list);
}

void schema_report_twice(struct schema_reader *reader, const struct document_node *key,
                         const struct document_node *first) {
  char place[SCHEMA_PLACE_SIZE];
  schema_problem(reader, key, "key \"%s\" stands twice; first at %s", key->text,
                 schema_place(reader, first->pos, key->pos, place));
}

/* Finds each row's value; reports keys that are unknown or stand twice. */
static void sort_values(struct schema_reader *reader, const struct schema_map *map, const struct document_node *node,
                        const struct document_node *values[ROWS_MOST]) {
  for (const struct document_node *value = node->first; value; value = value->next) {
    const struct schema_row *row = row_of(map, value->key->text);
    if (!row) {
      report_unknown(reader, map, value->key);
      continue;
    }
    const struct document_node **slot = &values[row - map->rows];
    if (*slot)
      schema_report_twice(reader, value->key, (*slot)->key);
    else
      *slot = value;
  }
}

/* A key that is there although the chosen variant has no use for it. */
static void report_variant(struct schema_reader *reader, const struct schema_row *row,
                           const struct document_node *value) {
  const char *const *words = reader->variant_row->words;
  char belongs[LIST_SIZE] = "";
  const char *chosen = "";
  for (unsigned i = 0; words[i]; i++) {
    if (reader->variant == 1u << i)
      chosen = words[i];
    if (row->variants & 1u << i)
      append_word(belongs, words[i]);
  }
  schema_problem(reader, value->key, "key \"%s\" does not belong to %s %s, only to %s", row->key,
                 reader->variant_row->key, chosen, belongs);
}

static void load_absent(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *record) {
  if (row->is_required) {
    if (node)
      schema_problem(reader, node, "missing key \"%s\"", row->key);
    return;
  }
  if (row->kind == SCHEMA_MAP && !row->is_list) {
    load_map(reader, row->map, NULL, field_at(record, row->offset));
    return;
  }
  if (row->standard) {
    struct document_node standard = {.kind = DOCUMENT_SCALAR, .text = row->standard};
    bool is_loaded = load_value(reader, row, &standard, field_at(record, row->offset));
    assert(is_loaded);
    (void)is_loaded;
  }
}

static void load_row(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                     const struct document_node *value, void *record) {
  /* without a known variant what is given is read all the same, so that all that is wrong is told in one run */
  if (row->variants && !(row->variants & reader->variant) && (reader->variant || !value)) {
    if (value)
      report_variant(reader, row, value);
    return;
  }
  if (!value) {
    load_absent(reader, row, node, record);
    return;
  }
  if (row->is_list) {
    load_list(reader, row, value, record);
    return;
  }
  if (row->pos_offset)
    memcpy(field_at(record, row->pos_offset), &value->pos, sizeof value->pos);
  load_value(reader, row, value, field_at(record, row->offset));
}

static void choose_variant(struct schema_reader *reader, const struct schema_row *row,
                           const struct document_node *value) {
  reader->variant_row = row;
  reader->variant = 0;
  for (unsigned i = 0; value && value->kind == DOCUMENT_SCALAR && row->words[i]; i++)
    if (strcmp(row->words[i], value->text) == 0)
      reader->variant = 1u << i;
}

static void load_map(struct schema_reader *reader, const struct schema_map *map, const struct document_node *node,
                     void *record) {
  assert(map->count <= ROWS_MOST);
  const struct document_node *values[ROWS_MOST] = {NULL};
  const unsigned outer_variant = reader->variant;
  const struct schema_row *outer_row = reader->variant_row;
  if (node)
    sort_values(reader, map, node, values);
  if (node && map->has_position)
    memcpy(record, &node->pos, sizeof node->pos);
  for (size_t i = 0; i < map->count; i++) {
    const struct schema_row *row = &map->rows[i];
    if (map->variant_key && strcmp(row->key, map->variant_key) == 0)
      choose_variant(reader, row, values[i]);
    load_row(reader, row, node, values[i], record);
  }
  if (map->check)
    map->check(reader, node, record);
  reader->variant = outer_variant;
  reader->variant_row = outer_row;
}

void schema_load_inner(struct schema_reader *reader, const struct schema_map *map, const struct document_node *node,
                       void *record) {
  load_map(reader, map, node, record);
}

void schema_load(struct schema_reader *reader, const struct schema_map *map, const struct document_node *root,
                 void *record) {
  if (expect_kind(reader, "the configuration", root, DOCUMENT_MAP))
    load_map(reader, map, root, record);
}
