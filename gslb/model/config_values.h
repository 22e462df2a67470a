/* gslb/model/config_values.h
 * Readers of the configuration values that have a notation of their own, for the rows of gslb/model/config_schema: each
 * fills *field from the node, or reports what is wrong and returns false. One thread a reader. */
#ifndef GSLB_MODEL_CONFIG_VALUES_H
#define GSLB_MODEL_CONFIG_VALUES_H

#include "gslb/model/schema.h"

bool config_read_location(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                          void *field);
/* [latitude, longitude] in degrees; field: the struct config_site. */
bool config_read_status_ranges(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field);
/* "200" or "200-299,301"; field: the struct config_monitor. */
bool config_read_query_type(struct schema_reader *reader, const struct schema_row *row,
                            const struct document_node *node, void *field);
/* A mnemonic or TYPE and a number (RFC 3597 section 5); field: uint16_t. */
bool config_read_site(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field);
/* The name of a site; field: uint32_t, its index. */
bool config_read_monitor(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field);
/* The name of a monitor; field: uint32_t, its index. */

#endif
