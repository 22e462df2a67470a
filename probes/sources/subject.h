/* probes/sources/subject.h
 * Whose figures are read: one subject for each member of a service that has sources, with a reader for each source that
 * applies to it and a row for each database that they fill. A service's list is built from how it is now (configured
 * and registered members) and compared with the one before. Belongs to the probe process's thread. */
#ifndef GSLB_PROBES_SOURCES_SUBJECT_H
#define GSLB_PROBES_SOURCES_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "gslb/model/config.h"
#include "gslb/model/cron.h"
#include "probes/sources/figures.h"
#include "probes/sources/series.h"
#include "probes/sources/source.h"

#define SUBJECT_ROWS_MOST 4u

struct sources;
struct subject;

struct subject_row { /* of one database: what all readers of its kind brought */
  enum metric_source source;
  struct figures_item item;
  uint64_t read, failed;
  char reason[96];
  bool has_self;
  enum health self;
  char self_reason[96];
};

struct reader { /* of one source */
  struct subject *subject;
  struct subject_row *row;
  struct source_target target; /* borrows the source from the configuration, the rest from the subject */
  struct series_set series;

  /* the rest is the runner's; zero at first */
  struct loop_timer *timer; /* for the next reading at an interval; NULL: not started */
  struct source_run *run;   /* NULL: none */
  int64_t planned_us;       /* mono: what the timer is for; 0: nothing */
  bool is_wanted;           /* again, as soon as the one that runs has ended */
  bool is_queued;           /* in the line of those that wait for room */
  TAILQ_ENTRY(reader) entry;
  bool has_cron;
  struct cron cron;
  int64_t cron_at_s; /* Unix time of the next one by schedule */
  uint64_t answers;  /* with the member, when it was read last */
  bool has_answers;
  int64_t gap_ms; /* between its last two readings; 0: there were none */
};

struct subject { /* one member */
  char *service, *member;
  char *url;                      /* NULL: none */
  const struct config_load *load; /* the service's; NULL */
  struct reader *readers;
  size_t reader_count;
  struct subject_row rows[SUBJECT_ROWS_MOST];
  size_t row_count;

  struct sources *sources; /* the runner's, as what follows */
  uint32_t slot;           /* of the board's counters; UINT32_MAX: not known */
  int64_t told_ms;         /* mono: when a refusal was told last; 0 never */
};

struct subject_list {     /* of one service */
  struct subject **items; /* in order of members' names, each once */
  size_t count;
};

void subject_list_build(const struct config *config, const struct config_service *service, struct subject_list *out);
/* New subjects, owned by the list, that borrow sources and the load section from config and nothing from service. A
 * registered member is read by sources of type utilization only where it gave a URL, since whoever gave none reports by
 * itself. A vacancy or a pattern has none. */
void subject_list_release(struct subject_list *list);
void subject_free(struct subject *subject);
/* Its readers must be stopped, and its rows withdrawn. */

struct subject *subject_list_find(const struct subject_list *list, const char *member);
/* NULL when there is none. */
struct subject_row *subject_find_row(struct subject *subject, enum metric_source source);
/* Likewise. */

bool subject_is_same(const struct subject *a, const struct subject *b);
/* Whether both are read from the same places by the same sources of one configuration. */
struct reader *subject_find_alike(const struct subject *subject, const struct reader *reader);
/* The subject's reader that reads the same in the same way, maybe by another configuration. */

void subject_row_record(const struct subject *subject, const struct subject_row *row, int64_t now_ms,
                        struct metrics_record *out);
/* What is to be stored: the figures of all readers of the row, as old as the oldest of them, to come as often as the
 * slowest does. Of one without interval and schedule (every_answers alone) that is the gap between its last two
 * readings, within 10 s and 5 minutes. A reader whose figures are older than ten of its intervals is left out where
 * another has newer ones. */

#endif
