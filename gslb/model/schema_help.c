#include "gslb/model/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"

#define PATH_SIZE 128u

static void print_number_type(FILE *out, const struct schema_row *row) {
  fprintf(out, "number from %lld to %lld%s%s", (long long)row->least, (long long)row->most, row->unit ? " " : "",
          row->unit ? row->unit : "");
}

static void print_duration_type(FILE *out, const struct schema_row *row) {
  char least[SCALAR_DURATION_SIZE], most[SCALAR_DURATION_SIZE];
  fprintf(out, "duration from %s to %s%s", scalar_format_duration(row->least, least),
          scalar_format_duration(row->most, most), row->kind == SCHEMA_SECONDS ? " in whole seconds" : "");
}

static void print_type(FILE *out, const struct schema_row *row) {
  switch (row->kind) {
  case SCHEMA_TEXT:
  case SCHEMA_LINES:
    fputs("text", out);
    break;
  case SCHEMA_PATH:
    fputs("path", out);
    break;
  case SCHEMA_DOMAIN:
    fputs(row->allowed & DOMAIN_WILDCARD ? "DNS name or wildcard" : "DNS name", out);
    break;
  case SCHEMA_LABEL:
    fputs("label", out);
    break;
  case SCHEMA_BOOL:
    fputs("true | false", out);
    break;
  case SCHEMA_U8:
  case SCHEMA_U16:
  case SCHEMA_U32:
    print_number_type(out, row);
    break;
  case SCHEMA_DECIMAL:
    if (row->least || row->most)
      fprintf(out, "decimal number from %lld to %lld", (long long)row->least, (long long)row->most);
    else
      fputs("decimal number", out);
    break;
  case SCHEMA_MILLISECONDS:
  case SCHEMA_SECONDS:
    print_duration_type(out, row);
    break;
  case SCHEMA_WORD:
    for (int i = 0; row->words[i]; i++)
      fprintf(out, "%s%s", i ? " | " : "", row->words[i]);
    break;
  case SCHEMA_ADDRESS:
    fputs("IP address", out);
    break;
  case SCHEMA_ENDPOINT:
    fputs("address@port", out);
    break;
  case SCHEMA_NETWORK:
    fputs("network", out);
    break;
  case SCHEMA_MAP:
    fputs("mapping", out);
    break;
  case SCHEMA_CUSTOM:
    fputs(row->type_help, out);
    break;
  }
}

static void print_list_size(FILE *out, const struct schema_row *row) {
  if (row->list_most == SIZE_MAX)
    fprintf(out, "; list%s", row->list_least ? ", at least one" : "");
  else
    fprintf(out, "; list of %zu to %zu", row->list_least, row->list_most);
}

static void print_variants(FILE *out, const struct schema_row *row, const struct schema_row *variant_row) {
  unsigned all = 0, with = 0;
  for (; variant_row->words[all]; all++)
    with += row->variants >> all & 1u;
  bool names_others = with > all / 2; /* the shorter list */
  fprintf(out, "; %s with %s ", names_others ? "not" : "only", variant_row->key);
  const char *separator = "";
  for (unsigned i = 0; i < all; i++)
    if ((row->variants >> i & 1u) != names_others) {
      fprintf(out, "%s%s", separator, variant_row->words[i]);
      separator = ", ";
    }
}

static const struct schema_row *find_variant_row(const struct schema_map *map) {
  for (size_t i = 0; map->variant_key && i < map->count; i++)
    if (strcmp(map->rows[i].key, map->variant_key) == 0)
      return &map->rows[i];
  return NULL;
}

static void print_map(FILE *out, const struct schema_map *map, const char *prefix,
                      const struct schema_row *variant_row) {
  if (map->variant_key)
    variant_row = find_variant_row(map);
  for (size_t i = 0; i < map->count; i++) {
    const struct schema_row *row = &map->rows[i];
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s%s%s%s", prefix, *prefix ? "." : "", row->key, row->is_list ? "[]" : "");
    fprintf(out, "%s: ", path);
    print_type(out, row);
    if (row->is_list)
      print_list_size(out, row);
    if (row->variants)
      print_variants(out, row, variant_row);
    if (row->is_required)
      fputs("; required", out);
    else if (row->standard_help || row->standard)
      fprintf(out, "; default %s", row->standard_help ? row->standard_help : row->standard);
    fprintf(out, "\n    %s\n", row->help);
    if (row->kind == SCHEMA_MAP)
      print_map(out, row->map, path, variant_row);
  }
}

char *schema_help(const struct schema_map *map) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    abort();
  print_map(out, map, "", NULL);
  fclose(out);
  return text;
}
