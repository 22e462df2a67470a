/* zones/table.h
 * A service's decision in wire form: what the answer path draws from. Built by the builder thread from an evaluation,
 * published by RCU, immutable from then on, freed after a grace period. Its answers have their owner at offset 12 (the
 * question) until patched. */
#ifndef GSLB_ZONES_TABLE_H
#define GSLB_ZONES_TABLE_H

#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/balance.h"
#include "gslb/decide/evaluate.h"
#include "zones/name.h"

#define TABLE_RECORDS_MOST CONFIG_ANSWERS_MOST

struct table_row { /* one member's records of one type */
  const uint8_t *records;
  uint16_t size; /* bytes */
  uint16_t count;
  uint16_t member; /* index into the service's members */
  uint32_t slot;   /* of its counter, or FACTS_NO_SLOT */
};

struct table_set { /* the members that may be drawn for one type */
  enum balance_method method;
  uint32_t row_count;     /* 0: NODATA */
  uint32_t wanted;        /* rows to draw, at most TABLE_RECORDS_MOST */
  struct table_row *rows; /* in the service's order */
  uint32_t *weights;
  struct alias_cell *cells; /* for METHOD_WEIGHTED */
};

struct table_target { /* a member's own addresses, for <member>.<service> */
  struct table_row a;
  struct table_row aaaa;
};

struct table {
  struct arena arena;
  uint32_t ttl_s;
  struct table_set a;
  struct table_set aaaa;
  struct table_set srv;         /* records: owner, fixed part, target in full from TABLE_SRV_TARGET_AT */
  struct table_target *targets; /* one a member of the service */
  uint32_t target_count;
};

#define TABLE_SRV_TARGET_AT 18u /* offset in an SRV record of the target's name */

struct table *table_build(const struct config_service *service, const struct service_facts *facts,
                          const struct evaluation *evaluation);
/* Copies everything it needs. */
void table_free(struct table *table);

uint32_t table_draw(const struct table_set *set, struct random *random, uint32_t *turn,
                    uint32_t drawn[TABLE_RECORDS_MOST]);
/* Indices of the rows for one answer; returns how many. turn: this worker's counter of the service for round robin,
 * moved on. No allocation. */

#endif
