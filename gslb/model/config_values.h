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
bool config_read_key(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                     void *field);
/* The name of a TSIG key; field: uint32_t, its index. */
bool config_read_zone(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field);
/* The name of a zone; field: uint32_t, its index. */
bool config_read_optional_text(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field);
/* One line of up to 255 bytes; field: const char *, NULL for an empty text. */
bool config_read_name_server(struct schema_reader *reader, const struct schema_row *row,
                             const struct document_node *node, void *field);
/* An address with a port or without one, which is port 53 then; field: struct addr. */
bool config_read_alpn(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field);
/* A protocol of HTTP as in ALPN (RFC 7301); field: const char *. */
bool config_read_secret(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field);
/* Base64 of 8 to 128 bytes; field: const char *. No message shows any of it. */
bool config_read_secret_file(struct schema_reader *reader, const struct schema_row *row,
                             const struct document_node *node, void *field);
/* The path of a file that was read with the configuration and has the same; field: likewise. */
bool config_read_token_file(struct schema_reader *reader, const struct schema_row *row,
                            const struct document_node *node, void *field);
/* The path of a file that was read with the configuration and holds a bearer token; field: const char *. No message
 * shows any of it. */
bool config_read_readers(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field);
/* "anyone" or "token"; field: bool, whether a token is needed. */
bool config_read_longest_lease(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field);
/* A duration within the row's range, or "unlimited"; field: int64_t in ms, 0 for unlimited. */
bool config_read_id_pattern(struct schema_reader *reader, const struct schema_row *row,
                            const struct document_node *node, void *field);
/* Characters of ids, "*" and "{name}", at most CONFIG_ID_PATTERN_MOST bytes; field: const char *, lower case. */
bool config_read_service_pattern(struct schema_reader *reader, const struct schema_row *row,
                                 const struct document_node *node, void *field);
/* Characters of DNS names and "*"; field: const char *, lower case, without the last dot. */
bool config_read_start(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                       void *field);
/* "unknown", "up" or "down"; field: int, the enum health. */
bool config_read_answer(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field);
/* One text; field: const char *const *, a list of it alone. */
bool config_read_sent(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field);
/* 1 to 1,024 bytes as text with the escapes \r \n \t \\ \xHH; field: the struct config_monitor. */
bool config_read_sent_text(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                           void *field);
/* Likewise, without NUL; field: const char *. */
bool config_read_verify(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field);
/* true or false; field: bool, the opposite. */
bool config_read_history(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field);
/* true or false; field: the struct config_server within the struct config whose has_history it is. */
bool config_read_oid(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                     void *field);
/* A numeric object identifier; field: const char *, without a first dot. */
bool config_read_command(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field);
/* A program and arguments, or one line, which becomes /bin/sh -c LINE; field: const char *const *. */
bool config_read_access(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field);
/* The name of an entry of snmp; field: uint32_t, its index. */
bool config_read_source(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field);
/* The name of a source; field: uint32_t, its index. */
bool config_read_load(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field);
/* The name of a load section, or one of the service's own; field: the struct config_service. */
bool config_read_password_file(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field);
/* The path of a file that was read with the configuration and holds a text of row->least to row->most bytes on its
 * first line; field: const char *. No message shows any of it. */
bool config_read_schedule(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                          void *field);
/* As gslb/model/cron has it; field: const char *. */
bool config_read_labels(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field);
/* A mapping of labels' names to values; field: const char *const *, "name=value". */
bool config_read_metric_source(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field);
/* "any" or a name of gslb/model/metrics; field: enum metric_source. */
bool config_read_include(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field);
bool config_read_directory(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                           void *field);
/* These two have nothing to fill: gslb/model/config_merge has dealt with the value and reported what is wrong. */

#endif
