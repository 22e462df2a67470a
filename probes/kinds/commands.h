/* probes/kinds/commands.h
 * The probe process's side of the channel to the exec process: asks for the commands of exec monitors to be run, and
 * hands out what came of them. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_KINDS_COMMANDS_H
#define GSLB_PROBES_KINDS_COMMANDS_H

#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "gslb/net/loop.h"

struct commands;
struct command_run;

struct commands *commands_new(struct loop *loop, int channel);
/* Borrows the loop and the channel (-1: no command can be run). Never NULL. */
void commands_free(struct commands *commands);
/* Forgets what still runs. NULL is fine. Before loop_free. */

typedef void command_done(void *context, enum status status, const char *text, const char *line);
/* As in CHANNEL_RAN, with the text and the last line of the command apart, both borrowed until it returns. STATUS_IO:
 * exec cannot be asked, or did not answer. */

struct command_run *commands_start(struct commands *commands, const char *monitor, const struct addr *address,
                                   int64_t timeout_ms, command_done *done, void *context);
/* The command has GSLB_MONITOR, GSLB_ADDRESS, GSLB_PORT and GSLB_TIMEOUT_MS in its environment. done is called once,
 * from the loop and never within this call, unless forgotten. */
void commands_forget(struct command_run *run);
/* done is not called any more; the command runs on until it ends or its time is over. */

#endif
