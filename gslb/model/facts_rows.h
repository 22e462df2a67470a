/* gslb/model/facts_rows.h
 * Rows copied out of a store's transaction, to be understood when it has ended. For facts.c alone. */
#ifndef GSLB_MODEL_FACTS_ROWS_H
#define GSLB_MODEL_FACTS_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/model/metrics.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

#define FACTS_KEY_PARTS_MOST 4u

struct facts_row {
  void *place;                          /* in the facts; NULL: not of this configuration */
  uint32_t service;                     /* valid with place */
  const struct metrics_record *figures; /* decoded, of a database of figures; in the rows' arena */
  enum store_db db;
  size_t key_size;
  size_t value_size;
  size_t bytes; /* where key and value stand */
};

struct facts_rows {
  struct facts_row *items;
  size_t count;
  size_t capacity;
  uint8_t *bytes;
  size_t used;
  size_t room;
  struct arena arena;
};
/* Zero-initialised is empty and ready. */

void facts_rows_add(struct facts_rows *rows, enum store_db db, struct store_bytes key, struct store_bytes value);
enum status facts_rows_scan(struct facts_rows *rows, struct store_txn *txn, enum store_db db,
                            struct store_bytes prefix);
/* Adds what store_scan visits. */
enum status facts_rows_by_id(struct facts_rows *rows, struct store_txn *txn, enum store_db db,
                             const struct config_service *service);
/* Adds, as rows of service \0 member, what stands under the ids of the service's registered members. */
struct store_bytes facts_row_key(const struct facts_rows *rows, const struct facts_row *row);
struct store_bytes facts_row_value(const struct facts_rows *rows, const struct facts_row *row);
/* Borrowed until the next row is added. */
void facts_rows_release(struct facts_rows *rows);

struct facts_key { /* the parts of a key, each with its end */
  char copy[STORE_KEY_MOST + 1];
  const char *parts[FACTS_KEY_PARTS_MOST];
  size_t count; /* 0: it has too many, or is too long */
};
void facts_key_split(struct store_bytes key, struct facts_key *out);

#endif
