/* zones/tables/table.h
 * A service's decision in wire form: what the answer path draws from. Built by the builder thread from an evaluation,
 * published by RCU, immutable from then on, freed after a grace period. Its records have their owner at offset 12 (the
 * question) until patched. */
#ifndef GSLB_ZONES_TABLES_TABLE_H
#define GSLB_ZONES_TABLES_TABLE_H

#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/balance.h"
#include "gslb/decide/evaluate.h"
#include "gslb/decide/topology.h"
#include "gslb/model/name.h"

#define TABLE_RECORDS_MOST CONFIG_ANSWERS_MOST

struct table_row { /* one member's records of one type */
  const uint8_t *records;
  uint16_t size;      /* bytes */
  uint16_t count;     /* 0: the member has none */
  uint16_t target_at; /* offset in records of a name whose addresses belong along; 0: none */
  bool is_own_target; /* that name is the member's own, so its addresses are in the table's targets */
  uint16_t member;    /* index into the service's members */
  uint32_t slot;      /* of its counter, or FACTS_NO_SLOT */
};

struct table_whole; /* zones/tables/whole */

struct table_set { /* the members that may be drawn for one type and class of clients */
  enum balance_method method;
  uint32_t row_count;     /* 0: NODATA */
  uint32_t wanted;        /* rows to draw, at most TABLE_RECORDS_MOST */
  struct table_row *rows; /* in the service's order */
  uint32_t *weights;
  struct alias_cell *cells;        /* for METHOD_WEIGHTED */
  const struct table_whole *whole; /* all rows in one piece, from which any answer is made; NULL: rows are drawn */
};

enum table_type { TABLE_A, TABLE_AAAA, TABLE_SRV, TABLE_HTTPS, TABLE_SVCB, TABLE_MX, TABLE_CNAME, TABLE_TYPES };

struct table_view { /* the sets for one class of clients */
  struct table_set sets[TABLE_TYPES];
};

struct table_name {     /* what registered, by its label */
  const uint8_t *label; /* length and lower-case bytes */
  uint32_t index;
};

struct table_target { /* a member's own addresses, for <member>.<service> */
  struct table_row a;
  struct table_row aaaa;
};

struct table {
  struct arena arena;
  uint32_t ttl_s;
  bool is_alias;                    /* answers with a CNAME, whatever the type asked for */
  bool is_doubtful;                 /* answered though nothing is known to be healthy */
  const struct topology_tree *tree; /* NULL: one view for all clients */
  bool may_have[TABLE_TYPES];       /* what the service answers by its configuration, if only with healthy members */
  struct table_view *views;         /* each once, however many classes see the same */
  const uint32_t *view_of;          /* by class; NULL: all see the first */
  struct table_target *targets;     /* one a member of the service */
  uint32_t target_count;
  const uint8_t *label;     /* of a service that a registration created: the first of its name; "\0" for a vacancy */
  struct table_name *names; /* in order: registered members, as indices of targets; of a pattern the services created
                             * from it, as indices of services */
  uint32_t name_count;
};

struct table *table_build(const struct config_service *service, const struct service_facts *facts,
                          const struct evaluation *evaluation, const struct topology_tree *tree);
/* Copies everything it needs but the tree, which the book keeps (NULL: the service does not prefer the nearest). */
struct table *table_build_pattern(const struct config *config, const struct facts *facts, size_t pattern);
/* The services that were created from the pattern; nothing to draw. */
void table_free(struct table *table);

const struct table_name *table_find_name(const struct table *table, const uint8_t *label);
/* label in wire form, lower case. NULL: no such. */

int table_type_of(uint16_t type);
/* The table_type of a DNS type, or -1: none of its. */

uint32_t table_draw(const struct table_set *set, struct random *random, uint32_t *turn,
                    uint32_t drawn[TABLE_RECORDS_MOST]);
/* Indices of the rows for one answer; returns how many. turn: this worker's counter of the service for round robin,
 * moved on. No allocation. */
uint32_t table_draw_one(const struct table_set *set, struct random *random, uint32_t *turn);
/* As table_draw where one row is wanted; of a set that is answered whole the row that comes first, which the others
 * follow in order. */

#endif
