/* zones/transfer/transfer_zone.h
 * One zone's records out of the name image, as a secondary gets them: static ones, glue, the delegations to child zones
 * that are ours too, and, where the zone is configured so, balanced names frozen to all configured members. Borrows
 * image and configuration. Any thread. */
#ifndef GSLB_ZONES_TRANSFER_TRANSFER_ZONE_H
#define GSLB_ZONES_TRANSFER_TRANSFER_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/model/config.h"
#include "zones/image/image.h"

struct transfer_zone {
  const struct image *image;
  const struct config *config; /* that the image was compiled from */
  uint32_t index;              /* of the zone in both */
};

struct transfer_record { /* borrowed until the visit returns */
  const uint8_t *owner;  /* lower case */
  const uint8_t *data;   /* uncompressed */
  uint32_t ttl_s;
  uint16_t type;
  uint16_t size; /* of data */
  uint8_t owner_size;
};

typedef bool transfer_visit(void *context, const struct transfer_record *record);
/* False ends the walk. */

static inline const struct image_zone *transfer_zone_image(const struct transfer_zone *zone) {
  return image_zone(zone->image, zone->index);
}

bool transfer_zone_is_loaded(const struct transfer_zone *zone);
/* False for a secondary zone of which there is no copy; nothing else may be asked of it then. */
bool transfer_zone_is_shared(const struct config_zone *zone);
/* Whether anybody may transfer it. */

bool transfer_zone_visit_soa(const struct transfer_zone *zone, transfer_visit *visit, void *context);
bool transfer_zone_visit_all(const struct transfer_zone *zone, transfer_visit *visit, void *context);
/* Every record but the SOA. Both: false when a visit ended it. */

uint32_t transfer_zone_node_count(const struct transfer_zone *zone);
const struct image_node *transfer_zone_node(const struct transfer_zone *zone, uint32_t number);
/* number below the count: the zone's own nodes, and the apexes of child zones that are ours too. */
const struct image_node *transfer_zone_find(const struct transfer_zone *zone, const uint8_t *name, uint16_t size);
/* One of these nodes by its name, or NULL. */
bool transfer_zone_visit_node(const struct transfer_zone *zone, const struct image_node *node, transfer_visit *visit,
                              void *context);
/* What the node adds to the zone, without the SOA: its own records; for a child's apex NS, DS and the glue below it. */
bool transfer_zone_is_plain(const struct transfer_zone *zone, const struct image_node *node);
/* Whether all that the node adds are its own static records. */

#endif
