/* gslb/main/takeover.h
 * How a running house comes to a new configuration: it is compiled beside, its sockets are opened, and only then the
 * children are told; any error before that leaves everything as it was. One run at a time; who asks meanwhile is
 * answered by one further run. Part of the supervisor; nothing here waits. */
#ifndef GSLB_MAIN_TAKEOVER_H
#define GSLB_MAIN_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

struct supervisor;

void takeover_init(struct supervisor *supervisor);

void takeover_request(struct supervisor *supervisor, const char *who, bool is_asker);
/* who is for the log. is_asker: control waits for CHANNEL_RELOADED. */

void takeover_compiled(struct supervisor *supervisor, int64_t now_ms);
/* The compiler's channel is readable or its time is over. */

void takeover_progress(struct supervisor *supervisor, int64_t now_ms);
/* Ends the run once every child has the new configuration, restarts control when its time has come, and begins the run
 * that was asked for meanwhile. To be called after whatever happened. */

void takeover_forget_askers(struct supervisor *supervisor);
/* Control died, and with it whoever waited. */

int64_t takeover_due_ms(const struct supervisor *supervisor);
/* When takeover_progress or takeover_compiled has to be called again, whatever happens; PROCESS_NEVER. */

#endif
