#include "zones/tables/record.h"

#include <string.h>

#include "zones/message/query.h"
#include "zones/message/wire.h"

enum { PARAM_ALPN = 1, PARAM_PORT = 3, PARAM_IPV4HINT = 4, PARAM_IPV6HINT = 6 }; /* RFC 9460 section 14.3.2 */

#define RECORD_DATA_MOST 2048u

/* A record being put together; its data stays below RECORD_DATA_MOST by the limits of the configuration. */
struct draft {
  uint8_t bytes[RECORD_HEAD_SIZE + RECORD_DATA_MOST];
  struct writer writer;
};

static void open_draft(struct draft *draft, uint16_t type, uint32_t ttl_s) {
  draft->writer = (struct writer){.base = draft->bytes, .limit = sizeof draft->bytes};
  writer_u16(&draft->writer, 0xc000 | WIRE_HEADER_SIZE);
  writer_u16(&draft->writer, type);
  writer_u16(&draft->writer, CLASS_IN);
  writer_u32(&draft->writer, ttl_s);
  writer_u16(&draft->writer, 0);
}

static struct table_row close_draft(struct draft *draft, struct arena *arena, size_t target_at) {
  if (draft->writer.failed)
    return (struct table_row){0};
  wire_set_u16(draft->bytes + RECORD_HEAD_SIZE - 2, (uint16_t)(draft->writer.used - RECORD_HEAD_SIZE));
  return (struct table_row){.records = arena_copy(arena, draft->bytes, draft->writer.used),
                            .size = (uint16_t)draft->writer.used,
                            .count = 1,
                            .target_at = (uint16_t)target_at};
}

/* <member>.<service>, or the name that the member was given; false when that is no valid name. */
static bool target_name(const struct config_service *service, const struct config_member *member, struct name *out) {
  char text[CONFIG_MEMBER_NAME_MOST + 1 + 256 + 1];
  if (member->target)
    return name_from_text(member->target, out) == STATUS_OK;
  if (service->name[0] == '*' || strchr(member->name, '.') ||
      strlen(member->name) + strlen(service->name) + 2 > sizeof text)
    return false;
  char *end = stpcpy(text, member->name);
  *end++ = '.';
  strcpy(end, service->name);
  return name_from_text(text, out) == STATUS_OK;
}

/* The order of `first` is an order of preference. */
static uint16_t preference(const struct config_service *service, size_t member) {
  size_t value = service->srv_priority + service->members[member].tier + (service->method == METHOD_FIRST ? member : 0);
  return value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
}

struct table_row record_addresses(struct arena *arena, const struct config_member *member, uint8_t family,
                                  uint32_t ttl_s, const bool *is_held) {
  struct draft draft;
  struct table_row row = {0};
  size_t count = 0;
  for (size_t i = 0; i < member->address_count; i++)
    count += member->addresses[i].family == family && is_held[i];
  if (count == 0)
    return row;
  uint8_t *records = arena_alloc(arena, count * (RECORD_HEAD_SIZE + (family == 4 ? 4u : 16u)));
  row.records = records;
  for (size_t i = 0; i < member->address_count; i++) {
    const struct addr *addr = &member->addresses[i];
    if (addr->family != family || !is_held[i])
      continue;
    open_draft(&draft, family == 4 ? TYPE_A : TYPE_AAAA, ttl_s);
    writer_bytes(&draft.writer, addr->bytes, addr_length(addr));
    wire_set_u16(draft.bytes + RECORD_HEAD_SIZE - 2, (uint16_t)addr_length(addr));
    memcpy(records + row.size, draft.bytes, draft.writer.used);
    row.size = (uint16_t)(row.size + draft.writer.used);
    row.count++;
  }
  return row;
}

struct table_row record_srv(struct arena *arena, const struct config_service *service, size_t index, uint32_t weight,
                            uint32_t ttl_s) {
  const struct config_member *member = &service->members[index];
  struct draft draft;
  struct name target;
  if (!service->srv || !member->srv_port || !target_name(service, member, &target))
    return (struct table_row){0};
  open_draft(&draft, TYPE_SRV, ttl_s);
  writer_u16(&draft.writer, preference(service, index));
  writer_u16(&draft.writer, weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight);
  writer_u16(&draft.writer, member->srv_port);
  size_t target_at = draft.writer.used;
  writer_bytes(&draft.writer, target.wire, target.size);
  return close_draft(&draft, arena, target_at);
}

static void put_alpn(struct writer *writer, const char *const *alpn) {
  if (!alpn || !alpn[0])
    return;
  size_t size = 0;
  for (size_t i = 0; alpn[i]; i++)
    size += 1 + strlen(alpn[i]);
  writer_u16(writer, PARAM_ALPN);
  writer_u16(writer, (uint16_t)size);
  for (size_t i = 0; alpn[i]; i++) {
    uint8_t length = (uint8_t)strlen(alpn[i]);
    writer_bytes(writer, &length, 1);
    writer_bytes(writer, alpn[i], length);
  }
}

static void put_hints(struct writer *writer, const struct config_member *member, uint8_t family, const bool *is_held) {
  size_t count = 0;
  for (size_t i = 0; i < member->address_count; i++)
    count += member->addresses[i].family == family && is_held[i];
  if (!count)
    return;
  writer_u16(writer, family == 4 ? PARAM_IPV4HINT : PARAM_IPV6HINT);
  writer_u16(writer, (uint16_t)(count * (family == 4 ? 4 : 16)));
  for (size_t i = 0; i < member->address_count; i++)
    if (member->addresses[i].family == family && is_held[i])
      writer_bytes(writer, member->addresses[i].bytes, addr_length(&member->addresses[i]));
}

struct table_row record_binding(struct arena *arena, const struct config_service *service, size_t index, uint16_t type,
                                uint32_t ttl_s, const bool *is_held) {
  const struct config_member *member = &service->members[index];
  const struct config_binding *binding = type == TYPE_HTTPS ? &service->https : &service->svcb;
  struct draft draft;
  struct name target;
  if (!binding->is_given)
    return (struct table_row){0};
  if (!target_name(service, member, &target)) /* below a wildcard members have no names: the owner stands in */
    target = (struct name){.size = 1};
  open_draft(&draft, type, ttl_s);
  writer_u16(&draft.writer, 1);
  size_t target_at = draft.writer.used;
  writer_bytes(&draft.writer, target.wire, target.size);
  put_alpn(&draft.writer, binding->alpn);
  uint16_t port = binding->port ? binding->port : member->srv_port;
  if (port) {
    writer_u16(&draft.writer, PARAM_PORT);
    writer_u16(&draft.writer, 2);
    writer_u16(&draft.writer, port);
  }
  put_hints(&draft.writer, member, 4, is_held);
  put_hints(&draft.writer, member, 6, is_held);
  return close_draft(&draft, arena, target.size > 1 ? target_at : 0);
}

struct table_row record_mx(struct arena *arena, const struct config_service *service, size_t index, uint32_t ttl_s) {
  struct draft draft;
  struct name target;
  if (service->answer != ANSWER_MX || !target_name(service, &service->members[index], &target))
    return (struct table_row){0};
  open_draft(&draft, TYPE_MX, ttl_s);
  writer_u16(&draft.writer, preference(service, index));
  size_t target_at = draft.writer.used;
  writer_bytes(&draft.writer, target.wire, target.size);
  return close_draft(&draft, arena, target_at);
}

struct table_row record_cname(struct arena *arena, const struct config_service *service, size_t index, uint32_t ttl_s) {
  const struct config_member *member = &service->members[index];
  struct draft draft;
  struct name target;
  if (service->answer != ANSWER_CNAME || !target_name(service, member, &target))
    return (struct table_row){0};
  open_draft(&draft, TYPE_CNAME, ttl_s);
  writer_bytes(&draft.writer, target.wire, target.size);
  return close_draft(&draft, arena, 0);
}
