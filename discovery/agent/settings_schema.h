/* discovery/agent/settings_schema.h
 * The table of the keys of the agent's configuration. For discovery/agent/settings alone. Constant. */
#ifndef GSLB_DISCOVERY_AGENT_SETTINGS_SCHEMA_H
#define GSLB_DISCOVERY_AGENT_SETTINGS_SCHEMA_H

#include "gslb/model/schema.h"

extern const struct schema_map settings_schema; /* a struct settings */

#endif
