#include "probes/traps.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/net/snmp_listener.h"
#include "probes/kinds/snmp_plan.h"

struct rest { /* of a device that was read just now */
  struct traps *traps;
  struct addr device;
  struct loop_timer *timer;
  bool is_wanted; /* it spoke again meanwhile */
  LIST_ENTRY(rest) entry;
};

struct traps {
  struct loop *loop;
  struct snmp_listener *listener;
  struct traps_readers readers;
  LIST_HEAD(rest_list, rest) rests;
};

static void rest_free(struct rest *rest) {
  LIST_REMOVE(rest, entry);
  loop_timer_free(rest->timer);
  free(rest);
}

static void rest_is_over(void *context) {
  struct rest *rest = context;
  struct traps *traps = rest->traps;
  if (!rest->is_wanted) {
    rest_free(rest);
    return;
  }
  rest->is_wanted = false;
  loop_timer_after(rest->timer, TRAPS_EVERY_MS);
  traps->readers.read(traps->readers.context, &rest->device);
}

static void heard(void *context, const struct snmp_notice *notice) {
  struct traps *traps = context;
  struct rest *rest;
  char text[ADDR_TEXT_SIZE], event[OBJECT_ID_TEXT_SIZE];
  log_debug("%s from %s: %s", notice->is_inform ? "inform" : "trap", addr_format(&notice->from, text),
            object_id_format(&notice->event, event));
  LIST_FOREACH(rest, &traps->rests, entry)
  if (addr_equal(&rest->device, &notice->from)) {
    rest->is_wanted = true;
    return;
  }
  rest = mem_alloc(sizeof *rest);
  rest->traps = traps;
  rest->device = notice->from;
  rest->timer = loop_timer_new(traps->loop, rest_is_over, rest);
  LIST_INSERT_HEAD(&traps->rests, rest, entry);
  loop_timer_after(rest->timer, TRAPS_EVERY_MS);
  traps->readers.read(traps->readers.context, &rest->device);
}

static bool knows(void *context, const struct addr *from) {
  struct traps *traps = context;
  return traps->readers.knows(traps->readers.context, from);
}

struct traps *traps_new(struct loop *loop, struct snmp_client *client, const struct config *config, int fd,
                        const struct traps_readers *readers, struct errbuf *err) {
  struct traps *traps = mem_alloc(sizeof *traps);
  struct snmp_identity *identities = mem_array(config->snmp_count + 1, sizeof *identities);
  for (size_t i = 0; i < config->snmp_count; i++)
    snmp_identity_of(&config->snmp[i], &identities[i]);
  traps->loop = loop;
  traps->readers = *readers;
  LIST_INIT(&traps->rests);
  struct snmp_audience audience = {.knows = knows, .heard = heard, .context = traps};
  traps->listener = snmp_listener_new(client, &config->trap_listen, fd, identities, config->snmp_count, &audience, err);
  free(identities);
  if (traps->listener)
    return traps;
  free(traps);
  return NULL;
}

void traps_free(struct traps *traps) {
  struct rest *rest;
  if (!traps)
    return;
  snmp_listener_free(traps->listener);
  while ((rest = LIST_FIRST(&traps->rests)))
    rest_free(rest);
  free(traps);
}

struct traps_counts traps_counts(const struct traps *traps) {
  struct snmp_counts counts = snmp_listener_counts(traps->listener);
  return (struct traps_counts){counts.heard, counts.dropped};
}
