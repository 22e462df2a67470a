/* Scrape: an endpoint of Prometheus, in its text format. A metric is the sum of all samples that have its name and its
 * labels (whatever further labels they have), so that one of all processors is one of the machine; one that no sample
 * has is not there. */
#include "probes/sources/source.h"

#include <string.h>

#include "probes/sources/exposition.h"
#include "probes/sources/source_fetch.h"

#define BODY_MOST 4194304u

struct sum {
  double value;
  bool is_any;
};

struct summing {
  const struct config_source *source;
  struct sum sums[METRICS_MOST]; /* in order of the source's metrics */
};

static bool has_label(const struct exposition_sample *sample, const char *wanted) {
  size_t length = strcspn(wanted, "=");
  const char *value = wanted[length] ? wanted + length + 1 : "";
  for (size_t i = 0; i < sample->label_count; i++)
    if (strncmp(sample->labels[i].name, wanted, length) == 0 && !sample->labels[i].name[length])
      return strcmp(sample->labels[i].value, value) == 0;
  return !*value; /* a label that is absent is an empty one */
}

static bool is_meant(const struct config_source_metric *metric, const struct exposition_sample *sample) {
  if (strcmp(metric->series, sample->name) != 0)
    return false;
  for (const char *const *label = metric->labels; label && *label; label++)
    if (!has_label(sample, *label))
      return false;
  return true;
}

static void take_sample(void *context, const struct exposition_sample *sample) {
  struct summing *summing = context;
  const struct config_source *source = summing->source;
  for (size_t i = 0; i < source->metric_count && i < METRICS_MOST; i++) {
    if (!is_meant(&source->metrics[i], sample))
      continue;
    summing->sums[i].value += sample->value;
    summing->sums[i].is_any = true;
  }
}

static enum status read_exposition(const struct source_target *target, const char *body, size_t size,
                                   struct source_values *out, struct errbuf *err) {
  const struct config_source *source = target->source;
  struct summing summing = {.source = source};
  enum status status = exposition_parse(body, size, take_sample, &summing, err);
  if (status != STATUS_OK)
    return status;
  for (size_t i = 0; i < source->metric_count && i < METRICS_MOST; i++) {
    const struct config_source_metric *metric = &source->metrics[i];
    if (summing.sums[i].is_any)
      out->items[out->count++] = (struct source_value){.name = metric->name,
                                                       .value = summing.sums[i].value * metric->scale,
                                                       .is_counter = metric->is_rate};
  }
  if (out->count == 0)
    return errbuf_set(err, STATUS_NODATA, "none of the metrics is in it");
  return STATUS_OK;
}

static const char *const headers[] = {"Accept: text/plain;version=0.0.4", NULL};
static const struct source_form form = {headers, BODY_MOST, read_exposition};

static struct source_run *start(const struct probe_tools *tools, const struct source_target *target, source_done *done,
                                void *context) {
  return source_fetch_start(tools, target, &form, done, context);
}

const struct source_kind source_scrape = {.start = start, .cancel = source_fetch_cancel};
