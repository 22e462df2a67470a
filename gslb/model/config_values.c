#include "gslb/model/config_values.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"
#include "gslb/model/config_rows.h"
#include "gslb/model/config_schema.h"
#include "gslb/model/domain.h"
#include "gslb/model/nearest.h"
#include "gslb/model/scalar.h"

#define STATUS_RANGES_MOST 64u
#define OPTIONAL_TEXT_MOST 255u /* a character-string (RFC 1035 section 3.3) */
#define PORT_DNS 53u
#define TYPE_OPT 41u
#define TYPE_META_FIRST 128u /* RFC 6895 section 3.1: Q and meta types */
#define TYPE_META_LAST 255u

static bool expect_scalar(struct schema_reader *reader, const struct schema_row *row,
                          const struct document_node *node) {
  if (node->kind == DOCUMENT_SCALAR)
    return true;
  schema_problem(reader, node, "%s must be a single value: %s", row->key, row->type_help);
  return false;
}

static bool read_degrees(struct schema_reader *reader, const struct document_node *node, const char *name, double most,
                         double *out) {
  char quoted[SCALAR_QUOTED_SIZE];
  if (node->kind == DOCUMENT_REFUSED)
    return false;
  if (node->kind != DOCUMENT_SCALAR || scalar_decimal(node->text, out) != STATUS_OK) {
    schema_problem(reader, node, "%s must be a number of degrees such as 50.11", name);
    return false;
  }
  if (*out >= -most && *out <= most)
    return true;
  schema_problem(reader, node, "%s is %s; it must be from %.0f to %.0f", name, scalar_quote(node->text, quoted), -most,
                 most);
  return false;
}

bool config_read_location(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                          void *field) {
  struct config_site *site = field;
  if (node->kind != DOCUMENT_LIST || node->count != 2) {
    schema_problem(reader, node, "%s must be [latitude, longitude] in degrees", row->key);
    return false;
  }
  bool has_latitude = read_degrees(reader, node->first, "latitude", 90, &site->latitude);
  bool has_longitude = read_degrees(reader, node->first->next, "longitude", 180, &site->longitude);
  site->has_location = has_latitude && has_longitude;
  return site->has_location;
}

/* A status code of three digits at *at, which moves behind it; 0 when there is none. */
static uint16_t read_status(const char **at) {
  if (strspn(*at, "0123456789") != 3)
    return 0;
  uint16_t code = (uint16_t)(((*at)[0] - '0') * 100 + ((*at)[1] - '0') * 10 + ((*at)[2] - '0'));
  *at += 3;
  return code >= 100 && code <= 599 ? code : 0;
}

/* How many ranges text holds; 0 when it cannot be understood. */
static size_t read_ranges(const char *text, struct status_range ranges[STATUS_RANGES_MOST]) {
  size_t count = 0;
  for (const char *at = text;; at++) {
    at += strspn(at, " ");
    if (count == STATUS_RANGES_MOST)
      return 0;
    struct status_range range = {.first = read_status(&at)};
    range.last = range.first;
    if (*at == '-') {
      at++;
      range.last = read_status(&at);
    }
    at += strspn(at, " ");
    if (!range.first || range.last < range.first || (*at && *at != ','))
      return 0;
    ranges[count++] = range;
    if (!*at)
      return count;
  }
}

bool config_read_status_ranges(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field) {
  struct config_monitor *monitor = field;
  if (!expect_scalar(reader, row, node))
    return false;
  struct status_range ranges[STATUS_RANGES_MOST];
  size_t count = read_ranges(node->text, ranges);
  if (!count) {
    char quoted[SCALAR_QUOTED_SIZE];
    schema_problem(reader, node, "%s \"%s\" is not a list of status codes (100 to 599) such as 200 or 200-299,301",
                   row->key, scalar_quote(node->text, quoted));
    return false;
  }
  monitor->expect_status = arena_copy(reader->arena, ranges, count * sizeof *ranges);
  monitor->expect_status_count = count;
  return true;
}

static const struct {
  const char *name;
  uint16_t number;
} query_types[] = {{"A", 1},   {"AAAA", 28}, {"SOA", 6},   {"NS", 2},   {"TXT", 16},
                   {"MX", 15}, {"SRV", 33},  {"CNAME", 5}, {"PTR", 12}, {"CAA", 257}};

bool config_read_query_type(struct schema_reader *reader, const struct schema_row *row,
                            const struct document_node *node, void *field) {
  if (!expect_scalar(reader, row, node))
    return false;
  uint16_t *type = field;
  for (size_t i = 0; i < sizeof query_types / sizeof query_types[0]; i++)
    if (strcasecmp(node->text, query_types[i].name) == 0) {
      *type = query_types[i].number;
      return true;
    }
  char quoted[SCALAR_QUOTED_SIZE];
  scalar_quote(node->text, quoted);
  int64_t number;
  if (strncasecmp(node->text, "TYPE", 4) != 0 || scalar_number(node->text + 4, &number) != STATUS_OK) {
    schema_problem(reader, node,
                   "%s \"%s\" is unknown; known are A, AAAA, SOA, NS, TXT, MX, SRV, CNAME, PTR, CAA, and "
                   "any other as TYPE and its number",
                   row->key, quoted);
    return false;
  }
  if (number < 1 || number > 65535 || number == TYPE_OPT || (number >= TYPE_META_FIRST && number <= TYPE_META_LAST)) {
    schema_problem(reader, node, "%s %s is no type of data; TYPE1 to TYPE65535 without TYPE41 and TYPE128 to TYPE255",
                   row->key, quoted);
    return false;
  }
  *type = (uint16_t)number;
  return true;
}

/* References */

static void report_undefined(struct schema_reader *reader, const char *what, const struct document_node *node,
                             const char *nearest) {
  char quoted[SCALAR_QUOTED_SIZE];
  scalar_quote(node->text, quoted);
  if (nearest)
    schema_problem(reader, node, "%s \"%s\" is not defined; did you mean \"%s\"?", what, quoted, nearest);
  else
    schema_problem(reader, node, "%s \"%s\" is not defined", what, quoted);
}

struct referred { /* what a reference may mean */
  const char *what;
  const struct name_index *index;
  bool is_label;
  const void *items; /* structs, whose name stands at name_offset */
  size_t count, item_size, name_offset;
};

/* The index that the node's name stands for; NAME_INDEX_NONE when there is none, or when it is no name. */
static uint32_t find_name(const struct referred *referred, const struct document_node *node) {
  char label[DOMAIN_LABEL_MOST + 1], name[DOMAIN_TEXT_SIZE];
  if (referred->is_label)
    return domain_read_host_label(node->text, label, NULL) == STATUS_OK ? name_index_find(referred->index, label)
                                                                        : NAME_INDEX_NONE;
  return domain_read(node->text, DOMAIN_ROOT, name, NULL) == STATUS_OK ? name_index_find(referred->index, name)
                                                                       : NAME_INDEX_NONE;
}

static bool read_reference(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                           void *field, const struct referred *referred) {
  if (!expect_scalar(reader, row, node))
    return false;
  uint32_t found = find_name(referred, node);
  if (found != NAME_INDEX_NONE) {
    *(uint32_t *)field = found;
    return true;
  }
  struct nearest nearest;
  nearest_begin(&nearest, node->text);
  size_t candidates = schema_may_suggest(reader) ? referred->count : 0;
  for (size_t i = 0; i < candidates; i++) {
    const char *name;
    memcpy(&name, (const char *)referred->items + i * referred->item_size + referred->name_offset, sizeof name);
    if (name)
      nearest_offer(&nearest, name);
  }
  report_undefined(reader, referred->what, node, nearest.best);
  return false;
}

#define REFERRED(field, type)                                                                                          \
  .items = names->config->field##s, .count = names->config->field##_count, .item_size = sizeof(type),                  \
  .name_offset = offsetof(type, name), .what = #field, .index = &names->field##s

bool config_read_site(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field) {
  const struct config_names *names = reader->context;
  const struct referred sites = {REFERRED(site, struct config_site), .is_label = true};
  return read_reference(reader, row, node, field, &sites);
}

bool config_read_monitor(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field) {
  const struct config_names *names = reader->context;
  const struct referred monitors = {REFERRED(monitor, struct config_monitor), .is_label = true};
  return read_reference(reader, row, node, field, &monitors);
}

bool config_read_key(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                     void *field) {
  const struct config_names *names = reader->context;
  const struct referred keys = {REFERRED(key, struct config_key)};
  return read_reference(reader, row, node, field, &keys);
}

bool config_read_zone(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field) {
  const struct config_names *names = reader->context;
  const struct referred zones = {REFERRED(zone, struct config_zone)};
  return read_reference(reader, row, node, field, &zones);
}

bool config_read_access(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  const struct config_names *names = reader->context;
  const struct referred accesses = {.what = "snmp access",
                                    .index = &names->snmp,
                                    .is_label = true,
                                    .items = names->config->snmp,
                                    .count = names->config->snmp_count,
                                    .item_size = sizeof(struct config_snmp_access),
                                    .name_offset = offsetof(struct config_snmp_access, name)};
  return read_reference(reader, row, node, field, &accesses);
}

bool config_read_source(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  const struct config_names *names = reader->context;
  const struct referred sources = {REFERRED(source, struct config_source), .is_label = true};
  return read_reference(reader, row, node, field, &sources);
}

bool config_read_load(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field) {
  struct config_names *names = reader->context;
  struct config_service *service = field;
  const struct referred loads = {REFERRED(load, struct config_load), .is_label = true};
  if (node->kind != DOCUMENT_MAP)
    return read_reference(reader, row, node, &service->load, &loads);
  struct config_own_load *own = arena_alloc(reader->arena, sizeof *own);
  schema_load_inner(reader, &config_own_load_map, node, &own->load);
  own->load.name = service->name;
  own->next = names->own_loads;
  names->own_loads = own;
  service->load = (uint32_t)(names->config->load_count + names->own_load_count++);
  return true;
}

/* Values that may be left empty, or have a part that may be left out */

bool config_read_optional_text(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field) {
  const char **out = field;
  if (!expect_scalar(reader, row, node))
    return false;
  if (strlen(node->text) > OPTIONAL_TEXT_MOST) {
    schema_problem(reader, node, "%s has %zu bytes; at most %u are allowed", row->key, strlen(node->text),
                   OPTIONAL_TEXT_MOST);
    return false;
  }
  for (const char *at = node->text; *at; at++)
    if ((unsigned char)*at < ' ' || *at == 0x7f) {
      schema_problem(reader, node, "%s contains a control character", row->key);
      return false;
    }
  *out = *node->text ? arena_strdup(reader->arena, node->text) : NULL;
  return true;
}

bool config_read_name_server(struct schema_reader *reader, const struct schema_row *row,
                             const struct document_node *node, void *field) {
  struct addr *out = field;
  if (!expect_scalar(reader, row, node))
    return false;
  enum status status = addr_parse(node->text, out);
  if (status == STATUS_OK)
    out->port = PORT_DNS;
  else
    status = addr_parse_port(node->text, out);
  if (status == STATUS_OK)
    return true;
  char quoted[SCALAR_QUOTED_SIZE];
  scalar_quote(node->text, quoted);
  if (status == STATUS_RANGE)
    schema_problem(reader, node, "\"%s\" has a port outside 1 to 65535", quoted);
  else
    schema_problem(reader, node, "\"%s\" is not an IP address with a port or without, such as 192.0.2.1 or ::1@5300",
                   quoted);
  return false;
}

bool config_read_alpn(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field) {
  static const char *const protocols[] = {"h2", "http/1.1", "h3", "dot", "doq"};
  const char **out = field;
  if (!expect_scalar(reader, row, node))
    return false;
  for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
    if (strcmp(node->text, protocols[i]) == 0) {
      *out = protocols[i];
      return true;
    }
  char quoted[SCALAR_QUOTED_SIZE];
  schema_problem(reader, node, "%s \"%s\" is none of h2, http/1.1, h3, dot, doq", row->key,
                 scalar_quote(node->text, quoted));
  return false;
}

bool config_read_include(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field) {
  (void)reader, (void)row, (void)node, (void)field;
  return true;
}

bool config_read_directory(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                           void *field) {
  (void)reader, (void)row, (void)node, (void)field;
  return true;
}
