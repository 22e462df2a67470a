/* gslb/model/config_check.h
 * What the configuration means, beyond what a row of the schema can say of one value: uniqueness, references, values
 * that must fit each other, and defaults that follow from other values. Each is the check of a struct schema_map: node
 * is the mapping (NULL: absent), record its struct, the reader's context a struct config_names. */
#ifndef GSLB_MODEL_CONFIG_CHECK_H
#define GSLB_MODEL_CONFIG_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/model/config_schema.h"
#include "gslb/model/config_service.h"
#include "gslb/model/domain.h"
#include "gslb/model/name_index.h"
#include "gslb/model/schema.h"

void config_check_server(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_rate_limit(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_tls(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_client(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_control(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_peer(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_parent(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_publish(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_mdns(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_key(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_zone(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_site(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_network(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_monitor(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_access(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_traps(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_client_tls(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_source(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_source_metric(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_load(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_own_load(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_load_metric(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_member(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_binding(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_accept(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_service(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_all(struct schema_reader *reader, const struct document_node *node, void *record);
/* config_check_all: what concerns more than one service, the defaults of zones that follow from their services, and the
 * vacancies; record is the struct config. */

/* What these checks share: */

char *config_state_path(struct schema_reader *reader, const char *below);
/* A path below the state directory; in the arena. NULL when the state directory is missing. */

const struct document_node *config_place(const struct document_node *map, const char *key);
/* The key's value, or the mapping where the key is absent: where to report. */
void config_define(struct schema_reader *reader, struct name_index *index, const char *what, const char *name,
                   const struct document_node *place, const void *items, const void *item, size_t item_size);
/* Enters name (NULL: nothing to do) for the item among items, structs that begin with their struct config_pos; reports
 * at place a name that stands there already, with the place of the first. */
void config_check_repeated(struct schema_reader *reader, const struct document_node *list, const char *what);
/* Reports words of a short list that stand there twice, whatever their case; NULL: nothing to do. */
void config_make_program(struct schema_reader *reader, const struct document_node *place, const char *const *command);
/* Makes the first word of a command (NULL or empty: nothing to do), which stands at place, an absolute path. */
bool config_is_host(const struct addr *addr);
/* Whether the address can belong to a single host (RFC 1112 section 4, RFC 1122 section 3.2.1.3). */
bool config_is_unspecified(const struct addr *addr);
/* 0.0.0.0 or ::. */
void config_check_addresses(struct schema_reader *reader, const struct document_node *list, const char *what,
                            const struct addr *addresses, size_t count);
/* Reports addresses of a short list that stand there twice, with their ports. */
void config_host_label(const char *prefix, const char *name, char out[DOMAIN_LABEL_MOST + 1]);
/* prefix and the name's first label as one label of a host name: letters, digits and inner "-", cut where it is too
 * long; "gslb" when nothing of that is left. */
uint32_t config_zone_of(const struct config_names *names, const char *name);
/* Index of the zone with the longest name that holds name; NAME_INDEX_NONE. */
void config_check_accepting(struct schema_reader *reader, const struct document_node *node,
                            struct config_service *service);
/* What accept means for the service around it, whose mapping is node; every member gets its mask of monitors. */
void config_check_votes(struct schema_reader *reader, const struct document_node *root);
/* How monitors act together, when all services are loaded: thresholds can be reached by the monitors of those that they
 * hold for, calculated monitors stand with those that they count, the services that monitors look at are there, and
 * none depends on itself. root is the whole document. */
uint32_t config_creator_of(const struct config_names *names, const char *name);
/* Index of the pattern that may come to have a service of this name; NAME_INDEX_NONE. */
void config_check_request(struct schema_reader *reader, const struct document_node *node, const char *path,
                          const char *host);
/* Path and host of an HTTP request, each NULL: nothing to do. */
void config_check_metric_name(struct schema_reader *reader, const struct document_node *node, const char *name);
/* Printable, without blanks; NULL: nothing to do. */
void config_check_subject(struct schema_reader *reader, const struct document_node *node, struct addr *address,
                          uint16_t port);
/* An address that is probed in place of the members' (family 0: nothing to do) gets the port. */
void config_complete_timeout(struct schema_reader *reader, const struct document_node *node, int64_t interval_ms,
                             int64_t *timeout_ms);
/* The default, and that it keeps within the interval (0: none). */
void config_check_zone_files(struct schema_reader *reader);
/* Reports zones whose file a secondary zone writes; when all zones are loaded. */
void config_check_socket(struct schema_reader *reader, const struct document_node *root, const char *socket);
/* Whether a unix socket can have this path (NULL: nothing to do); root is the whole document. */

#endif
