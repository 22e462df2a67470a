/* gslb/model/facts_figures.h
 * Figures of members within the facts: which sources a service's decision looks at, their rows in the live store, and
 * what is kept of them. No state of its own; any thread. */
#ifndef GSLB_MODEL_FACTS_FIGURES_H
#define GSLB_MODEL_FACTS_FIGURES_H

#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/facts_rows.h"
#include "gslb/model/metrics.h"
#include "gslb/model/store.h"

#define FACTS_WEIGHT_PERCENT "weight_percent" /* what an agent-check tells: of the configured weight */

const struct config_load *facts_figures_load(const struct config *config, const struct config_service *service);
/* The service's load section, with the metrics of utilization reports where it names none; NULL: it has none. Borrowed
 * from config, or for ever. */

uint32_t facts_figures_wanted(const struct config *config, const struct config_service *service);
/* Bit i: the decision about the service needs what metric_source i told: those of its load section's metrics, and that
 * of agent-checks where it has such a source, since they tell state and weight. 0 for most services. */

enum status facts_figures_read(const struct config *config, const struct config_service *service, struct store_txn *txn,
                               struct facts_rows *rows);
/* Adds the rows of the sources wanted, the agent's too under service \0 member. STATUS_IO. */

enum status facts_figures_decode(const struct config_load *load, enum metric_source source, struct store_bytes value,
                                 struct arena *arena, const struct metrics_record **out);
/* Keeps only the values that the decision looks at, in a record that is allocated only as far as its count. load may
 * be NULL. As metrics_decode. */

const struct metrics_record *facts_figures_copy(struct arena *arena, const struct metrics_record *record);
/* Of a record allocated like that. */

#endif
