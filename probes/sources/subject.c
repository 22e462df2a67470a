#include "probes/sources/subject.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define INTERVAL_DEFAULT_MS 10000 /* where none is told or observed */
#define OBSERVED_MOST_MS 300000
#define INTERVALS_MOST 10

static bool find_place(const struct config_source *source, const struct config_member *member, struct addr *address) {
  if (source->address.family)
    *address = source->address;
  else if (member->monitor_address.family)
    *address = member->monitor_address;
  else if (member->address_count > 0)
    *address = member->addresses[0];
  else
    return false;
  if (!source->address.family || !address->port)
    address->port = source->port;
  return true;
}

static bool applies(const struct config_source *source, const struct config_member *member, struct addr *address) {
  bool has_place = find_place(source, member, address);
  if (source->type == SOURCE_UTILIZATION && member->is_registered)
    return member->utilization_url != NULL;
  return has_place;
}

struct subject_row *subject_find_row(struct subject *subject, enum metric_source source) {
  for (size_t i = 0; i < subject->row_count; i++)
    if (subject->rows[i].source == source)
      return &subject->rows[i];
  return NULL;
}

static struct subject_row *row_for(struct subject *subject, enum metric_source source) {
  struct subject_row *row = subject_find_row(subject, source);
  if (row)
    return row;
  assert(subject->row_count < SUBJECT_ROWS_MOST);
  row = &subject->rows[subject->row_count++];
  row->source = source;
  row->item.row.db = metrics_db(source);
  record_key_member(subject->service, subject->member, &row->item.row.key);
  return row;
}

static void set_schedule(struct reader *reader) {
  struct errbuf err = {0};
  const char *schedule = reader->target.source->schedule;
  if (!schedule)
    return;
  reader->has_cron = cron_parse(schedule, &reader->cron, &err) == STATUS_OK;
  reader->cron_at_s = INT64_MAX;
  if (!reader->has_cron)
    log_error("source %s: its schedule is left out: it %s", reader->target.source->name, err.text);
}

static struct subject *subject_new(const struct config *config, const struct config_service *service,
                                   const struct config_member *member) {
  struct subject *subject = mem_alloc(sizeof *subject);
  subject->service = mem_strdup(service->name);
  subject->member = mem_strdup(member->name);
  subject->url = member->utilization_url ? mem_strdup(member->utilization_url) : NULL;
  subject->load = service->load == CONFIG_NO_LOAD ? NULL : &config->loads[service->load];
  subject->slot = UINT32_MAX;
  subject->readers = mem_array(service->source_count, sizeof *subject->readers);
  for (size_t i = 0; i < service->source_count; i++) {
    const struct config_source *source = &config->sources[service->sources[i]];
    struct addr address = {0};
    if (!applies(source, member, &address))
      continue;
    struct reader *reader = &subject->readers[subject->reader_count++];
    reader->subject = subject;
    reader->row = row_for(subject, source_metrics_of(source->type));
    reader->target = (struct source_target){.config = config,
                                            .source = source,
                                            .service = subject->service,
                                            .member = subject->member,
                                            .address = address,
                                            .url = source->type == SOURCE_UTILIZATION ? subject->url : NULL};
    set_schedule(reader);
  }
  return subject;
}

void subject_free(struct subject *subject) {
  for (size_t i = 0; i < subject->reader_count; i++)
    series_release(&subject->readers[i].series);
  free(subject->readers);
  free(subject->service);
  free(subject->member);
  free(subject->url);
  free(subject);
}

static int compare_subjects(const void *a, const void *b) {
  const struct subject *const *left = a, *const *right = b;
  return strcmp((*left)->member, (*right)->member);
}

void subject_list_build(const struct config *config, const struct config_service *service, struct subject_list *out) {
  struct subject_list list = {0};
  if (service->name[0] && !config_service_is_pattern(service) && service->source_count > 0)
    list.items = mem_array(service->member_count, sizeof(struct subject *));
  for (size_t i = 0; i < service->member_count && list.items; i++) {
    struct subject *subject = subject_new(config, service, &service->members[i]);
    if (subject->reader_count > 0)
      list.items[list.count++] = subject;
    else
      subject_free(subject);
  }
  if (list.count > 0)
    qsort(list.items, list.count, sizeof(struct subject *), compare_subjects);
  *out = list;
}

void subject_list_release(struct subject_list *list) {
  for (size_t i = 0; i < list->count; i++)
    subject_free(list->items[i]);
  free(list->items);
  *list = (struct subject_list){0};
}

struct subject *subject_list_find(const struct subject_list *list, const char *member) {
  size_t low = 0, high = list->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp(member, list->items[middle]->member);
    if (order == 0)
      return list->items[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

static bool same_place(const struct source_target *a, const struct source_target *b) {
  bool same_url = a->url && b->url ? strcmp(a->url, b->url) == 0 : a->url == b->url;
  return same_url && addr_equal(&a->address, &b->address);
}

bool subject_is_same(const struct subject *a, const struct subject *b) {
  if (a->reader_count != b->reader_count || a->load != b->load || strcmp(a->service, b->service) != 0)
    return false;
  for (size_t i = 0; i < a->reader_count; i++)
    if (a->readers[i].target.source != b->readers[i].target.source ||
        !same_place(&a->readers[i].target, &b->readers[i].target))
      return false;
  return true;
}

struct reader *subject_find_alike(const struct subject *subject, const struct reader *reader) {
  for (size_t i = 0; i < subject->reader_count; i++) {
    struct reader *other = &subject->readers[i];
    if (strcmp(other->target.source->name, reader->target.source->name) == 0 &&
        source_alike(other->target.source, reader->target.source) && same_place(&other->target, &reader->target))
      return other;
  }
  return NULL;
}

/* Whoever is read after so many answers is read as often as it is asked for. A pause at night must not make the figures
 * of the evening count as fresh until noon, nor a burst make them fade with its end. */
static int64_t observed_ms(int64_t gap_ms) {
  if (gap_ms < INTERVAL_DEFAULT_MS)
    return INTERVAL_DEFAULT_MS;
  return gap_ms < OBSERVED_MOST_MS ? gap_ms : OBSERVED_MOST_MS;
}

static int64_t interval_of(const struct reader *reader, int64_t now_ms) {
  if (reader->target.source->interval_ms > 0)
    return reader->target.source->interval_ms;
  if (!reader->has_cron)
    return observed_ms(reader->gap_ms);
  int64_t first_s = cron_next_s(&reader->cron, now_ms / 1000);
  return (cron_next_s(&reader->cron, first_s) - first_s) * 1000;
}

void subject_row_record(const struct subject *subject, const struct subject_row *row, int64_t now_ms,
                        struct metrics_record *out) {
  int64_t newest_ms = 0;
  for (size_t i = 0; i < subject->reader_count; i++)
    if (subject->readers[i].row == row && subject->readers[i].series.at_ms > newest_ms)
      newest_ms = subject->readers[i].series.at_ms;
  out->at_ms = out->interval_ms = 0;
  out->read = row->read;
  out->failed = row->failed;
  memcpy(out->reason, row->reason, sizeof out->reason);
  out->has_self = row->has_self;
  out->self = row->self;
  memcpy(out->self_reason, row->self_reason, sizeof out->self_reason);
  out->count = 0;
  for (size_t i = 0; i < subject->reader_count; i++) {
    const struct reader *reader = &subject->readers[i];
    int64_t at_ms = reader->series.at_ms;
    if (reader->row != row || at_ms == 0)
      continue;
    int64_t interval_ms = interval_of(reader, now_ms);
    if (at_ms < newest_ms && now_ms - at_ms > INTERVALS_MOST * interval_ms)
      continue;
    if (out->at_ms == 0 || at_ms < out->at_ms)
      out->at_ms = at_ms;
    if (interval_ms > out->interval_ms)
      out->interval_ms = interval_ms;
    series_add(&reader->series, out);
  }
}
