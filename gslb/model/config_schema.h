/* gslb/model/config_schema.h
 * The table of the configuration's keys, and what is put together while it is loaded. For gslb/model/config alone. */
#ifndef GSLB_MODEL_CONFIG_SCHEMA_H
#define GSLB_MODEL_CONFIG_SCHEMA_H

#include "gslb/model/config.h"
#include "gslb/model/config_bundle.h"
#include "gslb/model/name_index.h"
#include "gslb/model/schema.h"

struct config_own_load { /* a load section that stands in the service that uses it */
  struct config_load load;
  struct config_own_load *next; /* the one before it */
};

struct config_names { /* indices by name of what is defined so far; the context of the schema's readers and checks */
  const struct config *config;        /* being loaded */
  const struct config_bundle *bundle; /* what was read with it */
  struct name_index keys;
  struct name_index zones;
  struct name_index zone_files; /* that secondary zones write */
  struct name_index sites;
  struct name_index networks;
  struct name_index monitors;
  struct name_index snmp;
  struct name_index sources;
  struct name_index loads;
  struct name_index services;
  struct name_index clients;
  struct name_index certificates; /* of clients */
  struct name_index peers;
  struct name_index peer_addresses;
  struct name_index parents; /* by domain */
  struct name_index parent_addresses;
  struct name_index publish;
  struct config_own_load *own_loads; /* the last first; they are put behind config.loads */
  size_t own_load_count;
};

extern const struct schema_map config_schema;
/* Fills a struct config; the reader's context is a struct config_names. */

#endif
