/* discovery/agent/options.h
 * The command line of gslb-agent as a mapping of the configuration's keys, so that one schema checks both. One
 * thread. */
#ifndef GSLB_DISCOVERY_AGENT_OPTIONS_H
#define GSLB_DISCOVERY_AGENT_OPTIONS_H

#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/model/document.h"

enum options_wish { OPTIONS_RUN, OPTIONS_CHECK, OPTIONS_HELP, OPTIONS_HELP_CONFIG, OPTIONS_VERSION };

struct options {
  enum options_wish wish;
  const char *config;            /* NULL: none */
  struct document_node *overlay; /* in the arena */
  struct arena arena;
};

enum status options_parse(int argc, char **argv, struct options *out, struct errbuf *err);
/* STATUS_INVALID. Either way options_release; out borrows argv. */
void options_release(struct options *options);

extern const char options_usage[];

#endif
