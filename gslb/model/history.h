/* gslb/model/history.h
 * Figures of members over time as they stand in STORE_DB_HISTORY, and the one place that knows how: a minute each for a
 * day, an hour each for 60 days. A series is one figure of one member from one source; its id is its place in the rows.
 * Three kinds of rows:
 *  - of a member: service \0 member -> its series with their ids;
 *  - of minutes: slot, chunk -> one sample each of HISTORY_MINUTE_CHUNK series with neighbouring ids;
 *  - of hours: slot, chunk -> least, mean, greatest and count of HISTORY_HOUR_CHUNK series.
 * With the slot first what is written of one minute stands together: 8 bytes a series, where a row for each series
 * would touch a page for each. An hour is folded from its minutes, so no open one has to be kept anywhere else. The
 * writer is gslb/admin/historian alone. No state; any thread. */
#ifndef GSLB_MODEL_HISTORY_H
#define GSLB_MODEL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/metrics.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"

#define HISTORY_SLOTS_KEPT 1440 /* of each resolution: a day of minutes, 60 days of hours */
#define HISTORY_MINUTE_MS INT64_C(60000)
#define HISTORY_HOUR_MS INT64_C(3600000)
#define HISTORY_DAY_MS INT64_C(86400000)
#define HISTORY_MINUTE_CHUNK 500u
#define HISTORY_HOUR_CHUNK 250u
#define HISTORY_ROW_SIZE 4080u /* at most: LMDB's page without its head */
#define HISTORY_POINTS_MOST 2000u

enum history_resolution { HISTORY_MINUTE, HISTORY_HOUR };
int64_t history_slot_ms(enum history_resolution resolution);

uint32_t history_series_most(uint64_t map_bytes);
/* How many ids there may be so that history never takes more than three quarters of the map, however they are used. */

/* Rows of a member */

#define HISTORY_OWN "gslb" /* source of what the balancer itself knows of a member */
#define HISTORY_ANSWERS "answers_per_minute"
#define HISTORY_LOAD "load"
#define HISTORY_OF_MEMBER_MOST 512u

struct history_series {
  uint32_t id;
  int64_t since_ms; /* house time of its first sample; what stands at its place before belonged to another */
  int64_t seen_ms;  /* of a late sample: written once a day */
  char source[16];  /* metric_source_name, or HISTORY_OWN */
  char metric[METRICS_NAME_SIZE];
};

void history_key_member(const char *service, const char *member, struct record_key *out);
bool history_is_member(struct store_bytes key);
/* Whether the key is of such a row. */
struct store_bytes history_members(void);
/* The prefix of all of them. */
uint8_t *history_encode_series(const struct history_series *series, size_t count, size_t *size);
/* free() it. */
enum status history_decode_series(struct store_bytes value, struct history_series **series, size_t *count);
/* free() them. STATUS_VERSION, STATUS_INVALID. */
enum status history_list(struct store *durable, const char *service, const char *member, struct history_series **series,
                         size_t *count, struct errbuf *err);
/* The series that there are of the member, none being no failure; free() them. */

/* Rows of samples */

struct history_cell {
  double min, mean, max;
  uint32_t count; /* 0: no sample, and the rest means nothing */
};
void history_add(struct history_cell *into, const struct history_cell *cell);

struct history_place { /* of a row */
  enum history_resolution resolution;
  uint32_t slot; /* house time / history_slot_ms */
  uint32_t chunk;
};
uint32_t history_slot(enum history_resolution resolution, int64_t at_ms);
void history_key(const struct history_place *place, struct record_key *out);
bool history_parse_key(struct store_bytes key, struct history_place *out);
/* False for a row of another kind. */
struct store_bytes history_rows(enum history_resolution resolution);
/* The prefix of all of them. */

size_t history_encode(enum history_resolution resolution, const struct history_cell *cells,
                      uint8_t out[HISTORY_ROW_SIZE]);
/* A chunk of cells. Of a minute only the mean is kept, exactly; figures of an hour to 7 digits. 0: none has a sample,
 * and there is nothing to store. */
enum status history_decode(enum history_resolution resolution, struct store_bytes value, struct history_cell *cells);
/* STATUS_VERSION, STATUS_INVALID: cells untouched. */

enum status history_fold(struct store_txn *txn, uint32_t hour, uint32_t chunk, struct history_cell *cells);
/* What the minutes of the hour (slot) hold of HISTORY_MINUTE_CHUNK series. A damaged row counts as not stored. */

/* Reading */

struct history_range {
  int64_t from_ms, to_ms; /* house time */
  int64_t step_ms;
  enum history_resolution resolution;
};

enum status history_choose(struct history_range *range, int64_t now_ms, struct errbuf *err);
/* Completes from_ms, to_ms and step_ms (0: the resolution): by minutes where the range begins within the day that they
 * are kept, else by hours. The range is widened to whole slots, the step to a multiple of them, and what is longer ago
 * than is kept is cut off. STATUS_RANGE: it is empty, the step is below the resolution, or there would be more than
 * HISTORY_POINTS_MOST points. */
size_t history_points(const struct history_range *range);

enum status history_read(struct store *durable, const struct history_series *series, const struct history_range *range,
                         struct history_cell *points, struct errbuf *err);
/* history_points cells: the i-th from range->from_ms + i * step_ms on. */

#endif
