/* gslb/admin/command.h
 * Tells the exec process to run the operator's on_change command for one event. Any thread. */
#ifndef GSLB_ADMIN_COMMAND_H
#define GSLB_ADMIN_COMMAND_H

#include "gslb/model/channel.h"
#include "gslb/model/records.h"

void command_fill(const struct event_record *event, struct channel_message *message);
/* A CHANNEL_COMMAND with GSLB_SERVICE, GSLB_MEMBER (empty for the service itself), GSLB_FROM, GSLB_TO, GSLB_REASON and
 * GSLB_TIME (RFC 3339). */
void command_send(int fd, const struct event_record *event);
/* Never waits: what the exec process cannot take is logged and dropped. */

#endif
