#include "gslb/main/reception.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/balancers/parent.h"
#include "discovery/mdns/mdns.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"

struct reception {
  struct reception_links links;
  struct feed *feed;
  struct watchers *watchers;
  struct tokens *tokens;
  struct throttle *throttle;
  struct registry *registry;
  struct balancers *balancers;
  struct publisher *publisher;
  struct parents *parents;
  struct mdns *mdns;
};

static void ring(void *context) {
  const struct reception *reception = context;
  board_ring(reception->links.child->board, &reception->links.child->bell);
}

static void ask_probes(void *context, const char *service, const char *id, bool *passes) {
  const struct reception *reception = context;
  struct view *view = views_take(reception->links.views);
  *passes = view_probes_pass(view, service, id);
  view_release(view);
}

static const struct config *configuration(const struct reception *reception) {
  return view_config(reception->links.views->current);
}

static enum status start_registry(struct reception *reception, struct errbuf *err) {
  const struct reception_links *links = &reception->links;
  const struct config *config = configuration(reception);
  struct registry_links registry = {.committer = links->committer,
                                    .durable = links->durable,
                                    .live = links->live,
                                    .house = &links->child->house,
                                    .feed = reception->feed,
                                    .ring = ring,
                                    .probed = ask_probes,
                                    .context = reception};
  enum status status = registry_start(&registry, config, &reception->registry, err);
  if (status != STATUS_OK)
    return status;
  struct balancers_links balancers = {.committer = links->committer,
                                      .durable = links->durable,
                                      .live = links->live,
                                      .house = &links->child->house,
                                      .feed = reception->feed,
                                      .registry = reception->registry,
                                      .ring = ring,
                                      .context = reception};
  return balancers_start(&balancers, config, &reception->balancers, err);
}

static enum status start_announcing(struct reception *reception, const char *text, size_t length, struct errbuf *err) {
  const struct reception_links *links = &reception->links;
  const struct config *config = configuration(reception);
  struct publisher_links publisher = {.durable = links->durable,
                                      .live = links->live,
                                      .committer = links->committer,
                                      .house = &links->child->house};
  enum status status = publisher_start(&publisher, config, text, length, &reception->publisher, err);
  if (status != STATUS_OK)
    return status;
  struct parent_links parents = {.durable = links->durable,
                                 .live = links->live,
                                 .board = links->child->board,
                                 .house = &links->child->house};
  status = parent_start(&parents, config->path, text, length, &reception->parents, err);
  if (status != STATUS_OK)
    return status;
  return mdns_start(config, links->live, &links->child->house, &reception->mdns, err);
}

enum status reception_start(const struct reception_links *links, struct reception **out, struct errbuf *err) {
  struct reception *reception = mem_alloc(sizeof *reception);
  *out = reception;
  reception->links = *links;
  reception->feed = feed_new();
  reception->tokens = tokens_new(links->durable);
  reception->throttle = throttle_new();
  enum status status = watchers_start(reception->feed, &reception->watchers, err);
  if (status == STATUS_OK)
    status = start_registry(reception, err);
  char *text = NULL;
  size_t length = 0;
  if (status == STATUS_OK)
    status = child_read_text(links->child->text, &text, &length, err);
  if (status == STATUS_OK)
    status = start_announcing(reception, text, length, err);
  free(text);
  return status;
}

void reception_configure(struct reception *reception, int fd) {
  const struct config *config = configuration(reception);
  registry_configure(reception->registry, config);
  balancers_configure(reception->balancers, config);
  mdns_configure(reception->mdns, config);
  char *text = NULL;
  size_t length = 0;
  struct errbuf err;
  if (child_read_text(fd, &text, &length, &err) == STATUS_OK) {
    publisher_configure(reception->publisher, config->path, text, length);
    parent_configure(reception->parents, config->path, text, length);
  } else {
    log_error("%s; what is published elsewhere stays as it was", err.text);
  }
  free(text);
}

void reception_routes(struct reception *reception, struct routes *routes) {
  routes->registry = reception->registry;
  routes->tokens = reception->tokens;
  routes->balancers = reception->balancers;
  routes->publisher = reception->publisher;
  routes->watchers = reception->watchers;
  routes->throttle = reception->throttle;
}

void reception_heard(struct reception *reception) {
  publisher_wake(reception->publisher);
  mdns_wake(reception->mdns);
}

void reception_event(struct reception *reception, const struct event_record *event) {
  bool is_member = strcmp(event->kind, "health") == 0 || strcmp(event->kind, "override") == 0;
  if (!is_member && strcmp(event->kind, "service") != 0)
    return;
  json_t *detail = json_pack("{s:s, s:o, s:o, s:o}", "event", event->kind, "from", value_text(event->from), "to",
                             value_text(event->to), "reason", value_text(event->reason));
  struct feed_change change = {.kind = is_member ? "member" : "service",
                               .resource = "",
                               .service = event->service,
                               .member = event->member,
                               .detail = value_must(detail)};
  feed_publish(reception->feed, &change);
}

void reception_leave(struct reception *reception) {
  balancers_go(reception->balancers, 0);
}

int64_t reception_linger_ms(struct reception *reception) {
  return balancers_linger_ms(reception->balancers);
}

void reception_stop(struct reception *reception, bool for_good) {
  if (!reception)
    return;
  watchers_stop(reception->watchers);
  parent_stop(reception->parents, for_good);
  publisher_stop(reception->publisher, for_good);
  mdns_stop(reception->mdns);
  balancers_stop(reception->balancers);
  registry_stop(reception->registry);
}

void reception_free(struct reception *reception) {
  if (!reception)
    return;
  watchers_free(reception->watchers);
  registry_free(reception->registry);
  tokens_free(reception->tokens);
  throttle_free(reception->throttle);
  feed_free(reception->feed);
  free(reception);
}
