#include "discovery/documents/document.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/value.h"

/* Before a parser that recurses sees it. Brackets within strings do not nest. */
static bool is_too_deep(const char *text, size_t size) {
  unsigned depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < size; i++) {
    if (in_string) {
      if (text[i] == '\\')
        i++;
      else if (text[i] == '"')
        in_string = false;
    } else if (text[i] == '"') {
      in_string = true;
    } else if (text[i] == '{' || text[i] == '[') {
      if (++depth > DOCUMENT_NESTING_MOST)
        return true;
    } else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
      depth--;
    }
  }
  return false;
}

enum status document_read(const char *text, size_t size, json_t **out, json_t **errors, struct errbuf *err) {
  (void)errors;
  if (size > REGISTRATION_DOCUMENT_MOST)
    return errbuf_set(err, STATUS_INVALID, "the body has %zu bytes; at most %u are taken", size,
                      REGISTRATION_DOCUMENT_MOST);
  if (is_too_deep(text, size))
    return errbuf_set(err, STATUS_INVALID, "the body is nested deeper than %u levels", DOCUMENT_NESTING_MOST);
  json_error_t where;
  json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
  if (!document)
    return errbuf_set(err, STATUS_INVALID, "the body is not JSON: line %d, column %d: %s", where.line, where.column,
                      where.text);
  if (!json_is_object(document)) {
    json_decref(document);
    return errbuf_set(err, STATUS_INVALID, "the body must be a JSON object");
  }
  *out = document;
  return STATUS_OK;
}

json_t *document_merge(const json_t *stored, const json_t *patch) {
  if (!json_is_object(patch))
    return value_must(json_deep_copy(patch));
  json_t *merged = value_must(json_is_object(stored) ? json_copy((json_t *)(uintptr_t)stored) : json_object());
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
    if (json_is_null(value))
      json_object_del(merged, key);
    else
      json_object_set_new(merged, key, document_merge(json_object_get(merged, key), value));
  }
  return merged;
}

static json_t *write_texts(const char *const *texts) {
  json_t *array = value_must(json_array());
  for (; texts && *texts; texts++)
    json_array_append_new(array, value_text(*texts));
  return array;
}

static json_t *write_labels(const char *const *labels) {
  json_t *object = value_must(json_object());
  for (; labels && *labels; labels++) {
    const char *sign = strchr(*labels, '=');
    json_object_setn_new(object, *labels, (size_t)(sign - *labels), value_text(sign + 1));
  }
  return object;
}

static json_t *write_service(const struct document_service *service) {
  json_t *object = value_must(json_object());
  json_object_set_new(object, "name", value_text(service->name));
  json_object_set_new(object, "port", json_integer(service->port));
  json_object_set_new(object, "weight", json_integer(service->weight));
  json_object_set_new(object, "tier", json_integer(service->tier));
  if (service->instance)
    json_object_set_new(object, "instance", value_text(service->instance));
  return object;
}

json_t *document_write(const struct document *document) {
  json_t *object = value_must(json_object());
  json_object_set_new(object, "kind", value_text(resource_kind_name(document->kind)));
  json_object_set_new(object, "site", value_text_or_null(document->site));
  json_t *addresses = value_must(json_array());
  for (size_t i = 0; i < document->address_count; i++) {
    char text[ADDR_TEXT_SIZE];
    json_array_append_new(addresses, value_text(addr_format(&document->addresses[i], text)));
  }
  json_object_set_new(object, "addresses", addresses);
  json_t *services = value_must(json_array());
  for (size_t i = 0; i < document->service_count; i++)
    json_array_append_new(services, write_service(&document->services[i]));
  json_object_set_new(object, "services", services);
  json_object_set_new(object, "lease_s", value_seconds(document->lease_ms));
  json_object_set_new(object, "weight", json_integer(document->weight));
  json_object_set_new(object, "tier", json_integer(document->tier));
  json_object_set_new(object, "capacity", document->capacity > 0 ? json_real(document->capacity) : json_null());
  json_object_set_new(object, "version", value_text_or_null(document->version));
  json_object_set_new(object, "capabilities", write_texts(document->capabilities));
  json_object_set_new(object, "labels", write_labels(document->labels));
  json_object_set_new(object, "utilization_url", value_text_or_null(document->utilization_url));
  json_object_set_new(object, "notice_url", value_text_or_null(document->notice_url));
  if (document->kind == RESOURCE_BALANCER)
    json_object_set_new(object, "path", write_texts(document->path));
  return object;
}

void document_member(const struct document *document, size_t service, struct arena *arena, struct member_record *out) {
  const struct document_service *entry = &document->services[service];
  (void)arena;
  *out = (struct member_record){.kind = document->kind,
                                .address_count = (uint32_t)document->address_count,
                                .weight = entry->weight,
                                .tier = entry->tier,
                                .port = entry->port,
                                .txt = document->labels && document->labels[0] ? document->labels : NULL,
                                .utilization_url = document->utilization_url};
  memcpy(out->addresses, document->addresses, document->address_count * sizeof *document->addresses);
  snprintf(out->site, sizeof out->site, "%s", document->site ? document->site : "");
  snprintf(out->instance, sizeof out->instance, "%s", entry->instance ? entry->instance : "");
}
