/* gslb/model/snmp_tables.h
 * The ready tables of what devices tell by SNMP: which objects become which metrics. Data; any thread.
 * A metric's ceiling, where the device tells one, is the metric "<name>_ceiling". Utilizations go from 0 to 1. */
#ifndef GSLB_MODEL_SNMP_TABLES_H
#define GSLB_MODEL_SNMP_TABLES_H

#include <stdbool.h>
#include <stddef.h>

enum snmp_pick {
  SNMP_PICK_OBJECT, /* oid names the object, index and all */
  SNMP_PICK_SUM,    /* the rest: oid is a column; its rows together */
  SNMP_PICK_MEAN,
  SNMP_PICK_EACH,  /* a metric for each row: <name>.<what label_oid's column says, or the index> */
  SNMP_PICK_WHERE, /* the row in which where_oid's column is where_value */
};

struct snmp_row {
  const char *name; /* the metric's */
  const char *oid;
  enum snmp_pick pick;
  const char *where_oid, *where_value;
  const char *label_oid;
  const char *over_oid; /* divided by this object, or by this column's value in the same row; not with sums, means */
  double scale;         /* times this; 0: 1 */
  bool is_complement;   /* 1 less all that */
  bool is_counter;      /* the metric is the growth a second */
};

struct snmp_table {
  const char *name;
  const char *about; /* for people */
  const struct snmp_row *rows;
  size_t count;
};

const struct snmp_table *snmp_table_find(const char *name);
/* NULL: none is called so. */
const struct snmp_table *snmp_table_at(size_t index);
/* NULL after the last. */
char *snmp_tables_help(void);
/* The tables and their metrics as text; free() it. */

#endif
