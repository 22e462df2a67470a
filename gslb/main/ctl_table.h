/* gslb/main/ctl_table.h
 * Aligned columns on a terminal, and the interface's values as their cells. One thread; writes to stdout. */
#ifndef GSLB_MAIN_CTL_TABLE_H
#define GSLB_MAIN_CTL_TABLE_H

#include <stddef.h>

struct json_t;

struct ctl_table {
  size_t columns;
  char **cells; /* row by row */
  size_t count, capacity;
};
void ctl_table_begin(struct ctl_table *table, const char *const *titles);
/* titles: at most 10, then NULL. */
void ctl_table_add(struct ctl_table *table, char *text);
/* The next cell, row by row; takes over text. */
void ctl_table_end(struct ctl_table *table, const char *indent);
/* Prints and frees it. */

const char *ctl_text(const struct json_t *object, const char *key);
/* "-" where it is no text; borrowed. */
long long ctl_number(const struct json_t *object, const char *key);
/* 0 where it is no whole number. */

/* What follows is to be freed. */
char *ctl_number_text(const struct json_t *object, const char *key);
char *ctl_age_text(const struct json_t *object, const char *key);
/* Seconds as "1m05s"; "-" where it is no number. */
char *ctl_time_text(const struct json_t *object, const char *key);
/* To the second; "-" where it is no text. */

#endif
