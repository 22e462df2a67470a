/* gslb/main/ctl_source.h
 * Where gslbctl's documents come from: the daemon's unix socket, or, when none runs, the stores and the zones' files
 * themselves by the code that the daemon uses. One thread. */
#ifndef GSLB_MAIN_CTL_SOURCE_H
#define GSLB_MAIN_CTL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/admin/view.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"

struct json_t;

struct ctl_source {
  const char *socket;    /* borrowed */
  struct config *config; /* NULL with --socket; then there are no stores to fall back to */
  struct view *view;     /* not NULL: no daemon runs, this is read */
  struct store *durable, *live;
  char *details; /* what belongs to the last failure, a line each; NULL for none */
};

void ctl_source_init(struct ctl_source *source, const char *socket, struct config *config);
/* Takes over config (may be NULL). */
void ctl_source_release(struct ctl_source *source);

enum ctl_subject { CTL_STATUS, CTL_SERVICES, CTL_MEMBERS, CTL_MEMBER, CTL_LOAD, CTL_EVENTS, CTL_ZONES, CTL_RECORDS };

struct ctl_question {
  enum ctl_subject subject;
  const char *service; /* filter, or the service of CTL_MEMBER and CTL_LOAD; NULL: none named */
  const char *member;
  const char *state;
  size_t limit;     /* of CTL_EVENTS */
  const char *zone; /* of CTL_RECORDS, with what follows */
  const char *name;
  const char *type; /* NULL: all */
};

enum status ctl_read(struct ctl_source *source, const struct ctl_question *question, struct json_t **out,
                     struct errbuf *err);
/* The document as docs/api.md describes it, a new reference. Says once on stderr when it falls back to the stores, or
 * for zones to compiling the configuration's. */

enum status ctl_write(struct ctl_source *source, const char *method, const char *path, const char *body,
                      struct json_t **out, struct errbuf *err);
/* A change, or what the daemon alone knows. *out: the answer, NULL when it has no body. STATUS_NODATA: no daemon
 * runs. */

void ctl_member_path(const char *before, const struct ctl_question *question, char *out, size_t size);
/* before, "/", the service where one is named, "/", the member; escaped. */

#endif
