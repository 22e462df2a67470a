/* zones/compile/compile.h
 * Master files (read by ldns) and the configuration's balanced names, compiled to a name image. Runs in the short-lived
 * child that prepares a configuration, in `gslbd --check-config` and in tests. One thread. */
#ifndef GSLB_ZONES_COMPILE_COMPILE_H
#define GSLB_ZONES_COMPILE_COMPILE_H

#include "gslb/base/problem.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "zones/records/provenance.h"

enum status zones_compile(const struct config *config, int *fd, struct problems *problems);
/* Reads all zones of the configuration and writes the image into a sealed memfd, whose descriptor the caller owns.
 * STATUS_INVALID: problems tells what is wrong, with file and line (of the zone file, or of the configuration where a
 * service clashes with a static record), and *fd is untouched.
 * A secondary zone without a copy, or with one that is no sound zone (logged), is compiled as an absent one, and its
 * records give way to balanced names. */

enum status zones_compile_from(const struct config *config, struct provenance *provenance, int *fd,
                               struct problems *problems);
/* As zones_compile; adds every file that it reads to provenance, but for that of the cookies' secrets. */

enum status zones_check_copy(const char *zone, const char *file, struct errbuf *err);
/* Whether zones_compile would take the file as a secondary zone's copy. STATUS_INVALID; STATUS_NOTFOUND. */

#endif
