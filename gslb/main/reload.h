/* gslb/main/reload.h
 * Preparing a configuration: a short-lived compiler process reads, checks and compiles it, so that no file, however
 * broken, can harm or hold up the supervisor. Supervisor only, one thread; only reload_start forks. */
#ifndef GSLB_MAIN_RELOAD_H
#define GSLB_MAIN_RELOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "gslb/base/status.h"
#include "gslb/main/privileges.h"
#include "gslb/model/config.h"

struct candidate { /* a configuration that can be used; owns all four */
  struct config *config;
  int text;       /* sealed memfd: what config was parsed from */
  int image;      /* sealed memfd: the name image that belongs to it */
  int provenance; /* sealed memfd: what the image is made from (zones/records/provenance); -1: not to be used again */
};
#define CANDIDATE_NONE ((struct candidate){.text = -1, .image = -1, .provenance = -1})

void candidate_release(struct candidate *candidate);
/* Leaves it empty. */

struct compiler {
  pid_t pid;        /* 0 when none runs */
  int channel;      /* readable when it is done; -1 when none runs */
  int64_t until_ms; /* mono; a compiler that takes longer is ended */
};
#define COMPILER_NONE ((struct compiler){.channel = -1})

struct reload { /* what the compiler works from; borrowed for the call */
  const char *path;
  const struct identity *who;      /* reads as that user */
  const struct config *config;     /* of which server.state is where it keeps its images */
  const struct candidate *running; /* whose image goes on being used while nothing changed */
};

enum status reload_start(struct compiler *compiler, const struct reload *reload, struct errbuf *err);
/* Forks the compiler. It outlives its answer by the time that it takes to keep the image for the next start. STATUS_IO:
 * there is none. */

enum status reload_finish(struct compiler *compiler, const char *path, struct candidate *out, char **problems);
/* Once its channel is readable or its time is over: takes what it made. STATUS_OK fills *out; anything else leaves it
 * untouched and tells in *problems what is wrong, a line each; free() them. The compiler's pid is still to be waited
 * for. */

void reload_cancel(struct compiler *compiler);
/* Ends a compiler that runs; its pid is still to be waited for. */

enum status reload_check(const struct config *current, const struct config *next, struct errbuf *err);
/* STATUS_CONFLICT: next changes what only a restart can change; err says what. */

#endif
