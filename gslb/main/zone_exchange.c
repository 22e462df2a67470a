#include "gslb/main/zone_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "zones/transfer/notify.h"

struct zone_exchange {
  const struct child *child;
  struct reloads *reloads;
  struct secondary *secondary;
  struct notifier *notifier;
  struct channel_message message; /* received */
};

static void ask_for_reload(void *context, const char *zone, const char *what) {
  struct zone_exchange *exchange = context;
  char who[64];
  snprintf(who, sizeof who, "zone %.40s %s", zone, what);
  reloads_want(exchange->reloads, who);
}

static struct secondary_state *take_states(void *context, size_t *count) {
  struct zone_exchange *exchange = context;
  return secondary_states(exchange->secondary, count);
}

/* As if the first primary had notified us. */
static enum status refresh(void *context, const struct config_zone *zone) {
  struct zone_exchange *exchange = context;
  return secondary_notify(exchange->secondary, zone->name, &zone->primaries[0]);
}

struct zone_exchange *zone_exchange_start(const struct child *child, struct reloads *reloads, struct errbuf *err) {
  struct zone_exchange *exchange = mem_alloc(sizeof *exchange);
  exchange->child = child;
  exchange->reloads = reloads;
  struct secondary_options options = {.house = &child->house, .changed = ask_for_reload, .context = exchange};
  exchange->notifier = notifier_new(NOTIFY_REPEAT_MS, err);
  exchange->secondary = exchange->notifier ? secondary_start(&options, err) : NULL;
  if (exchange->secondary)
    return exchange;
  zone_exchange_stop(exchange);
  return NULL;
}

void zone_exchange_stop(struct zone_exchange *exchange) {
  if (!exchange)
    return;
  secondary_stop(exchange->secondary);
  notifier_free(exchange->notifier);
  free(exchange);
}

void zone_exchange_configure(struct zone_exchange *exchange, const struct config *config) {
  secondary_configure(exchange->secondary, config);
}

void zone_exchange_tell(struct zone_exchange *exchange, const struct config *config, const struct image *image) {
  notifier_update(exchange->notifier, config, image);
}

struct zone_links zone_exchange_links(struct zone_exchange *exchange) {
  return (struct zone_links){.states = take_states, .refresh = refresh, .context = exchange};
}

void zone_exchange_hear(struct zone_exchange *exchange) {
  struct channel_message *message = &exchange->message;
  if (channel_receive(exchange->child->notified, message) != STATUS_OK)
    return;
  for (size_t i = 0; i < message->fd_count; i++)
    close(message->fds[i]);
  char *space = strchr(message->text, ' ');
  struct addr from;
  if (message->kind != CHANNEL_NOTIFIED || !space || addr_parse(space + 1, &from) != STATUS_OK)
    return;
  *space = '\0';
  if (secondary_notify(exchange->secondary, message->text, &from) == STATUS_OK)
    log_info("zone %s: NOTIFY from %s", message->text, space + 1);
}
