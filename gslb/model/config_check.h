/* gslb/model/config_check.h
 * What the configuration means, beyond what a row of the schema can say of one value: uniqueness, references, values
 * that must fit each other, and defaults that follow from other values. Each is the check of a struct schema_map: node
 * is the mapping (NULL: absent), record its struct, the reader's context a struct config_names. */
#ifndef GSLB_MODEL_CONFIG_CHECK_H
#define GSLB_MODEL_CONFIG_CHECK_H

#include "gslb/model/name_index.h"
#include "gslb/model/schema.h"

void config_check_server(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_rate_limit(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_control(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_key(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_zone(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_site(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_network(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_monitor(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_member(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_binding(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_service(struct schema_reader *reader, const struct document_node *node, void *record);
void config_check_all(struct schema_reader *reader, const struct document_node *node, void *record);
/* config_check_all: what concerns more than one service; record is the struct config. */

/* What these checks share: */

char *config_state_path(struct schema_reader *reader, const char *below);
/* A path below the state directory; in the arena. NULL when the state directory is missing. */

const struct document_node *config_place(const struct document_node *map, const char *key);
/* The key's value, or the mapping where the key is absent: where to report. */
void config_define(struct schema_reader *reader, struct name_index *index, const char *what, const char *name,
                   size_t number, const struct document_node *node, const void *items, size_t item_size);
/* Enters name (NULL: nothing to do) for items[number], structs that begin with their struct config_pos; reports a name
 * that stands there already, with the place of the first. */
void config_check_repeated(struct schema_reader *reader, const struct document_node *list, const char *what);
/* Reports words of a short list that stand there twice, whatever their case; NULL: nothing to do. */
void config_check_zone_files(struct schema_reader *reader);
/* Reports zones whose file a secondary zone writes; when all zones are loaded. */
void config_check_socket(struct schema_reader *reader, const struct document_node *root, const char *socket);
/* Whether a unix socket can have this path (NULL: nothing to do); root is the whole document. */

#endif
