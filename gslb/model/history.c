#include "gslb/model/history.h"

#include <assert.h>
#include <endian.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/record_layout.h"

#define ROW_VERSION 1u
#define PAGE_BYTES 4096u
#define MINUTES_OF_HOUR 60u
#define HOUR_COUNT_MOST 255u

enum row_kind { ROW_MEMBER = 1, ROW_MINUTE, ROW_HOUR }; /* hours last: their newest is the last row of all */

static const struct layout {
  uint8_t kind;
  int64_t slot_ms;
  uint32_t chunk;
  size_t cell_size;
} layouts[] = {
    [HISTORY_MINUTE] = {ROW_MINUTE, HISTORY_MINUTE_MS, HISTORY_MINUTE_CHUNK, 8},
    [HISTORY_HOUR] = {ROW_HOUR, HISTORY_HOUR_MS, HISTORY_HOUR_CHUNK, 3 * 4 + 1},
};

int64_t history_slot_ms(enum history_resolution resolution) {
  return layouts[resolution].slot_ms;
}

uint32_t history_series_most(uint64_t map_bytes) {
  /* a row takes a page at most */
  uint64_t slot_bytes = map_bytes / 4 * 3 / HISTORY_SLOTS_KEPT;
  uint64_t chunks = slot_bytes / (PAGE_BYTES * (1 + HISTORY_MINUTE_CHUNK / HISTORY_HOUR_CHUNK));
  return (uint32_t)(chunks > UINT32_MAX / HISTORY_MINUTE_CHUNK ? UINT32_MAX : chunks * HISTORY_MINUTE_CHUNK);
}

/* Rows of a member */

static const struct record_layout_field history_series_fields[] = {
    {NUMBER(history_series, id)},   {NUMBER(history_series, since_ms)}, {NUMBER(history_series, seen_ms)},
    {TEXT(history_series, source)}, {TEXT(history_series, metric)},
};
LAYOUT(history_series);

static const uint8_t member_kind = ROW_MEMBER;

void history_key_member(const char *service, const char *member, struct record_key *out) {
  struct record_key name;
  record_key_member(service, member, &name);
  assert(name.size < sizeof out->bytes);
  out->bytes[0] = ROW_MEMBER;
  memcpy(out->bytes + 1, name.bytes, name.size);
  out->size = name.size + 1;
}

bool history_is_member(struct store_bytes key) {
  return key.size > 1 && *(const uint8_t *)key.data == ROW_MEMBER;
}

struct store_bytes history_members(void) {
  return (struct store_bytes){&member_kind, 1};
}

uint8_t *history_encode_series(const struct history_series *series, size_t count, size_t *size) {
  struct record_layout_writer writer = {.grows = true};
  assert(count <= HISTORY_OF_MEMBER_MOST);
  record_layout_begin(&writer);
  record_layout_write_number(&writer, count, 2);
  for (size_t i = 0; i < count; i++)
    record_layout_write(&writer, &history_series_layout, &series[i]);
  *size = writer.used;
  return writer.out;
}

enum status history_decode_series(struct store_bytes value, struct history_series **series, size_t *count) {
  struct record_layout_reader reader;
  enum status status = record_layout_open(&reader, value.data, value.size);
  if (status)
    return status;
  size_t found = (size_t)record_layout_read_number(&reader, 2);
  if (reader.has_failed || found > HISTORY_OF_MEMBER_MOST)
    return STATUS_INVALID;
  struct history_series *items = mem_array(found ? found : 1, sizeof *items);
  for (size_t i = 0; i < found && !reader.has_failed; i++)
    record_layout_read(&reader, &history_series_layout, &items[i]);
  status = record_layout_end(&reader);
  if (status) {
    free(items);
    return status;
  }
  *series = items;
  *count = found;
  return STATUS_OK;
}

enum status history_list(struct store *durable, const char *service, const char *member, struct history_series **series,
                         size_t *count, struct errbuf *err) {
  struct record_key key;
  struct store_txn *txn;
  struct store_bytes value;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  history_key_member(service, member, &key);
  status = store_get(txn, STORE_DB_HISTORY, (struct store_bytes){key.bytes, key.size}, &value);
  if (status == STATUS_OK)
    status = history_decode_series(value, series, count);
  store_abort(txn);
  if (status == STATUS_NODATA) {
    *series = NULL;
    *count = 0;
    status = STATUS_OK;
  }
  return status ? errbuf_set(err, status, "the series of %s/%s cannot be read", service, member) : STATUS_OK;
}

/* Rows of samples */

void history_add(struct history_cell *into, const struct history_cell *cell) {
  if (cell->count == 0)
    return;
  if (into->count == 0) {
    *into = *cell;
    return;
  }
  double weight = (double)cell->count / ((double)into->count + (double)cell->count);
  into->mean = into->mean * (1 - weight) + cell->mean * weight;
  into->min = cell->min < into->min ? cell->min : into->min;
  into->max = cell->max > into->max ? cell->max : into->max;
  into->count += cell->count;
}

uint32_t history_slot(enum history_resolution resolution, int64_t at_ms) {
  return (uint32_t)(at_ms / layouts[resolution].slot_ms);
}

void history_key(const struct history_place *place, struct record_key *out) {
  uint32_t slot = htobe32(place->slot), chunk = htobe32(place->chunk);
  out->bytes[0] = layouts[place->resolution].kind;
  memcpy(out->bytes + 1, &slot, sizeof slot);
  memcpy(out->bytes + 1 + sizeof slot, &chunk, sizeof chunk);
  out->size = 1 + sizeof slot + sizeof chunk;
}

bool history_parse_key(struct store_bytes key, struct history_place *out) {
  const uint8_t *bytes = key.data;
  uint32_t slot, chunk;
  if (key.size != 1 + sizeof slot + sizeof chunk || (bytes[0] != ROW_MINUTE && bytes[0] != ROW_HOUR))
    return false;
  memcpy(&slot, bytes + 1, sizeof slot);
  memcpy(&chunk, bytes + 1 + sizeof slot, sizeof chunk);
  *out = (struct history_place){bytes[0] == ROW_MINUTE ? HISTORY_MINUTE : HISTORY_HOUR, be32toh(slot), be32toh(chunk)};
  return true;
}

struct store_bytes history_rows(enum history_resolution resolution) {
  return (struct store_bytes){&layouts[resolution].kind, 1};
}

static void put_float(uint8_t *out, double value) {
  float narrow = value > (double)FLT_MAX ? FLT_MAX : value < -(double)FLT_MAX ? -FLT_MAX : (float)value;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  bits = htobe32(bits);
  memcpy(out, &bits, sizeof bits);
}

static double get_float(const uint8_t *in) {
  uint32_t bits;
  float narrow;
  memcpy(&bits, in, sizeof bits);
  bits = be32toh(bits);
  memcpy(&narrow, &bits, sizeof narrow);
  return (double)narrow;
}

static void put_cell(enum history_resolution resolution, const struct history_cell *cell, uint8_t *out) {
  if (resolution == HISTORY_MINUTE) {
    uint64_t bits;
    memcpy(&bits, &cell->mean, sizeof bits);
    bits = htobe64(bits);
    memcpy(out, &bits, sizeof bits);
    return;
  }
  put_float(out, cell->min);
  put_float(out + 4, cell->mean);
  put_float(out + 8, cell->max);
  out[12] = (uint8_t)(cell->count > HOUR_COUNT_MOST ? HOUR_COUNT_MOST : cell->count);
}

/* Damage that made another number of it cannot be told; one that is none counts as no sample. */
static struct history_cell get_cell(enum history_resolution resolution, const uint8_t *in) {
  if (resolution == HISTORY_HOUR) {
    struct history_cell hour = {get_float(in), get_float(in + 4), get_float(in + 8), in[12]};
    return isfinite(hour.min) && isfinite(hour.mean) && isfinite(hour.max) ? hour : (struct history_cell){0};
  }
  uint64_t bits;
  double value;
  memcpy(&bits, in, sizeof bits);
  bits = be64toh(bits);
  memcpy(&value, &bits, sizeof value);
  return isfinite(value) ? (struct history_cell){value, value, value, 1} : (struct history_cell){0};
}

/* A row is its version, a bit for each series that has a sample, the lowest first, and these samples. */
static size_t bitmap_size(const struct layout *layout) {
  return (layout->chunk + 7) / 8;
}

static bool has_bit(const uint8_t *bitmap, size_t at) {
  return bitmap[at / 8] >> at % 8 & 1;
}

static size_t count_bits(const uint8_t *bitmap, size_t end) {
  size_t count = 0;
  for (size_t i = 0; i < end / 8; i++)
    count += (size_t)__builtin_popcount(bitmap[i]);
  for (size_t i = end / 8 * 8; i < end; i++)
    count += has_bit(bitmap, i);
  return count;
}

size_t history_encode(enum history_resolution resolution, const struct history_cell *cells,
                      uint8_t out[HISTORY_ROW_SIZE]) {
  const struct layout *layout = &layouts[resolution];
  uint8_t *bitmap = out + 1;
  size_t used = 1 + bitmap_size(layout), head = used;
  out[0] = ROW_VERSION;
  memset(bitmap, 0, bitmap_size(layout));
  for (size_t i = 0; i < layout->chunk; i++) {
    if (cells[i].count == 0)
      continue;
    bitmap[i / 8] |= (uint8_t)(1u << i % 8);
    put_cell(resolution, &cells[i], out + used);
    used += layout->cell_size;
  }
  assert(used <= HISTORY_ROW_SIZE);
  return used > head ? used : 0;
}

/* Whether the row is whole, and where its parts are. */
static enum status open_row(const struct layout *layout, struct store_bytes value, const uint8_t **bitmap,
                            const uint8_t **samples) {
  const uint8_t *bytes = value.data;
  size_t head = 1 + bitmap_size(layout);
  if (value.size == 0)
    return STATUS_INVALID;
  if (bytes[0] != ROW_VERSION)
    return STATUS_VERSION;
  if (value.size < head)
    return STATUS_INVALID;
  /* bits beyond the chunk would be samples of nobody */
  size_t count = count_bits(bytes + 1, layout->chunk);
  if (count != count_bits(bytes + 1, bitmap_size(layout) * 8) || value.size != head + count * layout->cell_size)
    return STATUS_INVALID;
  *bitmap = bytes + 1;
  *samples = bytes + head;
  return STATUS_OK;
}

enum status history_decode(enum history_resolution resolution, struct store_bytes value, struct history_cell *cells) {
  const struct layout *layout = &layouts[resolution];
  const uint8_t *bitmap, *samples;
  enum status status = open_row(layout, value, &bitmap, &samples);
  if (status)
    return status;
  for (size_t i = 0; i < layout->chunk; i++) {
    cells[i] = (struct history_cell){0};
    if (!has_bit(bitmap, i))
      continue;
    cells[i] = get_cell(resolution, samples);
    samples += layout->cell_size;
  }
  return STATUS_OK;
}

static enum status get_row(struct store_txn *txn, const struct history_place *place, struct store_bytes *value) {
  struct record_key key;
  history_key(place, &key);
  return store_get(txn, STORE_DB_HISTORY, (struct store_bytes){key.bytes, key.size}, value);
}

enum status history_fold(struct store_txn *txn, uint32_t hour, uint32_t chunk, struct history_cell *cells) {
  struct history_cell minute[HISTORY_MINUTE_CHUNK];
  memset(cells, 0, HISTORY_MINUTE_CHUNK * sizeof *cells);
  for (uint32_t i = 0; i < MINUTES_OF_HOUR; i++) {
    struct history_place place = {HISTORY_MINUTE, hour * MINUTES_OF_HOUR + i, chunk};
    struct store_bytes value;
    enum status status = get_row(txn, &place, &value);
    if (status != STATUS_OK && status != STATUS_NODATA)
      return status;
    if (status == STATUS_NODATA || history_decode(HISTORY_MINUTE, value, minute) != STATUS_OK)
      continue;
    for (size_t series = 0; series < HISTORY_MINUTE_CHUNK; series++)
      history_add(&cells[series], &minute[series]);
  }
  return STATUS_OK;
}

/* Reading */

static int64_t align(int64_t value, int64_t unit) {
  return value - value % unit;
}

static int64_t align_up(int64_t value, int64_t unit) {
  return align(value + unit - 1, unit);
}

enum status history_choose(struct history_range *range, int64_t now_ms, struct errbuf *err) {
  struct history_range chosen = *range;
  int64_t oldest_minute_ms = align(now_ms, HISTORY_MINUTE_MS) - HISTORY_SLOTS_KEPT * HISTORY_MINUTE_MS;
  int64_t oldest_hour_ms = align(now_ms, HISTORY_HOUR_MS) - HISTORY_SLOTS_KEPT * HISTORY_HOUR_MS;
  if (chosen.from_ms >= chosen.to_ms)
    return errbuf_set(err, STATUS_RANGE, "from is before to");
  chosen.resolution = chosen.from_ms >= oldest_minute_ms ? HISTORY_MINUTE : HISTORY_HOUR;
  int64_t slot_ms = history_slot_ms(chosen.resolution);
  if (chosen.step_ms == 0)
    chosen.step_ms = slot_ms;
  if (chosen.step_ms < slot_ms)
    return errbuf_set(err, STATUS_RANGE, "step is at least %d s where the range begins %s than a day ago",
                      (int)(slot_ms / 1000), chosen.resolution == HISTORY_MINUTE ? "less" : "more");
  int64_t oldest_ms = oldest_hour_ms > 0 ? oldest_hour_ms : 0;
  int64_t newest_ms = align_up(now_ms, slot_ms);
  chosen.from_ms = align(chosen.from_ms < oldest_ms ? oldest_ms : chosen.from_ms, slot_ms);
  chosen.to_ms = chosen.to_ms > newest_ms ? newest_ms : align_up(chosen.to_ms, slot_ms);
  chosen.step_ms = align_up(chosen.step_ms > HISTORY_SLOTS_KEPT * HISTORY_HOUR_MS ? HISTORY_SLOTS_KEPT * HISTORY_HOUR_MS
                                                                                  : chosen.step_ms,
                            slot_ms);
  if (chosen.from_ms >= chosen.to_ms)
    return errbuf_set(err, STATUS_RANGE, "the range lies outside of the 60 days that are kept");
  if (history_points(&chosen) > HISTORY_POINTS_MOST)
    return errbuf_set(err, STATUS_RANGE, "that would be %zu points, and %u are the most: take a larger step",
                      history_points(&chosen), HISTORY_POINTS_MOST);
  *range = chosen;
  return STATUS_OK;
}

size_t history_points(const struct history_range *range) {
  return (size_t)((range->to_ms - range->from_ms + range->step_ms - 1) / range->step_ms);
}

/* One series out of the row of a slot; without a sample or a row its count is 0. */
static enum status read_slot(struct store_txn *txn, enum history_resolution resolution, uint32_t slot, uint32_t id,
                             struct history_cell *cell) {
  const struct layout *layout = &layouts[resolution];
  struct history_place place = {resolution, slot, id / layout->chunk};
  const uint8_t *bitmap, *samples;
  struct store_bytes value;
  size_t at = id % layout->chunk;
  *cell = (struct history_cell){0};
  enum status status = get_row(txn, &place, &value);
  if (status != STATUS_OK)
    return status;
  if (open_row(layout, value, &bitmap, &samples) == STATUS_OK && has_bit(bitmap, at))
    *cell = get_cell(resolution, samples + count_bits(bitmap, at) * layout->cell_size);
  return STATUS_OK;
}

/* An hour whose row is not written yet, as the open one, is folded here. */
static enum status read_hour(struct store_txn *txn, uint32_t hour, uint32_t id, struct history_cell *cell) {
  enum status status = read_slot(txn, HISTORY_HOUR, hour, id, cell);
  for (uint32_t i = 0; status == STATUS_NODATA && i < MINUTES_OF_HOUR; i++) {
    struct history_cell minute;
    status = read_slot(txn, HISTORY_MINUTE, hour * MINUTES_OF_HOUR + i, id, &minute);
    if (status == STATUS_OK)
      status = STATUS_NODATA;
    history_add(cell, &minute);
  }
  return status == STATUS_NODATA ? STATUS_OK : status;
}

enum status history_read(struct store *durable, const struct history_series *series, const struct history_range *range,
                         struct history_cell *points, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  int64_t slot_ms = history_slot_ms(range->resolution);
  int64_t since_ms = align(series->since_ms, slot_ms);
  memset(points, 0, history_points(range) * sizeof *points);
  int64_t at_ms = range->from_ms < since_ms ? since_ms : range->from_ms;
  for (; at_ms < range->to_ms && status == STATUS_OK; at_ms += slot_ms) {
    struct history_cell cell;
    uint32_t slot = history_slot(range->resolution, at_ms);
    status = range->resolution == HISTORY_HOUR ? read_hour(txn, slot, series->id, &cell)
                                               : read_slot(txn, HISTORY_MINUTE, slot, series->id, &cell);
    if (status == STATUS_NODATA)
      status = STATUS_OK;
    history_add(&points[(at_ms - range->from_ms) / range->step_ms], &cell);
  }
  store_abort(txn);
  return status ? errbuf_set(err, status, "the history cannot be read") : STATUS_OK;
}
