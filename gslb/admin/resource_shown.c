#include "gslb/admin/resource_shown.h"

#include <jansson.h>

#include "discovery/registry/lease_table.h"
#include "gslb/base/value.h"

/* In the words in which it was told. */
static json_t *self_word(enum health self) {
  switch (self) {
  case HEALTH_UP:
    return json_string("up");
  case HEALTH_DRAINING:
    return json_string("drain");
  case HEALTH_DOWN:
    return json_string("maint");
  default:
    return json_null();
  }
}

static json_t *lease_shown(const struct lease_record *lease, int64_t lease_ms) {
  return value_must(json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "state", lease_word(lease), "since_at",
                              value_time(lease->since_ms), "ends_at", value_time(lease->end_ms), "renewed_at",
                              value_time(lease->renewed_ms), "renew_in_s",
                              value_seconds(lease_table_renew_ms(lease_ms)), "sequence", (json_int_t)lease->sequence,
                              "self", self_word(lease->self), "self_reason", value_text_or_null(lease->self_reason),
                              "utilization", lease->utilization < 0 ? json_null() : json_real(lease->utilization)));
}

json_t *resource_removed(int64_t until_ms, const char *why) {
  return value_must(json_pack("{s:o, s:o}", "until_at", value_time(until_ms), "why", value_text(why)));
}

json_t *resource_shown(const char *id, const struct resource_record *resource, const struct lease_record *lease) {
  json_t *shown =
      value_must(json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "id", id, "revision", (json_int_t)resource->revision,
                           "epoch", (json_int_t)resource->epoch, "owner", value_text(resource->owner), "registered_at",
                           value_time(resource->registered_ms), "changed_at", value_time(resource->changed_ms)));
  json_t *document = resource->document_size ? json_loadb(resource->document, resource->document_size, 0, NULL) : NULL;
  json_object_update_missing(shown, document);
  json_decref(document);
  json_object_set_new(shown, "lease", resource->is_removed ? json_null() : lease_shown(lease, resource->lease_ms));
  json_object_set_new(shown, "removed",
                      resource->is_removed ? resource_removed(resource->removed_until_ms, resource->removed_why)
                                           : json_null());
  return shown;
}

void resource_add_advice(json_t *document, struct balancers *balancers) {
  json_t *directive = balancers ? balancers_directive(balancers) : NULL;
  json_object_set_new(document, "report",
                      value_must(
                          json_pack("[s, s, s]", "cpu_utilization", "mem_utilization", "application_utilization")));
  json_object_set_new(document, "balancers", balancers ? balancers_others(balancers) : json_array());
  json_object_set_new(document, "directive", directive ? directive : json_null());
}

json_t *resource_renewed(const struct lease_record *lease, int64_t lease_ms, struct balancers *balancers) {
  json_t *document = value_must(json_pack("{s:o, s:o}", "ends_at", value_time(lease->end_ms), "renew_in_s",
                                          value_seconds(lease_table_renew_ms(lease_ms))));
  resource_add_advice(document, balancers);
  return document;
}

json_t *resource_metrics(const struct metrics_record *metrics) {
  json_t *values = json_object();
  for (uint32_t i = 0; i < metrics->count; i++)
    json_object_set_new(values, metrics->values[i].name, value_must(json_real(metrics->values[i].value)));
  return values;
}
