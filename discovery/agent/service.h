/* discovery/agent/service.h
 * The agent's HTTP side: GET /utilization says how busy this machine is, POST /notice takes what a balancer has to say.
 * Requests arrive on the server's threads and are answered on the loop's. Belongs to the loop's thread. */
#ifndef GSLB_DISCOVERY_AGENT_SERVICE_H
#define GSLB_DISCOVERY_AGENT_SERVICE_H

#include <stddef.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "gslb/net/loop.h"

#define SERVICE_UTILIZATION_PATH "/utilization"
#define SERVICE_NOTICE_PATH "/notice"

struct json_t;
struct service;

struct service_handlers { /* called on the loop's thread */
  struct json_t *(*utilization)(void *context);
  enum status (*notice)(void *context, const char *signature, const char *body, size_t size, struct errbuf *err);
};

enum status service_start(struct loop *loop, const struct addr *listen, const struct service_handlers *handlers,
                          void *context, struct service **out, struct errbuf *err);
/* listen: port 0: one that is free. STATUS_IO. */
const struct addr *service_address(const struct service *service);
/* Where it listens; borrowed. */
void service_stop(struct service *service);
/* NULL is fine. */

#endif
