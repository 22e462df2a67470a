/* Utilization: a JSON document with the ORCA names, as a resource's utilization URL gives it. Figures get the names
 * that reports have (docs/api.md): "cpu_utilization", "named_metrics.x", "jobs.done", "services.<name>.members_up".
 * Texts, truth values and lists in it are no figures and passed over. */
#include "probes/sources/source.h"

#include <string.h>

#include <jansson.h>

#include "probes/sources/source_fetch.h"

#define BODY_MOST 65536u
#define DEPTH_MOST 3u /* "services.<name>.members_up" */

static const char *const never_below_0[] =
    {"cpu_utilization", "mem_utilization", "application_utilization", "rps_fractional", "eps", NULL};

static enum status add_figure(struct source_values *out, const char *name, double value, struct errbuf *err) {
  if (out->count == METRICS_MOST)
    return errbuf_set(err, STATUS_LIMIT, "it has more than %u figures", METRICS_MOST);
  if (strlen(name) >= METRICS_NAME_SIZE)
    return errbuf_set(err, STATUS_RANGE, "a name in it is longer than %u bytes", METRICS_NAME_SIZE - 1);
  for (size_t i = 0; never_below_0[i]; i++)
    if (strcmp(name, never_below_0[i]) == 0 && value < 0)
      return errbuf_set(err, STATUS_RANGE, "%s is below 0", name);
  out->items[out->count++] = (struct source_value){.name = arena_strdup(&out->arena, name), .value = value};
  return STATUS_OK;
}

static enum status add_object(struct source_values *out, const json_t *object, const char *before, unsigned depth,
                              struct errbuf *err) {
  const char *key;
  json_t *value;
  enum status status = STATUS_OK;
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    size_t length = strlen(before) + 1 + strlen(key) + 1;
    char *name = arena_alloc(&out->arena, length);
    if (*before) {
      strcpy(name, before);
      strcat(name, ".");
    }
    strcat(name, key);
    if (json_is_number(value))
      status = add_figure(out, name, json_number_value(value), err);
    else if (json_is_object(value) && depth < DEPTH_MOST)
      status = add_object(out, value, name, depth + 1, err);
    if (status != STATUS_OK)
      return status;
  }
  return STATUS_OK;
}

static enum status read_utilization(const struct source_target *target, const char *body, size_t size,
                                    struct source_values *out, struct errbuf *err) {
  (void)target;
  json_error_t where;
  json_t *document = json_loadb(body, size, JSON_REJECT_DUPLICATES, &where);
  enum status status = STATUS_OK;
  if (!document)
    return errbuf_set(err, STATUS_INVALID, "no JSON: line %d: %s", where.line, where.text);
  if (json_is_object(document))
    status = add_object(out, document, "", 1, err);
  else
    status = errbuf_set(err, STATUS_INVALID, "no JSON object");
  json_decref(document);
  if (status == STATUS_OK && out->count == 0)
    status = errbuf_set(err, STATUS_NODATA, "there is no figure in it");
  return status;
}

static const char *const headers[] = {"Accept: application/json", NULL};
static const struct source_form form = {headers, BODY_MOST, read_utilization};

static struct source_run *start(const struct probe_tools *tools, const struct source_target *target, source_done *done,
                                void *context) {
  return source_fetch_start(tools, target, &form, done, context);
}

const struct source_kind source_utilization = {.start = start, .cancel = source_fetch_cancel};
