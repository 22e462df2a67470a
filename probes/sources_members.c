#include <stdlib.h>
#include <string.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "probes/pace.h"
#include "probes/sources_private.h"

#define FIRST_WITHIN_MS 10000 /* the first reading of what has no interval */

static void end(struct sources *sources, struct subject *subject, const struct subject *next) {
  for (size_t i = 0; i < subject->reader_count; i++)
    sources_stop(&subject->readers[i]);
  for (size_t i = 0; i < subject->row_count; i++) {
    struct subject_row *row = &subject->rows[i];
    bool stays = next && subject_find_row((struct subject *)(uintptr_t)next, row->source);
    figures_withdraw(&row->item);
    if (!stays)
      figures_delete(sources->figures, row->item.row.db, &row->item.row.key, subject->load || row->has_self);
  }
  subject_free(subject);
}

/* Takes over what a reader of the configuration before brought, and when it was to be read next. */
static int64_t go_on_from(struct reader *reader, struct reader *before) {
  bool was_at_it = before->run || before->is_queued;
  reader->series = before->series;
  before->series = (struct series_set){0};
  reader->answers = before->answers;
  reader->has_answers = before->has_answers;
  reader->gap_ms = before->gap_ms;
  return was_at_it ? mono_now_us() : before->planned_us;
}

static void go_on(struct sources *sources, struct subject *subject, struct subject *before) {
  subject->slot = before->slot;
  subject->told_ms = before->told_ms;
  for (size_t i = 0; i < subject->row_count; i++) {
    struct subject_row *row = &subject->rows[i], *old = subject_find_row(before, row->source);
    if (!old)
      continue;
    struct figures_item item = row->item;
    bool is_news = old->item.row.is_news;
    bool is_waiting = old->item.row.queue != NULL;
    *row = *old;
    row->item = item;
    if (is_waiting)
      sources_write_row(sources, subject, row, is_news);
  }
}

struct fresh { /* readers that are to be planned */
  struct reader **items;
  size_t count, capacity;
};

static void add_fresh(struct fresh *fresh, struct reader *reader) {
  fresh->items = mem_grow(fresh->items, &fresh->capacity, fresh->count + 1, sizeof(struct reader *));
  fresh->items[fresh->count++] = reader;
}

static void bring_in(struct sources *sources, struct subject *subject, struct subject *before, struct fresh *fresh) {
  subject->sources = sources;
  for (size_t i = 0; i < subject->reader_count; i++) {
    struct reader *reader = &subject->readers[i];
    struct reader *alike = before ? subject_find_alike(before, reader) : NULL;
    if (alike)
      sources_begin(reader, go_on_from(reader, alike));
    else
      add_fresh(fresh, reader);
  }
  if (before)
    go_on(sources, subject, before);
}

/* From the subjects that a service had to those of how it is now. */
static void replace_list(struct sources *sources, struct subject_list *list, const struct config_service *service,
                         struct fresh *fresh) {
  struct subject_list next;
  subject_list_build(sources->config, service, &next);
  for (size_t i = 0; i < next.count; i++) {
    struct subject *known = subject_list_find(list, next.items[i]->member);
    if (known && subject_is_same(known, next.items[i])) {
      subject_free(next.items[i]);
      next.items[i] = known;
    } else {
      bring_in(sources, next.items[i], known, fresh);
    }
  }
  for (size_t i = 0; i < list->count; i++) {
    struct subject *now = subject_list_find(&next, list->items[i]->member);
    if (now != list->items[i])
      end(sources, list->items[i], now);
  }
  free(list->items);
  *list = next;
}

static int64_t first_interval_us(const struct reader *reader) {
  int64_t interval_ms = reader->target.source->interval_ms;
  return (interval_ms > 0 ? interval_ms : FIRST_WITHIN_MS) * 1000;
}

struct group { /* the readers of one source that are to be spread */
  size_t count, given;
  uint32_t phase;
};

static void begin_spread(struct sources *sources, const struct fresh *fresh) {
  struct group *groups = mem_array(sources->config->source_count, sizeof *groups);
  int64_t now_us = mono_now_us();
  for (size_t i = fresh->count; i > 1; i--) { /* so that one service's members are not all in one corner */
    size_t other = random_below(&sources->random, (uint32_t)i);
    struct reader *swapped = fresh->items[i - 1];
    fresh->items[i - 1] = fresh->items[other];
    fresh->items[other] = swapped;
  }
  for (size_t i = 0; i < sources->config->source_count; i++)
    groups[i].phase = (uint32_t)random_next(&sources->random);
  for (size_t i = 0; i < fresh->count; i++)
    groups[fresh->items[i]->target.source - sources->config->sources].count++;
  for (size_t i = 0; i < fresh->count; i++) {
    struct reader *reader = fresh->items[i];
    struct group *group = &groups[reader->target.source - sources->config->sources];
    sources_begin(reader, pace_first_us(now_us, first_interval_us(reader), group->given++, group->count, group->phase));
  }
  free(groups);
}

void sources_take(struct sources *sources, const struct config *config, const struct muster *muster) {
  struct subject_list *before = sources->lists;
  size_t before_count = sources->list_count;
  struct fresh fresh = {0};
  sources->config = config;
  sources->muster = muster;
  sources->list_count = config->service_count;
  sources->lists = mem_array(config->service_count, sizeof *sources->lists);
  for (size_t i = 0; i < before_count; i++) { /* those of one service have its name */
    const char *name = before[i].count > 0 ? before[i].items[0]->service : "";
    size_t now = *name ? muster_find(muster, name) : SIZE_MAX;
    if (now == SIZE_MAX)
      continue;
    sources->lists[now] = before[i];
    before[i] = (struct subject_list){0};
  }
  for (size_t i = 0; i < config->service_count; i++)
    replace_list(sources, &sources->lists[i], muster_service(muster, i), &fresh);
  for (size_t i = 0; i < before_count; i++) {
    for (size_t j = 0; j < before[i].count; j++)
      end(sources, before[i].items[j], NULL);
    free(before[i].items);
  }
  free(before);
  begin_spread(sources, &fresh);
  free(fresh.items);
  sources_serve_line(sources);
}

void sources_service_changed(struct sources *sources, size_t service) {
  struct fresh fresh = {0};
  int64_t now_us = mono_now_us();
  replace_list(sources, &sources->lists[service], muster_service(sources->muster, service), &fresh);
  if (!muster_is_complete(sources->muster)) /* all that are registered come at once */
    begin_spread(sources, &fresh);
  else
    for (size_t i = 0; i < fresh.count; i++)
      sources_begin(fresh.items[i], now_us);
  free(fresh.items);
  sources_serve_line(sources);
}

void sources_free(struct sources *sources) {
  if (!sources)
    return;
  for (size_t i = 0; i < sources->list_count; i++) {
    for (size_t j = 0; j < sources->lists[i].count; j++) {
      struct subject *subject = sources->lists[i].items[j];
      for (size_t k = 0; k < subject->reader_count; k++)
        sources_stop(&subject->readers[k]);
      for (size_t k = 0; k < subject->row_count; k++)
        figures_withdraw(&subject->rows[k].item);
    }
    subject_list_release(&sources->lists[i]);
  }
  free(sources->lists);
  free(sources->message);
  free(sources->record);
  free(sources);
}
