/* discovery/agent/agent_private.h
 * What the files of the running agent share: agent.c (life and signals), agent_join.c (address, service, session),
 * agent_tell.c (what it tells balancers and people). For these alone; the loop's thread. */
#ifndef GSLB_DISCOVERY_AGENT_AGENT_PRIVATE_H
#define GSLB_DISCOVERY_AGENT_AGENT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "discovery/agent/ctl.h"
#include "discovery/agent/metric_set.h"
#include "discovery/agent/own_metrics.h"
#include "discovery/agent/service.h"
#include "discovery/agent/settings.h"
#include "discovery/agent/state.h"
#include "discovery/agent/system_metrics.h"
#include "discovery/session/finder.h"
#include "discovery/session/session.h"
#include "gslb/base/random.h"
#include "gslb/net/loop.h"

struct json_t;

struct agent {
  struct loop *loop;
  struct random random;
  struct settings *settings;
  const char *config;
  const struct document_node *overlay;
  char *directory, *socket; /* as at the start; NULL: none */
  struct agent_state state;
  struct self file_state; /* as the state file says */
  bool was_file_wrong;
  struct system_metrics *system; /* NULL: of a cloud */
  struct own_metrics *own;
  struct metric_set pushed; /* by ctl */
  int64_t pushed_ms;        /* mono */
  struct ctl *ctl;
  struct finder *finder; /* until the own address is known */
  unsigned find_failures;
  struct loop_timer *find_timer, *watch_timer, *move_timer, *end_timer;
  struct addr addresses[CONFIG_ADDRESSES_MOST];
  size_t address_count;
  struct service *service;
  struct json_t *registration;
  struct session *session; /* NULL until the own address is known */
  int signals;
  struct loop_poll *signal_poll;
  bool is_ending;
};

void agent_join(struct agent *agent);
/* Learns the own address where it is not told, then starts the service and the session. */
void agent_join_again(struct agent *agent);
/* With other settings. */
struct session_place agent_place(const struct agent *agent);
void agent_check_address(struct agent *agent);
/* Whether packets to the balancer still leave from the registered address; if not, it is registered anew soon. */

struct self agent_self(const struct agent *agent);
/* The worse of what ctl and the state file say. */
bool agent_read_state_file(struct agent *agent);
/* Whether it has changed. */
struct json_t *agent_report(void *context);
/* For the session. */
struct json_t *agent_utilization(void *context);
/* For the service: everything that is known. */
struct json_t *agent_command(void *context, const struct json_t *request);
/* For ctl. */

#endif
