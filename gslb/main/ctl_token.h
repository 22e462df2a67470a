/* gslb/main/ctl_token.h
 * The commands of gslbctl about tokens. One thread; they return the exit status. */
#ifndef GSLB_MAIN_CTL_TOKEN_H
#define GSLB_MAIN_CTL_TOKEN_H

#include "gslb/main/ctl_command.h"

int ctl_token(const struct ctl_line *line, struct ctl_source *source);
/* token create NAME, which prints the token alone; token list; token delete NAME. */

#endif
