#include "gslb/model/config_check.h"

#include <string.h>

#include "gslb/model/config.h"
#include "gslb/model/scalar.h"

/* Whether the value under key was read, so that it can be judged. */
static bool is_read(const struct document_node *node, const char *key) {
  const struct document_node *value = document_find(node, key);
  double number;
  return value && value->kind == DOCUMENT_SCALAR && scalar_decimal(value->text, &number) == STATUS_OK;
}

static void check_above_zero(struct schema_reader *reader, const struct document_node *node, const char *key,
                             double value) {
  if (is_read(node, key) && value <= 0)
    schema_problem(reader, document_find(node, key), "%s is %s; it must be above 0", key,
                   document_find(node, key)->text);
}

void config_check_load_metric(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_load_metric *metric = record;
  config_check_metric_name(reader, node, metric->name);
  if (metric->weight == 0)
    check_above_zero(reader, node, "weight", metric->weight);
  check_above_zero(reader, node, "ceiling", metric->ceiling);
  metric->has_threshold = document_find(node, "threshold");
  const struct document_node *release = document_find(node, "release");
  if (!release)
    metric->release = metric->threshold;
  else if (!metric->has_threshold)
    schema_problem(reader, release->key, "release is given, but threshold is not");
  else if (is_read(node, "release") && is_read(node, "threshold") &&
           (metric->is_more_better ? metric->release < metric->threshold : metric->release > metric->threshold))
    schema_problem(reader, release, "release must not be %s threshold", metric->is_more_better ? "below" : "above");
}

static void check_metrics(struct schema_reader *reader, const struct document_node *node,
                          const struct config_load *load) {
  const struct document_node *list = document_find(node, "metrics"), *rule = document_find(node, "rule");
  const struct document_node *item = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  bool has_threshold = false;
  for (size_t i = 0; i < load->metric_count && item; i++, item = item->next) {
    const struct config_load_metric *metric = &load->metrics[i];
    has_threshold |= metric->has_threshold;
    for (size_t j = 0; j < i && metric->name; j++) {
      const struct config_load_metric *earlier = &load->metrics[j];
      if (!earlier->name || strcmp(earlier->name, metric->name) != 0 || earlier->source != metric->source ||
          earlier->view != metric->view)
        continue;
      char quoted[SCALAR_QUOTED_SIZE];
      schema_problem(reader, config_place(item, "name"), "metric \"%s\" is listed twice with the same source and view",
                     scalar_quote(metric->name, quoted));
      break;
    }
  }
  if (rule && !has_threshold)
    schema_problem(reader, rule->key, "rule is given, but no metric has a threshold");
}

void config_check_own_load(struct schema_reader *reader, const struct document_node *node, void *record) {
  check_metrics(reader, node, record);
}

void config_check_load(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  const struct config_load *load = record;
  config_define(reader, &names->loads, "load", load->name, config_place(node, "name"), names->config->loads, load,
                sizeof *load);
  check_metrics(reader, node, load);
}
