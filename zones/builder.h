/* zones/builder.h
 * Keeps the book current: follows the stores' facts, decides, compiles the tables that changed and publishes them. One
 * thread, registered with RCU by the caller. */
#ifndef GSLB_ZONES_BUILDER_H
#define GSLB_ZONES_BUILDER_H

#include <stdint.h>

#include "gslb/base/clock.h"
#include "gslb/model/board.h"
#include "zones/tables/book.h"
#include "zones/transfer/difference.h"

struct builder;

struct builder *builder_new(struct board *board, const struct house *house);
void builder_free(struct builder *builder);
/* After the workers ended. */

struct differences *builder_differences(struct builder *builder);
/* Of the zones' last versions, for transfers; borrowed until builder_free. */

struct book *const *builder_book(const struct builder *builder);
/* Where the current book is published; NULL there until the first builder_switch. */

enum status builder_switch(struct builder *builder, struct config *config, int image_fd, uint32_t worker_count,
                           struct errbuf *err);
/* Builds a whole book for the configuration, from the facts as they are, and publishes it. Takes config over on
 * success; on a failure the old book stays and config is still the caller's. */

int64_t builder_refresh(struct builder *builder);
/* Takes over changed facts and rebuilds what they or the time touched; returns the milliseconds until the next
 * rebuild by time alone or the next try to open a store that is missing, at most 60,000. */

#endif
