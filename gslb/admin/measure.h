/* gslb/admin/measure.h
 * What control and the probe process tell each other of the members' figures, by way of the supervisor: that a member's
 * sources are to be read now, and that figures were refused, which becomes an event. */
#ifndef GSLB_ADMIN_MEASURE_H
#define GSLB_ADMIN_MEASURE_H

#include <stdint.h>

#include "gslb/admin/view.h"
#include "gslb/model/channel.h"
#include "gslb/model/commit.h"
#include "gslb/model/records.h"
#include "gslb/net/http_server.h"

void measure_ask(struct http_call *call, struct view *view, int supervisor, const struct view_name *name);
/* Sends a CHANNEL_MEASURE to the supervisor (-1: there is none) and answers the call: 202 without waiting for what is
 * read, 409 where no source reads the service's members, 503 when it cannot be asked. Any thread. */

enum status measure_refusal(const struct channel_message *message, int64_t now_ms, struct event_record *out);
/* What a CHANNEL_REFUSED tells, as an event of kind "metrics". STATUS_INVALID: the message tells nothing. */
void measure_note_refusal(const struct channel_message *message, struct committer *committer, int64_t now_ms);
/* Logs it, and queues the event without waiting. */

#endif
