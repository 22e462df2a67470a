#include "gslb/main/ctl_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"

#define COLUMNS_MOST 10

void ctl_table_begin(struct ctl_table *table, const char *const *titles) {
  *table = (struct ctl_table){0};
  for (; titles[table->columns]; table->columns++) {
    table->cells = mem_grow(table->cells, &table->capacity, table->count + 1, sizeof *table->cells);
    table->cells[table->count++] = mem_strdup(titles[table->columns]);
  }
}

void ctl_table_add(struct ctl_table *table, char *text) {
  /* what came from the network must not move the terminal's cursor */
  for (char *at = text; *at; at++)
    if ((unsigned char)*at < 0x20 || *at == 0x7f)
      *at = '?';
  table->cells = mem_grow(table->cells, &table->capacity, table->count + 1, sizeof *table->cells);
  table->cells[table->count++] = text;
}

static size_t width_of(const char *text) {
  size_t width = 0;
  for (; *text; text++)
    width += ((unsigned char)*text & 0xc0) != 0x80; /* characters, not bytes */
  return width;
}

void ctl_table_end(struct ctl_table *table, const char *indent) {
  size_t widths[COLUMNS_MOST] = {0};
  for (size_t i = 0; i < table->count; i++) {
    size_t width = width_of(table->cells[i]);
    if (width > widths[i % table->columns])
      widths[i % table->columns] = width;
  }
  for (size_t i = 0; i < table->count; i++) {
    size_t column = i % table->columns;
    if (column == 0)
      fputs(indent, stdout);
    fputs(table->cells[i], stdout);
    if (column + 1 == table->columns)
      putchar('\n');
    else
      printf("%*s", (int)(widths[column] - width_of(table->cells[i]) + 2), "");
    free(table->cells[i]);
  }
  free(table->cells);
}

const char *ctl_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "-";
}

long long ctl_number(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

char *ctl_number_text(const json_t *object, const char *key) {
  return mem_format("%lld", ctl_number(object, key));
}

char *ctl_age_text(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_number(value))
    return mem_strdup("-");
  long long seconds = (long long)json_number_value(value);
  if (seconds < 60)
    return mem_format("%llds", seconds);
  if (seconds < 3600)
    return mem_format("%lldm%02llds", seconds / 60, seconds % 60);
  if (seconds < 86400)
    return mem_format("%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
  return mem_format("%lldd%02lldh", seconds / 86400, seconds / 3600 % 24);
}

char *ctl_time_text(const json_t *object, const char *key) {
  char *text = mem_strdup(ctl_text(object, key));
  if (strlen(text) >= 19) { /* to the second; it is UTC and says so */
    text[10] = ' ';
    strcpy(text + 19, "Z");
  }
  return text;
}
