/* probes/sources/agent_check.h
 * Reads the line that an agent of HAProxy answers with (HAProxy's configuration manual, agent-check). Foreign bytes.
 * Pure; any thread. */
#ifndef GSLB_PROBES_SOURCES_AGENT_CHECK_H
#define GSLB_PROBES_SOURCES_AGENT_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/status.h"
#include "gslb/model/records.h"

#define AGENT_CHECK_MOST 1024u /* bytes of the line */

struct agent_check {
  bool has_self;
  enum health self; /* up, ready: HEALTH_UP; drain: HEALTH_DRAINING; maint, down, fail, stopped: HEALTH_DOWN. The worst
                     * one, where there are several */
  char self_reason[96];       /* what follows "#", without control characters; or else the word */
  double weight_percent;      /* "75%"; below 0: not told */
  double connections_ceiling; /* "maxconn:30"; below 0: not told */
};

enum status agent_check_parse(const char *text, size_t size, struct agent_check *out, struct errbuf *err);
/* Up to the first line end, or to the end. Words are parted by blanks and commas, their case matters not. A line that
 * tells no state leaves it to what was said before. STATUS_INVALID: a word that is not known, or no word at all. */

#endif
