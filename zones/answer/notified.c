#include "zones/answer/notified.h"

#include <stdio.h>

#include "gslb/model/channel.h"
#include "zones/image/find.h"

static bool is_primary(const struct config_zone *zone, const struct addr *from) {
  for (size_t i = 0; i < zone->primary_count; i++) {
    struct addr primary = zone->primaries[i];
    primary.port = from->port; /* it may send from any */
    if (addr_equal(&primary, from))
      return true;
  }
  return false;
}

void notified_answer(struct reply *reply, const struct tsig_key *key) {
  const struct image_node *node = find_node(&reply->book->image, reply->name->wire, reply->name->size, reply->hash);
  if (!node || !(node->flags & IMAGE_APEX)) {
    reply->rcode = RCODE_NOTAUTH;
    return;
  }
  const struct config_zone *zone = &reply->book->config->zones[node->zone];
  bool is_signed = zone->primary_key == CONFIG_NO_KEY || (key && key->index == zone->primary_key);
  if (!is_signed || !is_primary(zone, &reply->client->addr)) {
    reply->rcode = RCODE_REFUSED;
    reply->error = ERROR_PROHIBITED;
    return;
  }
  reply->is_authoritative = true;
  struct channel_message message = {.kind = CHANNEL_NOTIFIED};
  char address[ADDR_TEXT_SIZE];
  message.length = (size_t)snprintf(message.text, sizeof message.text, "%s %s", zone->name,
                                    addr_format(&reply->client->addr, address));
  channel_send(reply->answerer->notified, &message);
}
