#include "gslb/model/config_rows.h"

#include <stddef.h>

#include "gslb/model/config_check.h"
#include "gslb/model/config_values.h"

static const char *const views[] = {
    [VIEW_LAST] = "last", [VIEW_MEAN] = "mean", [VIEW_RATE] = "rate", [VIEW_PEAK] = "peak", [VIEW_P95] = "p95", NULL,
};
static const char *const rules[] =
    {[THRESHOLD_ANY] = "any", [THRESHOLD_ALL] = "all", [THRESHOLD_PREFER] = "prefer", NULL};

const char *metric_view_name(enum metric_view view) {
  return views[view];
}

static const struct schema_row metric_rows[] = {
    {.key = "name",
     .kind = SCHEMA_TEXT,
     ONE(struct config_load_metric, name),
     .most = METRICS_NAME_SIZE - 1,
     .is_required = true,
     .help = "Name of the metric, as its source tells it."},
    {.key = "source",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_load_metric, source),
     .read = config_read_metric_source,
     .type_help = "any | probe | snmp | scrape | check | utilization | agent",
     .standard = "any",
     .help = "Where it is from; any: from whichever told it last."},
    {.key = "weight",
     .kind = SCHEMA_DECIMAL,
     ONE(struct config_load_metric, weight),
     .least = 0,
     .most = 1000000,
     .standard = "1",
     .help = "Its share in the load, relative to the others; above 0."},
    {.key = "ceiling",
     .kind = SCHEMA_DECIMAL,
     ONE(struct config_load_metric, ceiling),
     .standard_help = "what the source tells as NAME_ceiling, or else 1",
     .help = "Value at which the member is full by this metric; above 0."},
    {.key = "more_is_better",
     .kind = SCHEMA_BOOL,
     ONE(struct config_load_metric, is_more_better),
     .standard = "false",
     .help = "Whether the metric tells what is free: it counts as (ceiling - value) / ceiling."},
    {.key = "view",
     .kind = SCHEMA_WORD,
     ONE(struct config_load_metric, view),
     .words = views,
     .standard = "last",
     .help = "Which figure over the window counts: the last, the mean, the growth a second, the greatest, or the one "
             "that 95 of 100 do not pass."},
    {.key = "threshold",
     .kind = SCHEMA_DECIMAL,
     ONE(struct config_load_metric, threshold),
     .standard_help = "none",
     .help = "Value above which (with more_is_better: below which) the threshold is passed."},
    {.key = "release",
     .kind = SCHEMA_DECIMAL,
     ONE(struct config_load_metric, release),
     .standard_help = "threshold",
     .help = "Value below which (with more_is_better: above which) a passed threshold is so no more."},
};
static const struct schema_map metric_map = {ROWS(metric_rows), .check = config_check_load_metric};

static const struct schema_row load_rows[] = {
    {.key = "name",
     .kind = SCHEMA_LABEL,
     ONE(struct config_load, name),
     .is_required = true,
     .help = "Name by which services refer to it."},
    {.key = "window",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct config_load, window_ms),
     .least = SECOND,
     .most = DAY,
     .standard = "5m",
     .help = "How far back the views look."},
    {.key = "rule",
     .kind = SCHEMA_WORD,
     ONE(struct config_load, rule),
     .words = rules,
     .standard = "any",
     .help = "Members are left out when any or when all of their thresholds are passed; prefer: they come after the "
             "others when any is."},
    {.key = "metrics",
     .kind = SCHEMA_MAP,
     .map = &metric_map,
     MANY(struct config_load, metrics, metric_count),
     .list_most = CONFIG_METRICS_MOST,
     .standard_help = "those of utilization reports",
     .help = "What the load is made of."},
};
const struct schema_map config_load_map = {ROWS(load_rows), .has_position = true, .check = config_check_load};
const struct schema_map config_own_load_map = {.rows = load_rows + 1,
                                               .count = sizeof load_rows / sizeof load_rows[0] - 1,
                                               .has_position = true,
                                               .check = config_check_own_load};
