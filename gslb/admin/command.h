/* gslb/admin/command.h
 * Tells the exec process to run an operator's command: on_change for an event, on_empty for a service without members
 * that can be answered. Any thread. */
#ifndef GSLB_ADMIN_COMMAND_H
#define GSLB_ADMIN_COMMAND_H

#include "gslb/model/channel.h"
#include "gslb/model/records.h"

void command_fill(const struct event_record *event, struct channel_message *message);
/* A CHANNEL_COMMAND for on_change with GSLB_SERVICE, GSLB_MEMBER (empty for the service itself), GSLB_FROM, GSLB_TO,
 * GSLB_REASON and GSLB_TIME (RFC 3339). */
void command_send(int fd, const struct event_record *event);
/* Never waits: what the exec process cannot take is logged and dropped. */

void command_fill_empty(const char *service, int64_t now_ms, struct channel_message *message);
/* A CHANNEL_COMMAND for the service's on_empty with GSLB_SERVICE and GSLB_TIME. */
enum status command_send_empty(int fd, const char *service, int64_t now_ms);
/* Likewise. now_ms: house time. As channel_send. */

void command_take_result(const struct channel_message *message, int64_t now_ms, struct event_record *out);
/* What a CHANNEL_RESULT tells, as an event of kind "on_empty": from "run" to "done" or "failed", with what the command
 * left as its reason. */

#endif
