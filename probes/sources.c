#include "probes/sources.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/facts_figures.h"
#include "gslb/model/records.h"
#include "probes/pace.h"
#include "probes/sources_private.h"

#define LOG_EVERY_MS 10000
#define TELL_EVERY_MS 60000

struct sources *sources_new(const struct child *child, const struct probe_tools *tools, struct figures *figures) {
  struct sources *sources = mem_alloc(sizeof *sources);
  sources->child = child;
  sources->tools = tools;
  sources->figures = figures;
  sources->record = mem_alloc(sizeof *sources->record);
  sources->message = mem_alloc(sizeof *sources->message);
  TAILQ_INIT(&sources->line);
  random_seed_system(&sources->random);
  return sources;
}

size_t sources_running(const struct sources *sources) {
  return sources->running;
}

/* What came of a reading. */

static void tell_refusal(struct sources *sources, struct subject *subject, const char *why) {
  int64_t now_ms = mono_now_ms();
  if (subject->told_ms && now_ms - subject->told_ms < TELL_EVERY_MS)
    return;
  subject->told_ms = now_ms;
  const char *const parts[] = {subject->service, subject->member, why};
  struct channel_message *message = sources->message;
  message->kind = CHANNEL_REFUSED;
  message->status = STATUS_OK;
  message->generation = message->fd_count = message->length = 0;
  for (size_t i = 0; i < 3; i++) {
    size_t size = strlen(parts[i]) + (i < 2 ? 1 : 0);
    memcpy(message->text + message->length, parts[i], size);
    message->length += size;
  }
  if (channel_send(sources->child->channel, message) != STATUS_OK)
    log_warning("figures of %s/%s were refused: %s", subject->service, subject->member, why);
}

void sources_write_row(struct sources *sources, struct subject *subject, struct subject_row *row, bool is_news) {
  subject_row_record(subject, row, house_now_ms(&sources->child->house), sources->record);
  figures_put(sources->figures, &row->item, sources->record, is_news);
}

/* Returns whether it says another thing than before. */
static bool take_self(struct subject_row *row, const struct source_reading *reading) {
  if (!reading->has_self)
    return false;
  bool is_other = !row->has_self || row->self != reading->self;
  row->has_self = true;
  row->self = reading->self;
  memcpy(row->self_reason, reading->self_reason, sizeof row->self_reason);
  return is_other;
}

/* What an agent-check said of the member's weight, or SOURCE_NO_WEIGHT. */
static double told_weight(const struct reader *reader) {
  for (size_t i = 0; i < reader->series.count && reader->target.source->type == SOURCE_AGENT_CHECK; i++)
    if (strcmp(reader->series.items[i].name, FACTS_WEIGHT_PERCENT) == 0)
      return reader->series.items[i].value;
  return SOURCE_NO_WEIGHT;
}

static bool holds(const struct source_value *values, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(values[i].name, name) == 0)
      return true;
  return false;
}

/* The reading's values, with the weight among them; out has room for all that a reading may have. What an agent-check
 * does not speak of stays as it said before (HAProxy's manual). */
static size_t gather_values(const struct reader *reader, const struct source_reading *reading,
                            struct source_value *out) {
  size_t count = reading->count;
  if (count > 0)
    memcpy(out, reading->values, count * sizeof *out);
  if (reading->weight_percent >= 0)
    out[count++] = (struct source_value){.name = FACTS_WEIGHT_PERCENT, .value = reading->weight_percent};
  if (reader->target.source->type != SOURCE_AGENT_CHECK)
    return count;
  for (size_t i = 0; i < reader->series.count; i++) {
    const struct series *series = &reader->series.items[i];
    if (series->has_value && !holds(out, count, series->name))
      out[count++] = (struct source_value){.name = series->name, .value = series->value};
  }
  return count;
}

static void take_values(struct sources *sources, struct reader *reader, const struct source_reading *reading) {
  struct subject *subject = reader->subject;
  struct subject_row *row = reader->row;
  struct series_view view = {subject->load, row->source};
  struct errbuf refused = {0};
  struct source_value *values = mem_array(reading->count + reader->series.count + 1, sizeof *values);
  size_t count = gather_values(reader, reading, values);
  int64_t before_ms = reader->series.at_ms, now_ms = house_now_ms(&sources->child->house);
  size_t refusals = series_take(&reader->series, values, count, &view, now_ms, mono_now_us(), &refused);
  free(values);
  if (before_ms)
    reader->gap_ms = now_ms - before_ms;
  row->read++;
  row->reason[0] = '\0';
  if (refusals == 0)
    return;
  struct source_reading told = {0};
  source_reading_set(&told, PROBE_PROTOCOL, refused.text);
  memcpy(row->reason, told.text, sizeof row->reason);
  tell_refusal(sources, subject, refused.text);
}

static void take_reading(struct sources *sources, struct reader *reader, const struct source_reading *reading) {
  struct subject_row *row = reader->row;
  int64_t now_ms = mono_now_ms();
  bool is_news = false;
  if (reading->reason == PROBE_NOT_MADE) {
    if (sources->not_made_logged_ms == 0 || now_ms - sources->not_made_logged_ms >= LOG_EVERY_MS) {
      log_error("figures cannot be read, they stay as they are: %s", reading->text);
      sources->not_made_logged_ms = now_ms;
    }
    return;
  }
  if (reading->reason == PROBE_PASSED) {
    double weight_before = told_weight(reader);
    take_values(sources, reader, reading);
    is_news = reader->subject->load != NULL || told_weight(reader) != weight_before;
  } else {
    row->failed++;
    memcpy(row->reason, reading->text, sizeof row->reason);
    if (reading->reason == PROBE_PROTOCOL) /* there were figures, and they are not taken */
      tell_refusal(sources, reader->subject, reading->text);
  }
  if (reading->reason == PROBE_PASSED && take_self(row, reading))
    is_news = true;
  sources_write_row(sources, reader->subject, row, is_news);
}

/* The line. */

static void want(struct reader *reader) {
  struct sources *sources = reader->subject->sources;
  if (reader->run) {
    reader->is_wanted = true;
  } else if (!reader->is_queued) {
    TAILQ_INSERT_TAIL(&sources->line, reader, entry);
    reader->is_queued = true;
    sources_serve_line(sources);
  }
}

static void finished(void *context, const struct source_reading *reading) {
  struct reader *reader = context;
  struct sources *sources = reader->subject->sources;
  bool is_wanted = reader->is_wanted;
  reader->run = NULL;
  reader->is_wanted = false;
  sources->running--;
  take_reading(sources, reader, reading);
  if (is_wanted)
    want(reader);
  sources_serve_line(sources);
}

void sources_serve_line(struct sources *sources) {
  struct reader *reader;
  while (sources->running < SOURCES_RUNNING_MOST && (reader = TAILQ_FIRST(&sources->line))) {
    TAILQ_REMOVE(&sources->line, reader, entry);
    reader->is_queued = false;
    sources->running++;
    reader->run = source_kind_of(reader->target.source->type)->start(sources->tools, &reader->target, finished, reader);
  }
}

static void is_due(void *context) {
  struct reader *reader = context;
  const struct config_source *source = reader->target.source;
  struct sources *sources = reader->subject->sources;
  if (source->interval_ms > 0) {
    reader->planned_us = pace_next_us(reader->planned_us, mono_now_us(), source->interval_ms * 1000,
                                      source->timeout_ms * 1000, &sources->random);
    loop_timer_at(reader->timer, reader->planned_us);
  } else {
    reader->planned_us = 0;
  }
  want(reader);
}

void sources_begin(struct reader *reader, int64_t planned_us) {
  struct sources *sources = reader->subject->sources;
  reader->planned_us = planned_us;
  reader->timer = loop_timer_new(sources->tools->loop, is_due, reader);
  if (planned_us)
    loop_timer_at(reader->timer, planned_us);
  if (reader->has_cron && sources->wall_s)
    reader->cron_at_s = cron_next_s(&reader->cron, sources->wall_s);
}

void sources_stop(struct reader *reader) {
  struct sources *sources = reader->subject->sources;
  if (reader->run) {
    source_kind_of(reader->target.source->type)->cancel(reader->run);
    reader->run = NULL;
    sources->running--;
  }
  if (reader->is_queued)
    TAILQ_REMOVE(&sources->line, reader, entry);
  reader->is_queued = reader->is_wanted = false;
  loop_timer_free(reader->timer);
  reader->timer = NULL;
}

static struct subject *find_subject(const struct sources *sources, const char *service, const char *member) {
  size_t at = muster_find(sources->muster, service);
  return at == SIZE_MAX ? NULL : subject_list_find(&sources->lists[at], member);
}

/* What was stored. */

struct taking {
  struct sources *sources;
  enum metric_source source;
};

static void remember(struct subject *subject, struct subject_row *row, const struct metrics_record *record) {
  struct reader *only = NULL;
  size_t readers = 0;
  row->read = record->read;
  row->failed = record->failed;
  row->has_self = record->has_self;
  row->self = record->self;
  memcpy(row->self_reason, record->self_reason, sizeof row->self_reason);
  for (size_t i = 0; i < subject->reader_count; i++)
    if (subject->readers[i].row == row) {
      only = &subject->readers[i];
      readers++;
    }
  struct series_view view = {subject->load, row->source};
  if (readers == 1 && only->series.at_ms == 0) { /* of several it is not told whose figure was whose */
    series_remember(&only->series, record, &view);
    only->gap_ms = record->interval_ms;
  }
}

static void take_stored(void *context, const struct record_key *key, const struct metrics_record *record) {
  const struct taking *taking = context;
  struct sources *sources = taking->sources;
  char service[256], member[CONFIG_MEMBER_NAME_MOST + 1];
  size_t length = strnlen((const char *)key->bytes, key->size);
  struct subject *subject = NULL;
  if (length < key->size && length < sizeof service && key->size - length - 1 < sizeof member) {
    memcpy(service, key->bytes, length + 1);
    memcpy(member, key->bytes + length + 1, key->size - length - 1);
    member[key->size - length - 1] = '\0';
    subject = find_subject(sources, service, member);
  }
  struct subject_row *row = subject ? subject_find_row(subject, taking->source) : NULL;
  if (!row && muster_is_complete(sources->muster))
    figures_delete(sources->figures, metrics_db(taking->source), key, true);
  else if (row && record && row->read + row->failed == 0)
    remember(subject, row, record);
}

enum status sources_read_stored(struct sources *sources, struct errbuf *err) {
  static const enum metric_source ours[] = {METRICS_SNMP, METRICS_SCRAPE, METRICS_CHECK, METRICS_UTILIZATION};
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
    struct taking taking = {sources, ours[i]};
    enum status status = figures_read(sources->figures, metrics_db(ours[i]), take_stored, &taking, err);
    if (status != STATUS_OK)
      return status;
  }
  return STATUS_OK;
}

/* Readings that no interval brings. */

static void find_slots(struct store *durable, struct subject **subjects, size_t count) {
  struct store_txn *txn;
  struct errbuf err = {0};
  if (count == 0 || !durable || store_begin(durable, false, &txn, &err) != STATUS_OK)
    return;
  for (size_t i = 0; i < count; i++) {
    struct record_key key;
    struct store_bytes value;
    struct slot_record record;
    record_key_member(subjects[i]->service, subjects[i]->member, &key);
    if (store_get(txn, STORE_DB_SLOTS, (struct store_bytes){key.bytes, key.size}, &value) == STATUS_OK &&
        slot_decode(value.data, value.size, &record) == STATUS_OK)
      subjects[i]->slot = record.slot;
  }
  store_abort(txn);
}

static void look_at_answers(struct sources *sources, struct reader *reader) {
  uint32_t every = reader->target.source->every_answers;
  if (every == 0 || reader->subject->slot == UINT32_MAX)
    return;
  uint64_t answers = board_answers(sources->child->board, reader->subject->slot);
  if (reader->has_answers && answers - reader->answers < every)
    return;
  if (reader->has_answers)
    want(reader);
  reader->has_answers = true;
  reader->answers = answers;
}

static void look_at_schedule(const struct sources *sources, struct reader *reader, int64_t wall_s) {
  if (!reader->has_cron)
    return;
  if (reader->cron_at_s <= wall_s)
    want(reader);
  /* a clock that was set back has its minutes again */
  if (reader->cron_at_s <= wall_s || wall_s < sources->wall_s || sources->wall_s == 0)
    reader->cron_at_s = cron_next_s(&reader->cron, wall_s);
}

static bool counts_answers(const struct subject *subject) {
  for (size_t i = 0; i < subject->reader_count; i++)
    if (subject->readers[i].target.source->every_answers > 0)
      return true;
  return false;
}

void sources_second(struct sources *sources, struct store *durable, int64_t wall_s) {
  struct subject **unplaced = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; i < sources->list_count; i++)
    for (size_t j = 0; j < sources->lists[i].count; j++) {
      struct subject *subject = sources->lists[i].items[j];
      if (subject->slot != UINT32_MAX || !counts_answers(subject))
        continue;
      unplaced = mem_grow(unplaced, &capacity, count + 1, sizeof(struct subject *));
      unplaced[count++] = subject;
    }
  find_slots(durable, unplaced, count);
  free(unplaced);
  for (size_t i = 0; i < sources->list_count; i++)
    for (size_t j = 0; j < sources->lists[i].count; j++)
      for (size_t k = 0; k < sources->lists[i].items[j]->reader_count; k++) {
        look_at_answers(sources, &sources->lists[i].items[j]->readers[k]);
        look_at_schedule(sources, &sources->lists[i].items[j]->readers[k], wall_s);
      }
  sources->wall_s = wall_s;
}

size_t sources_measure(struct sources *sources, const char *service, const char *member) {
  struct subject *subject = find_subject(sources, service, member);
  for (size_t i = 0; subject && i < subject->reader_count; i++)
    want(&subject->readers[i]);
  return subject ? subject->reader_count : 0;
}

static bool is_device(const struct reader *reader, const struct addr *device) {
  struct addr address = reader->target.address;
  address.port = device->port;
  return reader->target.source->type == SOURCE_SNMP && addr_equal(&address, device);
}

/* Visits all readers of the device; whether there are any. */
static bool each_device(const struct sources *sources, const struct addr *device,
                        void (*visit)(struct reader *reader)) {
  bool is_known = false;
  for (size_t s = 0; s < sources->list_count; s++)
    for (size_t i = 0; i < sources->lists[s].count; i++) {
      struct subject *subject = sources->lists[s].items[i];
      for (size_t r = 0; r < subject->reader_count; r++) {
        if (!is_device(&subject->readers[r], device))
          continue;
        is_known = true;
        if (visit)
          visit(&subject->readers[r]);
      }
    }
  return is_known;
}

bool sources_knows(const struct sources *sources, const struct addr *device) {
  return each_device(sources, device, NULL);
}

void sources_measure_device(struct sources *sources, const struct addr *device) {
  each_device(sources, device, want);
}

void sources_asked(struct sources *sources, const char *text, size_t length) {
  size_t service = strlen(text);
  if (service < length)
    sources_measure(sources, text, text + service + 1);
}
