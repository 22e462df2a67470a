/* probes/sources_private.h
 * What the files of the runner share: sources.c (readings and what starts them), sources_members.c (who is read). */
#ifndef GSLB_PROBES_SOURCES_PRIVATE_H
#define GSLB_PROBES_SOURCES_PRIVATE_H

#include "gslb/base/random.h"
#include "gslb/model/channel.h"
#include "probes/sources.h"
#include "probes/sources/subject.h"

struct sources {
  const struct child *child;
  const struct probe_tools *tools;
  struct figures *figures;
  const struct config *config;
  const struct muster *muster;
  struct subject_list *lists; /* one a service, in the muster's order */
  size_t list_count;
  TAILQ_HEAD(reader_line, reader) line; /* readers that wait for room */
  size_t running;
  struct random random;
  struct metrics_record *record; /* room for the one that is put together */
  struct channel_message *message;
  int64_t wall_s; /* of the last second */
  int64_t not_made_logged_ms;
};

void sources_begin(struct reader *reader, int64_t planned_us);
/* Starts its timer; planned_us: mono time of the next reading, 0: no interval brings one. */
void sources_stop(struct reader *reader);
void sources_serve_line(struct sources *sources);
void sources_write_row(struct sources *sources, struct subject *subject, struct subject_row *row, bool is_news);

#endif
