#include "discovery/agent/registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "discovery/agent/service.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"

static json_t *integer(uint64_t value) {
  return value_must(json_integer((json_int_t)value));
}

static json_t *services_document(const struct settings *settings) {
  json_t *services = value_must(json_array());
  for (size_t i = 0; i < settings->service_count; i++) {
    const struct settings_service *service = &settings->services[i];
    json_t *one = value_must(json_object());
    json_object_set_new(one, "name", value_text(service->name));
    if (service->port)
      json_object_set_new(one, "port", integer(service->port));
    if (service->weight != SETTINGS_NOT_TOLD)
      json_object_set_new(one, "weight", integer(service->weight));
    if (service->tier != SETTINGS_NOT_TOLD)
      json_object_set_new(one, "tier", integer(service->tier));
    if (service->instance)
      json_object_set_new(one, "instance", value_text(service->instance));
    json_array_append_new(services, one);
  }
  return services;
}

static void add_properties(json_t *document, const struct settings *settings) {
  if (settings->site)
    json_object_set_new(document, "site", value_text(settings->site));
  if (settings->capacity)
    json_object_set_new(document, "capacity", value_must(json_real(strtod(settings->capacity, NULL))));
  if (settings->version)
    json_object_set_new(document, "version", value_text(settings->version));
  json_t *capabilities = value_must(json_array());
  for (size_t i = 0; i < settings->capability_count; i++)
    json_array_append_new(capabilities, value_text(settings->capabilities[i]));
  json_object_set_new(document, "capabilities", capabilities);
  json_t *labels = value_must(json_object());
  for (size_t i = 0; i < settings->label_count; i++) {
    const char *equals = strchr(settings->labels[i], '=');
    char *key = mem_format("%.*s", (int)(equals - settings->labels[i]), settings->labels[i]);
    json_object_set_new(labels, key, value_text(equals + 1));
    free(key);
  }
  json_object_set_new(document, "labels", labels);
}

static void add_url(json_t *document, const char *member, const struct addr *host, uint16_t port, const char *path) {
  char address[ADDR_TEXT_SIZE];
  bool is_v6 = host->family == 6;
  char *url =
      mem_format("http://%s%s%s:%u%s", is_v6 ? "[" : "", addr_format(host, address), is_v6 ? "]" : "", port, path);
  json_object_set_new(document, member, value_text(url));
  free(url);
}

json_t *registration_document(const struct settings *settings, const struct addr *addresses, size_t count,
                              const struct addr *service) {
  json_t *document = value_must(json_object()), *list = value_must(json_array());
  json_object_set_new(document, "kind", value_text(resource_kind_name(settings->kind)));
  const struct addr *host = addresses;
  for (size_t i = 0; i < count; i++) {
    char text[ADDR_TEXT_SIZE];
    json_array_append_new(list, value_text(addr_format(&addresses[i], text)));
    if (service && service->family == addresses[i].family &&
        memcmp(service->bytes, addresses[i].bytes, sizeof service->bytes) == 0)
      host = &addresses[i];
  }
  json_object_set_new(document, "addresses", list);
  json_object_set_new(document, "services", services_document(settings));
  json_object_set_new(document, "lease_s", value_must(json_real((double)settings->lease_ms / 1000.0)));
  json_object_set_new(document, "weight", integer(settings->weight));
  json_object_set_new(document, "tier", integer(settings->tier));
  add_properties(document, settings);
  if (service && count) {
    add_url(document, "utilization_url", host, service->port, SERVICE_UTILIZATION_PATH);
    add_url(document, "notice_url", host, service->port, SERVICE_NOTICE_PATH);
  }
  return document;
}

enum status registration_route(const struct addr *to, struct addr *out, struct errbuf *err) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(to, &sockaddr);
  struct addr own;
  /* connecting a datagram socket asks the routing table and sends nothing */
  int fd = socket(sockaddr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool is_good = fd >= 0 && connect(fd, (struct sockaddr *)&sockaddr, length) == 0;
  length = sizeof sockaddr;
  is_good = is_good && getsockname(fd, (struct sockaddr *)&sockaddr, &length) == 0 &&
            addr_from_sockaddr((struct sockaddr *)&sockaddr, &own) == STATUS_OK;
  int error = errno;
  if (fd >= 0)
    close(fd);
  if (!is_good) {
    char text[ADDR_TEXT_SIZE];
    return errbuf_set(err, STATUS_IO, "no way to %s: %s", addr_format(to, text), strerror(error));
  }
  own.port = 0;
  *out = own;
  return STATUS_OK;
}
