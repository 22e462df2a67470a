/* zones/secondary/secondary.h
 * Keeps the copies of secondary zones current (RFC 1034 section 4.3.5, RFC 1995, RFC 1996): a few threads of the
 * control process that ask the primaries in time and at a NOTIFY, put newer versions into the zones' files, and set
 * files aside that expired. Serving them is others' work: whoever starts this is told when a file changed. */
#ifndef GSLB_ZONES_SECONDARY_SECONDARY_H
#define GSLB_ZONES_SECONDARY_SECONDARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "zones/secondary/fetch.h"
#include "gslb/model/name.h"

#define SECONDARY_THREADS 4u /* zones that are asked for at the same time */

typedef void secondary_changed(void *context, const char *zone, const char *what);
/* what: "changed" or "expired". Called by the threads, at times by two at once, with nothing locked. */

struct secondary_options {
  const struct house *house;         /* borrowed for life */
  const struct fetch_limits *limits; /* borrowed for life; NULL: fetch_limits_default */
  secondary_changed *changed;
  void *context;
};

struct secondary;

struct secondary *secondary_start(const struct secondary_options *options, struct errbuf *err);
/* Without zones. NULL: the system gave no thread or descriptor. */
void secondary_stop(struct secondary *secondary);
/* Breaks transfers off, ends the threads, frees. NULL is accepted. */

void secondary_configure(struct secondary *secondary, const struct config *config);
/* The zones with primaries, at a start and at each reload; config is borrowed for the call alone. Zones that are as
 * before keep their state; new ones are read from their copy and asked for at once; the files of those that are gone
 * stay. Does not wait for the network or the disk. */

enum status secondary_notify(struct secondary *secondary, const char *zone, const struct addr *from);
/* A NOTIFY came: the zone is asked for at once, though not within a second of the last time. The port does not matter.
 * STATUS_NOTFOUND: not a secondary zone of ours; STATUS_FORBIDDEN: not from one of its primaries. */

struct secondary_state {
  char zone[NAME_TEXT_SIZE];
  bool has_copy;
  bool is_busy;         /* being read, or asked for */
  uint32_t serial;      /* of the copy */
  int64_t refreshed_ms; /* house time; a primary had this version; 0: never */
  int64_t next_ms;      /* the next check; 0: while busy */
  int64_t expire_ms;    /* 0: there is no copy */
  char error[256];      /* of the last check; empty: it went well, or there was none */
};

struct secondary_state *secondary_states(struct secondary *secondary, size_t *count);
/* Of all zones, in the configuration's order; free() it. Any thread. */

#endif
