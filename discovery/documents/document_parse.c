#include "discovery/documents/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/documents/complaint.h"
#include "discovery/documents/reading.h"
#include "gslb/model/domain.h"
#include "gslb/net/url.h"

#define LEASE_DEFAULT_MS 30000
#define LEASE_LEAST_S 5.0
#define LEASE_MOST_S (3650.0 * 86400.0)
#define CAPABILITIES_MOST 32u
#define PATH_MOST 16u
#define TEXT_MOST 64u
#define LABEL_KEY_MOST 64u
#define LABEL_VALUE_MOST 200u
#define LABEL_MOST 255u
#define INSTANCE_MOST 63u
#define SITE_MOST 63u

static void parse_kind(const struct reading *reading, struct document *out) {
  const json_t *value = reading_member(reading, "kind");
  const char *word = json_string_value(value);
  if (value && (!word || resource_kind_parse(word, &out->kind) != STATUS_OK))
    reading_complain(reading, "kind", "must be \"server\", \"balancer\" or \"cloud\"");
}

static const char *address_fault(const struct addr *addr) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  static const uint8_t zero[16];
  if (memcmp(addr->bytes, zero, sizeof zero) == 0)
    return "must not be the unspecified address";
  if (addr->family == 4 ? addr->bytes[0] >= 224 : addr->bytes[0] == 0xff)
    return "must be the address of one host";
  if (addr->family == 6 && memcmp(addr->bytes, mapped, sizeof mapped) == 0)
    return "must be written as the IPv4 address that it is";
  return NULL;
}

static void parse_addresses(const struct reading *reading, struct arena *arena, struct document *out) {
  const json_t *array = reading_member(reading, "addresses");
  size_t count = json_array_size(array);
  if (!json_is_array(array) || count < 1 || count > CONFIG_ADDRESSES_MOST) {
    reading_complain(reading, "addresses", "must be a list of 1 to 16 addresses");
    return;
  }
  out->addresses = arena_array(arena, count, sizeof *out->addresses);
  for (size_t i = 0; i < count; i++) {
    char pointer[COMPLAINT_POINTER_SIZE];
    complaint_pointer_at(pointer, "/addresses", i);
    const char *text = json_string_value(json_array_get(array, i));
    struct addr addr;
    if (!text || addr_parse(text, &addr) != STATUS_OK) {
      complaint_add(reading->errors, pointer, "must be an IPv4 or IPv6 address");
      continue;
    }
    const char *fault = address_fault(&addr);
    for (size_t other = 0; other < out->address_count; other++)
      if (addr_equal(&out->addresses[other], &addr))
        fault = "stands there twice";
    if (fault)
      complaint_add(reading->errors, pointer, "%s", fault);
    else
      out->addresses[out->address_count++] = addr;
  }
}

static const char *parse_service_name(const struct reading *reading, struct arena *arena) {
  const char *text = reading_text(reading, "name", DOMAIN_TEXT_MOST + 1);
  char name[DOMAIN_TEXT_SIZE];
  struct errbuf err;
  if (!reading_member(reading, "name"))
    reading_complain(reading, "name", "is missing: which service the resource serves");
  if (!text)
    return NULL;
  if (domain_read(text, 0, name, &err) == STATUS_OK)
    return arena_strdup(arena, name);
  reading_complain(reading, "name", err.text);
  return NULL;
}

static void parse_service(const struct reading *reading, struct arena *arena, struct document *out) {
  static const char *const known[] = {"name", "port", "weight", "tier", "instance", NULL};
  reading_refuse_others(reading, known);
  struct document_service service = {.name = parse_service_name(reading, arena)};
  int64_t port = 0, weight = out->weight, tier = out->tier;
  reading_whole(reading, "port", 0, UINT16_MAX, &port);
  reading_whole(reading, "weight", 0, UINT16_MAX, &weight);
  reading_whole(reading, "tier", 0, UINT8_MAX, &tier);
  const char *instance = reading_text(reading, "instance", INSTANCE_MOST);
  if (!service.name)
    return;
  for (size_t i = 0; i < out->service_count; i++)
    if (strcmp(out->services[i].name, service.name) == 0) {
      reading_complain(reading, "name", "stands there twice");
      return;
    }
  service.port = (uint16_t)port;
  service.weight = (uint32_t)weight;
  service.tier = (uint32_t)tier;
  service.instance = instance ? arena_strdup(arena, instance) : NULL;
  out->services[out->service_count++] = service;
}

static void parse_services(const struct reading *reading, struct arena *arena, struct document *out) {
  const json_t *array = reading_member(reading, "services");
  size_t count = json_array_size(array);
  if (!json_is_array(array) || count < 1 || count > REGISTRATION_SERVICES_MOST) {
    reading_complain(reading, "services", "must be a list of 1 to 16 services");
    return;
  }
  out->services = arena_array(arena, count, sizeof *out->services);
  for (size_t i = 0; i < count; i++) {
    char pointer[COMPLAINT_POINTER_SIZE];
    complaint_pointer_at(pointer, "/services", i);
    struct reading service = {json_array_get(array, i), pointer, reading->errors};
    if (json_is_object(service.object))
      parse_service(&service, arena, out);
    else
      complaint_add(reading->errors, pointer, "must be an object with name and port");
  }
}

static void parse_lease(const struct reading *reading, struct document *out) {
  const json_t *value = reading_member(reading, "lease_s");
  double lease_s = json_number_value(value);
  if (!value)
    out->lease_ms = LEASE_DEFAULT_MS;
  else if (json_is_number(value) && (lease_s == 0 || (lease_s >= LEASE_LEAST_S && lease_s <= LEASE_MOST_S)))
    out->lease_ms = (int64_t)(lease_s * 1000.0 + 0.5);
  else
    reading_complain(reading, "lease_s",
                     "must be a number of seconds of at least 5 and at most ten years, or 0 for no end");
}

static void parse_capabilities(const struct reading *reading, struct arena *arena, struct document *out) {
  const json_t *array = reading_member(reading, "capabilities");
  size_t count = json_array_size(array), taken = 0;
  if ((array && !json_is_array(array)) || count > CAPABILITIES_MOST) {
    reading_complain(reading, "capabilities", "must be a list of at most 32 texts");
    count = 0;
  }
  const char **texts = arena_array(arena, count + 1, sizeof *texts);
  for (size_t i = 0; i < count; i++) {
    const json_t *value = json_array_get(array, i);
    size_t length = json_string_length(value);
    if (json_is_string(value) && length >= 1 && length <= TEXT_MOST &&
        reading_is_plain(json_string_value(value), length)) {
      texts[taken++] = arena_strdup(arena, json_string_value(value));
      continue;
    }
    char pointer[COMPLAINT_POINTER_SIZE];
    complaint_add(reading->errors, complaint_pointer_at(pointer, "/capabilities", i),
                  "must be a text of 1 to 64 bytes without control characters");
  }
  out->capabilities = texts;
}

static bool is_label_key(const char *key) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t length = strlen(key);
  return length >= 1 && length <= LABEL_KEY_MOST && strspn(key, allowed) == length;
}

static const char *label_fault(const char *key, const json_t *value) {
  size_t length = json_string_length(value);
  if (!is_label_key(key))
    return "must have a key of 1 to 64 letters, digits, \".\", \"_\" and \"-\"";
  if (!json_is_string(value) || length > LABEL_VALUE_MOST || !reading_is_plain(json_string_value(value), length))
    return "must be a text of at most 200 bytes without control characters";
  if (strlen(key) + 1 + length > LABEL_MOST)
    return "must have at most 254 bytes together with its key";
  return NULL;
}

static int compare_labels(const void *a, const void *b) {
  const char *first = *(const char *const *)a, *second = *(const char *const *)b;
  size_t first_size = strcspn(first, "="), second_size = strcspn(second, "=");
  int order = memcmp(first, second, first_size < second_size ? first_size : second_size);
  return order ? order : (first_size > second_size) - (first_size < second_size);
}

static void parse_labels(const struct reading *reading, struct arena *arena, struct document *out) {
  json_t *object = reading_member(reading, "labels");
  size_t count = json_object_size(object), taken = 0;
  if ((object && !json_is_object(object)) || count > REGISTRATION_LABELS_MOST) {
    reading_complain(reading, "labels", "must be an object of at most 32 texts");
    object = NULL;
    count = 0;
  }
  const char **labels = arena_array(arena, count + 1, sizeof *labels);
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) {
    const char *fault = label_fault(key, value);
    if (fault) {
      struct reading inner = {object, "/labels", reading->errors};
      reading_complain(&inner, key, fault);
      continue;
    }
    size_t key_size = strlen(key), value_size = json_string_length(value);
    char *label = arena_alloc(arena, key_size + value_size + 2);
    memcpy(label, key, key_size);
    label[key_size] = '=';
    memcpy(label + key_size + 1, json_string_value(value), value_size);
    labels[taken++] = label;
  }
  if (taken > 0)
    qsort(labels, taken, sizeof *labels, compare_labels);
  out->labels = labels;
}

/* Calls go to the resource itself alone, or anybody could have the balancer call anyone. */
static const char *parse_url(const struct reading *reading, const char *key, struct arena *arena,
                             const struct document *document) {
  const char *text = reading_text(reading, key, URL_TEXT_MOST);
  if (!text)
    return NULL;
  struct url url;
  struct errbuf err;
  if (url_parse(text, &url, &err) != STATUS_OK) {
    reading_complain(reading, key, err.text);
    return NULL;
  }
  url.address.port = 0;
  for (size_t i = 0; i < document->address_count; i++)
    if (addr_equal(&document->addresses[i], &url.address))
      return arena_strdup(arena, text);
  reading_complain(reading, key, "must go to one of the addresses that are registered");
  return NULL;
}

static void parse_path(const struct reading *reading, struct arena *arena, struct document *out) {
  const json_t *array = reading_member(reading, "path");
  size_t count = json_array_size(array), taken = 0;
  if (array && out->kind != RESOURCE_BALANCER) {
    reading_complain(reading, "path", "is only for the kind \"balancer\"");
    count = 0;
  } else if ((array && !json_is_array(array)) || count > PATH_MOST) {
    reading_complain(reading, "path", "must be a list of at most 16 identities of balancers");
    count = 0;
  }
  const char **path = arena_array(arena, count + 1, sizeof *path);
  for (size_t i = 0; i < count; i++) {
    char pointer[COMPLAINT_POINTER_SIZE], name[DOMAIN_TEXT_SIZE];
    struct errbuf err;
    const char *text = json_string_value(json_array_get(array, i));
    if (text && domain_read(text, 0, name, &err) == STATUS_OK)
      path[taken++] = arena_strdup(arena, name);
    else
      complaint_add(reading->errors, complaint_pointer_at(pointer, "/path", i), "%s",
                    text ? err.text : "must be the identity of a balancer");
  }
  out->path = path;
}

enum status document_parse_registration(const json_t *json, struct arena *arena, struct document *out,
                                        json_t **errors) {
  static const char *const known[] = {"kind",   "site", "addresses",       "services",   "lease_s",
                                      "weight", "tier", "capacity",        "version",    "capabilities",
                                      "labels", "path", "utilization_url", "notice_url", NULL};
  json_t *found = NULL;
  struct reading reading = {json, "", &found};
  struct document document = {.kind = RESOURCE_SERVER};
  reading_refuse_others(&reading, known);
  parse_kind(&reading, &document);
  const char *site = reading_text(&reading, "site", SITE_MOST);
  document.site = site ? arena_strdup(arena, site) : NULL;
  parse_addresses(&reading, arena, &document);
  int64_t weight = 1, tier = 0;
  reading_whole(&reading, "weight", 0, UINT16_MAX, &weight);
  reading_whole(&reading, "tier", 0, UINT8_MAX, &tier);
  document.weight = (uint32_t)weight;
  document.tier = (uint32_t)tier;
  parse_services(&reading, arena, &document);
  parse_lease(&reading, &document);
  reading_number(&reading, "capacity", 0, 1e15, &document.capacity);
  const char *version = reading_text(&reading, "version", TEXT_MOST);
  document.version = version ? arena_strdup(arena, version) : NULL;
  parse_capabilities(&reading, arena, &document);
  parse_labels(&reading, arena, &document);
  document.utilization_url = parse_url(&reading, "utilization_url", arena, &document);
  document.notice_url = parse_url(&reading, "notice_url", arena, &document);
  parse_path(&reading, arena, &document);
  if (found) {
    *errors = found;
    return STATUS_RANGE;
  }
  *out = document;
  return STATUS_OK;
}
