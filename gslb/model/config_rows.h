/* gslb/model/config_rows.h
 * How the files that make up the schema of the configuration (gslb/model/config_schema) write its rows, and the maps
 * that they give each other. Constant; any thread. */
#ifndef GSLB_MODEL_CONFIG_ROWS_H
#define GSLB_MODEL_CONFIG_ROWS_H

#include <stddef.h>

#include "gslb/model/config.h"
#include "gslb/model/schema.h"

#define MILLISECOND 1
#define SECOND 1000
#define DAY 86400000
#define CONFIG_LEASE_MOST_MS (INT64_C(365) * DAY)

#define ROWS(table) .rows = (table), .count = sizeof(table) / sizeof(table)[0]
#define ONE(type, field) .offset = offsetof(type, field)
#define MANY(type, field, counter)                                                                                     \
  .is_list = true, .offset = offsetof(type, field), .count_offset = offsetof(type, counter),                           \
  .item_size = sizeof *((type *)NULL)->field

extern const struct schema_map config_server_map;     /* a struct config_server */
extern const struct schema_map config_control_map;    /* a struct config_control */
extern const struct schema_map config_key_map;        /* a struct config_key */
extern const struct schema_map config_zone_map;       /* a struct config_zone */
extern const struct schema_map config_service_map;    /* a struct config_service */
extern const struct schema_map config_accept_map;     /* a struct config_accept */
extern const struct schema_map config_monitor_map;    /* a struct config_monitor */
extern const struct schema_map config_access_map;     /* a struct config_snmp_access */
extern const struct schema_map config_traps_map;      /* a struct config */
extern const struct schema_map config_source_map;     /* a struct config_source */
extern const struct schema_map config_load_map;       /* a struct config_load */
extern const struct schema_map config_own_load_map;   /* likewise, of one service: without a name */
extern const struct schema_map config_client_tls_map; /* a struct config_client_tls */
extern const struct schema_map config_peer_map;       /* a struct config_peer */
extern const struct schema_map config_parent_map;     /* a struct config_parent */
extern const struct schema_map config_publish_map;    /* a struct config_publish */
extern const struct schema_map config_mdns_map;       /* a struct config_mdns */

#endif
