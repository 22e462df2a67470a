#include "gslb/model/config_check.h"

#include <stdio.h>
#include <string.h>

#include "gslb/model/config_schema.h"

#define SECONDARY_DIRECTORY "secondary/"

void config_check_key(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  const struct config_key *key = record;
  config_define(reader, &names->keys, "key", key->name, config_place(node, "name"), names->config->keys, key,
                sizeof *key);
  const struct document_node *secret = document_find(node, "secret"), *file = document_find(node, "secret_file");
  if (secret && file)
    schema_problem(reader, file->key, "secret_file cannot be given together with secret");
  else if (!secret && !file)
    schema_problem(reader, node, "missing key \"secret\" or \"secret_file\"");
}

/* Zones */

/* Where a secondary zone's copy is kept unless the configuration tells: the zone's name as the name of a file. */
static const char *secondary_file(struct schema_reader *reader, const char *zone) {
  bool is_root = strcmp(zone, ".") == 0;
  const char *from = is_root ? "root" : zone;
  char *below = arena_alloc(reader->arena, sizeof SECONDARY_DIRECTORY + 3 * strlen(from) + sizeof ".zone");
  size_t used = (size_t)sprintf(below, SECONDARY_DIRECTORY);
  for (; *from; from++)
    if (*from == '/') /* names of RFC 2317 have it */
      used += (size_t)sprintf(below + used, "%%2f");
    else
      below[used++] = *from;
  strcpy(below + used, ".zone");
  return config_state_path(reader, below);
}

static void check_secondary(struct schema_reader *reader, const struct document_node *node, struct config_zone *zone) {
  struct config_names *names = reader->context;
  config_check_addresses(reader, document_find(node, "primaries"), "server", zone->primaries, zone->primary_count);
  if (zone->serial == ZONE_SERIAL_UNIXTIME)
    schema_problem(reader, config_place(node, "serial"),
                   "serial unixtime is for zones without primaries; others keep the serial of their primary");
  if (!zone->file && zone->name && !document_find(node, "file"))
    zone->file = secondary_file(reader, zone->name);
  if (!zone->file)
    return;
  uint32_t first =
      name_index_add(&names->zone_files, reader->arena, zone->file, (uint32_t)(zone - names->config->zones));
  if (first == NAME_INDEX_NONE)
    return;
  const struct document_node *place = config_place(node, "file");
  char text[SCHEMA_PLACE_SIZE];
  schema_problem(reader, place, "file %s is where another secondary zone is kept (%s)", zone->file,
                 schema_place(reader, names->config->zones[first].pos, place->pos, text));
}

static void check_source(struct schema_reader *reader, const struct document_node *node, struct config_zone *zone) {
  if (document_find(node, "directory"))
    return; /* it could not be read, and that was reported */
  const struct document_node *primaries = document_find(node, "primaries");
  if (!document_find(node, "name"))
    schema_problem(reader, node, "missing key \"name\"");
  if (primaries)
    check_secondary(reader, node, zone);
  else if (!document_find(node, "file"))
    schema_problem(reader, node, "missing key \"file\"");
  if (!primaries && document_find(node, "primary_key"))
    schema_problem(reader, config_place(node, "primary_key"), "primary_key is given, but no primaries are");
}

void config_check_zone(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_zone *zone = record;
  config_define(reader, &names->zones, "zone", zone->name, config_place(node, "name"), names->config->zones, zone,
                sizeof *zone);
  if (!document_find(node, "primary_key"))
    zone->primary_key = CONFIG_NO_KEY;
  if (!document_find(node, "notify_key"))
    zone->notify_key = CONFIG_NO_KEY;
  check_source(reader, node, zone);
  config_check_addresses(reader, document_find(node, "notify"), "server", zone->notify, zone->notify_count);
  config_check_repeated(reader, document_find(document_find(node, "transfer"), "keys"), "key");
  if (zone->notify_key != CONFIG_NO_KEY && !zone->notify_count)
    schema_problem(reader, config_place(node, "notify_key"), "notify_key is given, but notify names no server");
}

void config_check_zone_files(struct schema_reader *reader) {
  const struct config_names *names = reader->context;
  const struct config *config = names->config;
  for (size_t i = 0; names->zone_files.count && i < config->zone_count; i++) {
    const struct config_zone *zone = &config->zones[i];
    uint32_t other =
        zone->file && !zone->primary_count ? name_index_find(&names->zone_files, zone->file) : NAME_INDEX_NONE;
    char text[SCHEMA_PLACE_SIZE];
    if (other != NAME_INDEX_NONE && other != i)
      schema_problem_at(reader, zone->pos, "file %s is where a secondary zone is kept (%s)", zone->file,
                        schema_place(reader, config->zones[other].pos, zone->pos, text));
  }
}
