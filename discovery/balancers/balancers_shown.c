#include "discovery/balancers/balancers_private.h"

#include <jansson.h>

#include "gslb/base/value.h"

static json_t *show_url(const struct balancer_record *record) {
  const struct addr *address = &record->addresses[0];
  char text[ADDR_TEXT_SIZE];
  bool is_six = address->family == 6;
  return value_must(json_sprintf("%s://%s%s%s:%u", record->is_tls ? "https" : "http", is_six ? "[" : "",
                                 addr_format(address, text), is_six ? "]" : "", address->port));
}

json_t *balancers_show_others(const struct balancers *balancers) {
  json_t *others = value_must(json_array());
  for (size_t i = 0; i < balancers->peers.count; i++) {
    const struct peer *peer = balancers->peers.items[i];
    if (peer->record.is_alive && peer->record.is_accepting)
      json_array_append_new(others,
                            value_must(json_pack("{s:o, s:o, s:i, s:i}", "identity", value_text(peer->identity), "url",
                                                 show_url(&peer->record), "priority", (int)peer->record.priority,
                                                 "weight", (int)peer->record.weight)));
  }
  return others;
}

json_t *balancers_show_directive(const struct balancers *balancers) {
  if (balancers->going == GOING_STAYS)
    return NULL;
  return value_must(json_pack("{s:s, s:o, s:o}", "kind", "leave", "until_at", value_time(balancers->until_ms),
                              "balancers", balancers_show_others(balancers)));
}

void balancers_publish(struct balancers *balancers, const char *identity, const struct balancer_record *record) {
  json_t *detail =
      value_must(json_pack("{s:o, s:b, s:b, s:b, s:o, s:o}", "identity", value_text(identity), "own", record->is_own,
                           "alive", record->is_alive, "accepting", record->is_accepting, "leaves_at",
                           value_time(record->leaves_ms), "reason", value_text_or_null(record->reason)));
  struct feed_change change = {.kind = "balancer", .resource = "", .service = "", .member = "", .detail = detail};
  feed_publish(balancers->links.feed, &change);
}

static json_t *show_balancer(const char *identity, const struct balancer_record *record) {
  json_t *addresses = value_must(json_array());
  for (size_t i = 0; i < record->address_count; i++) {
    char text[ADDR_TEXT_SIZE];
    json_array_append_new(addresses, value_text(addr_format_port(&record->addresses[i], text)));
  }
  return value_must(json_pack("{s:o, s:b, s:b, s:b, s:o, s:o, s:o, s:i, s:i, s:o}", "identity", value_text(identity),
                              "own", record->is_own, "alive", record->is_alive, "accepting", record->is_accepting,
                              "since_at", value_time(record->since_ms), "reason", value_text_or_null(record->reason),
                              "addresses", addresses, "priority", (int)record->priority, "weight", (int)record->weight,
                              "leaves_at", value_time(record->leaves_ms)));
}

json_t *balancers_document(struct balancers *balancers) {
  json_t *rows = value_must(json_array()), *leaves = value_must(json_array());
  pthread_mutex_lock(&balancers->lock);
  json_array_append_new(rows, show_balancer(balancers->identity, &balancers->own));
  for (size_t i = 0; i < balancers->peers.count; i++)
    json_array_append_new(rows, show_balancer(balancers->peers.items[i]->identity, &balancers->peers.items[i]->record));
  for (size_t i = 0; i < balancers->leave_count; i++) {
    const struct leave_record *leave = &balancers->leaves[i];
    json_array_append_new(leaves, value_must(json_pack("{s:o, s:o, s:o, s:o}", "at", value_time(leave->at_ms), "until",
                                                       value_time(leave->until_ms), "who", value_text(leave->who),
                                                       "why", value_text_or_null(leave->why))));
  }
  pthread_mutex_unlock(&balancers->lock);
  return value_must(json_pack("{s:o, s:o}", "balancers", rows, "leaves", leaves));
}

/* While it stays: when the next planned absence ends. */
static int64_t returns_ms(const struct balancers *balancers) {
  if (balancers->going != GOING_STAYS)
    return balancers->until_ms;
  for (size_t i = 0; i < balancers->leave_count; i++)
    if (balancers->leaves[i].at_ms == balancers->own.leaves_ms)
      return balancers->leaves[i].until_ms;
  return 0;
}

json_t *balancers_own(struct balancers *balancers) {
  pthread_mutex_lock(&balancers->lock);
  json_t *own = value_must(json_pack("{s:o, s:b, s:o, s:o}", "identity", value_text(balancers->identity), "accepting",
                                     balancers->own.is_accepting, "leaves_at", value_time(balancers->own.leaves_ms),
                                     "returns_at", value_time(returns_ms(balancers))));
  pthread_mutex_unlock(&balancers->lock);
  return own;
}

json_t *balancers_others(struct balancers *balancers) {
  pthread_mutex_lock(&balancers->lock);
  json_t *others = balancers_show_others(balancers);
  pthread_mutex_unlock(&balancers->lock);
  return others;
}

json_t *balancers_directive(struct balancers *balancers) {
  pthread_mutex_lock(&balancers->lock);
  json_t *directive = balancers_show_directive(balancers);
  pthread_mutex_unlock(&balancers->lock);
  return directive;
}
