#include "gslb/model/config_check.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/config.h"

static const struct config_monitor *monitor_of(const struct config_names *names, const struct config_service *service,
                                               size_t i) {
  return &names->config->monitors[service->monitors[i]];
}

/* Thresholds */

static uint64_t weight_of(const struct config_names *names, const struct config_service *service, uint32_t mask) {
  uint64_t sum = 0;
  for (size_t i = 0; i < service->monitor_count; i++)
    if (mask >> i & 1u)
      sum += monitor_of(names, service, i)->weight;
  return sum;
}

/* Whether the monitors of mask can reach threshold, which stands at place. */
static bool check_threshold(struct schema_reader *reader, const struct document_node *place,
                            const struct config_service *service, uint32_t mask, uint32_t threshold,
                            const char *whose) {
  uint64_t sum = weight_of(reader->context, service, mask);
  if (threshold <= sum)
    return true;
  schema_problem(reader, place, "threshold is %u, but the weights of %s add up to %llu", threshold, whose,
                 (unsigned long long)sum);
  return false;
}

static void check_thresholds(struct schema_reader *reader, const struct document_node *node,
                             const struct config_service *service, uint32_t own) {
  const struct document_node *list = document_find(node, "members"), *place = config_place(node, "threshold");
  const struct document_node *item = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  bool is_used = false; /* by a member without one of its own */
  for (size_t i = 0; i < service->member_count && item; i++, item = item->next) {
    const struct config_member *member = &service->members[i];
    is_used |= !member->threshold;
    if (member->threshold)
      check_threshold(reader, config_place(item, "threshold"), service, own, member->threshold, "the monitors");
  }
  bool is_reached = !is_used || check_threshold(reader, place, service, own, service->threshold, "the monitors");
  if (service->accept.is_given && is_reached)
    check_threshold(reader, place, service, service->accept.monitors, service->threshold,
                    "the monitors of registered members");
}

/* Calculated monitors */

static bool has_monitor(const struct config_service *service, uint32_t mask, uint32_t monitor) {
  for (size_t i = 0; i < service->monitor_count; i++)
    if ((mask >> i & 1u) && service->monitors[i] == monitor)
      return true;
  return false;
}

static void check_counted(struct schema_reader *reader, const struct document_node *place,
                          const struct config_service *service, uint32_t mask) {
  const struct config_names *names = reader->context;
  for (size_t i = 0; i < service->monitor_count; i++) {
    const struct config_monitor *monitor = monitor_of(names, service, i);
    if (!(mask >> i & 1u) || monitor->type != MONITOR_CALCULATED)
      continue;
    for (size_t j = 0; j < monitor->of_count; j++)
      if (!has_monitor(service, mask, monitor->of[j]) && monitor->name && names->config->monitors[monitor->of[j]].name)
        schema_problem(reader, place, "monitor \"%s\" counts \"%s\", which must be among the monitors here too",
                       monitor->name, names->config->monitors[monitor->of[j]].name);
  }
}

static void check_service(struct schema_reader *reader, const struct document_node *node,
                          const struct config_service *service) {
  const struct document_node *own = document_find(node, "monitors");
  const struct document_node *named = document_find(document_find(node, "accept"), "monitors");
  uint32_t own_mask = (1u << (own ? own->count : 0)) - 1;
  check_thresholds(reader, node, service, own_mask);
  check_counted(reader, config_place(node, "monitors"), service, own_mask);
  if (named)
    check_counted(reader, named, service, service->accept.monitors);
}

/* Services that monitors look at */

struct walk { /* along the services that a service depends on */
  uint32_t service;
  uint32_t next; /* of its monitors */
};

/* The service, or the pattern that may create it, whose state a monitor looks at; NAME_INDEX_NONE. */
static uint32_t watched_by(const struct config_names *names, const struct config_monitor *monitor) {
  if (monitor->type != MONITOR_SERVICE || !monitor->service)
    return NAME_INDEX_NONE;
  uint32_t found = name_index_find(&names->services, monitor->service);
  return found != NAME_INDEX_NONE ? found : config_creator_of(names, monitor->service);
}

static void report_circle(struct schema_reader *reader, const struct config_monitor *monitor,
                          const struct config_service *service) {
  schema_problem_at(reader, monitor->pos, "monitor \"%s\" makes service \"%s\" depend on itself", monitor->name,
                    service->name);
}

/* Walks to the services that one depends on, and reports the monitor that leads back to one on the way. */
static void follow(struct schema_reader *reader, uint32_t start, uint8_t *seen, struct walk *way) {
  enum { UNSEEN, ON_THE_WAY, DONE };
  const struct config_names *names = reader->context;
  const struct config *config = names->config;
  size_t depth = 1;
  way[0] = (struct walk){.service = start};
  seen[start] = ON_THE_WAY;
  while (depth) {
    struct walk *here = &way[depth - 1];
    const struct config_service *service = &config->services[here->service];
    if (here->next == service->monitor_count) {
      seen[here->service] = DONE;
      depth--;
      continue;
    }
    const struct config_monitor *monitor = &config->monitors[service->monitors[here->next++]];
    uint32_t watched = watched_by(names, monitor);
    if (watched == NAME_INDEX_NONE || seen[watched] == DONE)
      continue;
    if (seen[watched] == ON_THE_WAY) {
      report_circle(reader, monitor, &config->services[watched]);
      continue;
    }
    seen[watched] = ON_THE_WAY;
    way[depth++] = (struct walk){.service = watched};
  }
}

static void check_watched(struct schema_reader *reader, const struct document_node *list) {
  const struct config_names *names = reader->context;
  const struct config *config = names->config;
  const struct document_node *node = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  for (size_t i = 0; i < config->monitor_count && node; i++, node = node->next) {
    const struct config_monitor *monitor = &config->monitors[i];
    if (monitor->type != MONITOR_SERVICE || !monitor->service)
      continue;
    const struct document_node *place = config_place(node, "service");
    uint32_t found = name_index_find(&names->services, monitor->service);
    if (found != NAME_INDEX_NONE && config_service_is_pattern(&config->services[found]))
      schema_problem(reader, place, "service \"%s\" is a pattern, which has no state", monitor->service);
    else if (found == NAME_INDEX_NONE && config_creator_of(names, monitor->service) == NAME_INDEX_NONE)
      schema_problem(reader, place, "service \"%s\" is not defined", monitor->service);
  }
}

static void check_circles(struct schema_reader *reader, const struct config *config) {
  uint8_t *seen = mem_array(config->service_count, sizeof *seen);
  struct walk *way = mem_array(config->service_count, sizeof *way);
  for (size_t i = 0; i < config->service_count; i++)
    if (!seen[i])
      follow(reader, (uint32_t)i, seen, way);
  free(way);
  free(seen);
}

void config_check_votes(struct schema_reader *reader, const struct document_node *root) {
  const struct config *config = ((const struct config_names *)reader->context)->config;
  bool is_read = !reader->problems->count;
  check_watched(reader, document_find(root, "monitors"));
  if (!is_read)
    return; /* a service may lack monitors, and monitors their weights, that could not be read */
  const struct document_node *list = document_find(root, "services");
  const struct document_node *node = list ? list->first : NULL;
  for (size_t i = 0; i < config->service_count; i++, node = node->next)
    check_service(reader, node, &config->services[i]);
  check_circles(reader, config);
}
