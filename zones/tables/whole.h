/* zones/tables/whole.h
 * What a set answers that is always answered with all of its rows, ready for the message: the records in one piece, and
 * behind them the addresses of the members that they name. Only which row comes first differs from answer to answer.
 * Made by the builder, as immutable as its table, in whose arena it lives. */
#ifndef GSLB_ZONES_TABLES_WHOLE_H
#define GSLB_ZONES_TABLES_WHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "zones/tables/table.h"

struct whole_owner {  /* of an address record */
  uint16_t record_at; /* offset of the record in the addresses; it begins with the pointer to its owner */
  uint16_t name_at;   /* offset of the owner's name in the records */
  uint16_t size;      /* from the record to the end of its RRset */
  uint16_t count;     /* of the records there */
};

struct whole_part { /* where what belongs to a row begins */
  uint16_t records_at;
  uint16_t addresses_at;
  uint16_t owner; /* index */
};

struct table_whole {
  const uint8_t *records;
  const uint8_t *addresses;         /* A before AAAA for each row; NULL: not all are the members' own */
  const struct whole_owner *owners; /* of each record in the addresses, RRset by RRset */
  struct whole_part *parts;         /* row_count of them, and one for the end */
  uint32_t row_count;
  uint16_t record_count;
  bool has_targets; /* names whose addresses belong along */
};

const struct table_whole *whole_new(struct arena *arena, const struct table_set *set,
                                    const struct table_target *targets);
/* NULL where the set's rows are drawn by weight, where not all are wanted, or are too many for one answer; where it is
 * one row, there is nothing to gain. */

#endif
