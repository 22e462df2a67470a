/* gslb/model/config_merge.h
 * Makes one document of the main file and the files that it includes, and one zone of each file in a directory of
 * zones, before the schema loads it. One thread. */
#ifndef GSLB_MODEL_CONFIG_MERGE_H
#define GSLB_MODEL_CONFIG_MERGE_H

#include "gslb/base/memory.h"
#include "gslb/model/config_bundle.h"
#include "gslb/model/document.h"
#include "gslb/model/schema.h"

#define CONFIG_ZONE_SUFFIX ".zone" /* of the files in a directory of zones */

void config_merge(struct schema_reader *reader, const struct schema_map *map, const struct config_bundle *bundle,
                  struct document_node *root, struct arena *tree);
/* Lists of included files go behind those of root, the main document; other keys may stand in one file only. map tells
 * which keys are lists. New nodes live in tree. What is wrong is reported; an entry of zones whose directory could not
 * be read stays as it is. */

const struct document_node *config_include_list(const struct document_node *root);
/* The list of included files and patterns; NULL when there is none. */

#endif
