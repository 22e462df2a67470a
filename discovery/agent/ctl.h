/* discovery/agent/ctl.h
 * The agent's unix socket: one line of JSON in, one line of JSON out, and the connection ends. Who may open the socket
 * may ask (mode 0660). Belongs to its loop's thread. */
#ifndef GSLB_DISCOVERY_AGENT_CTL_H
#define GSLB_DISCOVERY_AGENT_CTL_H

#include "gslb/base/status.h"
#include "gslb/net/loop.h"

#define CTL_LINE_MOST 8192u

struct json_t;
struct ctl;

typedef struct json_t *ctl_handle(void *context, const struct json_t *request);
/* A new reference: {"error": text}, or what there is to say. */

enum status ctl_start(struct loop *loop, const char *path, ctl_handle *handle, void *context, struct ctl **out,
                      struct errbuf *err);
/* STATUS_CONFLICT: another agent listens there. STATUS_IO. A socket that nobody listens at is replaced. */
void ctl_stop(struct ctl *ctl);
/* Removes the socket. NULL is fine. */

#endif
