/* gslb/model/facts_place.h
 * Where a stored row belongs in the facts, and what it says. For facts.c alone. No I/O. */
#ifndef GSLB_MODEL_FACTS_PLACE_H
#define GSLB_MODEL_FACTS_PLACE_H

#include <stddef.h>

#include "gslb/model/facts.h"
#include "gslb/model/facts_rows.h"
#include "gslb/model/roster.h"

struct facts_places { /* borrowed */
  const struct config *config;
  const struct roster *roster;
  struct service_facts *services;
};

enum status facts_locate(const struct facts_places *places, struct facts_rows *rows, size_t *damaged);
/* Finds every row's place, members and balancers aside, and decodes figures, which is dear, once for all; those that
 * belong nowhere or cannot be decoded have none, the latter counted in damaged. STATUS_VERSION: one was written by
 * another version, so nothing should be taken over. */
enum status facts_decode(const struct facts_places *places, const struct facts_rows *rows, const struct facts_row *row,
                         void *place);
/* Not of figures: their rows hold them decoded. Of an override, place is a struct override_record. */

enum status facts_decode_balancers(const struct facts_rows *rows, struct balancer_facts **out, size_t *count,
                                   size_t *damaged);
/* The balancers among the rows; free() *out (NULL: none). STATUS_VERSION likewise. */

#endif
