/* gslb/main/ctl_load.h
 * gslbctl load: a member's load on a terminal, term by term. One thread; writes to stdout. */
#ifndef GSLB_MAIN_CTL_LOAD_H
#define GSLB_MAIN_CTL_LOAD_H

#include "gslb/main/ctl_command.h"

int ctl_load(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *member);
/* member: of CTL_MEMBER; where it names no service the member's is looked for. The exit status. */

void ctl_load_print(const struct json_t *document);
/* As GET /v1/members/{service}/{member}/load has it. */

#endif
