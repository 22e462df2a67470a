#include "zones/records/line.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "zones/message/query.h"

#define NAME_MOST 200u     /* bytes of a name as written; with longer ones the bounds are told elsewhere */
#define TTL_DIGITS_MOST 9u /* below RDATA_PERIOD_MOST, whatever they are */
#define ADDRESS_TEXT_SIZE 46u

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r';
}

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

/* What may stand in a label and means itself. */
static bool is_plain(char byte) {
  char lower = byte | 0x20;
  return (lower >= 'a' && lower <= 'z') || is_digit(byte) || byte == '-' || byte == '_' || byte == '*';
}

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && is_blank(*at))
    at++;
  return at;
}

static bool ends_word(const char *at, const char *end) {
  return at == end || is_blank(*at) || *at == '\n' || *at == ';';
}

/* A name in its own case; returns where it ends, NULL for what is to be read elsewhere. */
static const char *read_name(const char *at, const char *end, const struct name *origin, struct name *out) {
  size_t length_at = 0, used = 1;
  for (; at < end && used < NAME_MOST; at++) {
    if (is_plain(*at)) {
      out->wire[used++] = (uint8_t)*at;
    } else if (*at == '.') {
      if (used - length_at == 1 || used - length_at - 1 > NAME_LABEL_MOST)
        return NULL;
      out->wire[length_at] = (uint8_t)(used - length_at - 1);
      length_at = used++;
    } else {
      break;
    }
  }
  size_t last = used - length_at - 1;
  if (used == 1 || used >= NAME_MOST || last > NAME_LABEL_MOST)
    return NULL;
  out->wire[length_at] = (uint8_t)last;
  if (last) {
    if (used + origin->size > NAME_SIZE_MOST)
      return NULL;
    memcpy(out->wire + used, origin->wire, origin->size);
    used += origin->size;
  }
  out->size = (uint8_t)used;
  return at;
}

static const char *read_owner(const char *at, const char *end, const struct name *origin, const struct name *previous,
                              struct line *out) {
  if (is_blank(*at)) {
    out->owner.size = previous->size;
    memcpy(out->owner.wire, previous->wire, previous->size);
    if (!previous->size)
      return NULL;
  } else if (*at == '@') {
    out->owner.size = origin->size;
    memcpy(out->owner.wire, origin->wire, origin->size);
    at++;
  } else {
    at = read_name(at, end, origin, &out->owner);
  }
  if (!at || at == end || !is_blank(*at))
    return NULL;
  out->owner_hash = name_lower_copy(out->owner.wire, out->owner.wire, out->owner.size);
  return skip_blanks(at, end);
}

static const char *read_ttl(const char *at, const char *end, struct line *out) {
  const char *start = at;
  out->ttl_s = 0;
  for (; at < end && is_digit(*at) && at - start < (ptrdiff_t)TTL_DIGITS_MOST; at++)
    out->ttl_s = out->ttl_s * 10 + (uint32_t)(*at - '0');
  out->has_ttl = true;
  return at;
}

/* TTL and class, in any order. */
static const char *read_prefix(const char *at, const char *end, struct line *out) {
  bool has_class = false;
  out->has_ttl = false;
  for (;;) {
    if (!out->has_ttl && at < end && is_digit(*at)) {
      at = read_ttl(at, end, out);
    } else if (!has_class && end - at > 2 && strncasecmp(at, "IN", 2) == 0) {
      at += 2;
      has_class = true;
    } else {
      return at;
    }
    if (at == end || !is_blank(*at))
      return NULL;
    at = skip_blanks(at, end);
  }
}

static const char *read_type(const char *at, const char *end, struct line *out) {
  static const struct {
    const char *name;
    size_t size;
    uint16_t type;
  } types[] = {{"A", 1, TYPE_A},
               {"AAAA", 4, TYPE_AAAA},
               {"CNAME", 5, TYPE_CNAME},
               {"NS", 2, TYPE_NS},
               {"PTR", 3, TYPE_PTR}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    size_t size = types[i].size;
    if ((size_t)(end - at) <= size || !is_blank(at[size]) || strncasecmp(at, types[i].name, size) != 0)
      continue;
    out->type = types[i].type;
    return skip_blanks(at + size, end);
  }
  return NULL;
}

/* Four decimals without leading zeros, as inet_pton wants them. */
static const char *read_ipv4(const char *at, const char *end, struct rdata *out) {
  out->size = 4;
  for (size_t i = 0; i < 4; i++) {
    unsigned value = 0;
    const char *start = at;
    if (i && (at == end || *at++ != '.'))
      return NULL;
    for (start = at; at < end && is_digit(*at) && at - start < 3; at++)
      value = value * 10 + (unsigned)(*at - '0');
    if (at == start || value > 255 || (*start == '0' && at - start > 1))
      return NULL;
    out->bytes[i] = (uint8_t)value;
  }
  return at;
}

static const char *read_ipv6(const char *at, const char *end, struct rdata *out) {
  char text[ADDRESS_TEXT_SIZE];
  size_t size = 0;
  for (; !ends_word(at, end); at++) {
    if (size == sizeof text - 1 || !*at)
      return NULL;
    text[size++] = *at;
  }
  text[size] = '\0';
  out->size = 16;
  return inet_pton(AF_INET6, text, out->bytes) == 1 ? at : NULL;
}

static const char *read_target(const char *at, const char *end, const struct name *origin, struct rdata *out) {
  struct name name;
  at = read_name(at, end, origin, &name);
  if (!at)
    return NULL;
  out->size = name.size;
  memcpy(out->bytes, name.wire, name.size);
  out->name_count = 1;
  out->name_at[0] = 0;
  return at;
}

static const char *read_data(const char *at, const char *end, const struct name *origin, struct line *out) {
  out->data.name_count = 0;
  if (out->type == TYPE_A)
    return read_ipv4(at, end, &out->data);
  if (out->type == TYPE_AAAA)
    return read_ipv6(at, end, &out->data);
  return read_target(at, end, origin, &out->data);
}

bool line_read(struct entry *entry, const struct name *origin, const struct name *previous, struct line *out) {
  const char *at = entry->next, *end = entry->end;
  if (at == end)
    return false;
  at = read_owner(at, end, origin, previous, out);
  if (at)
    at = read_prefix(at, end, out);
  if (at)
    at = read_type(at, end, out);
  if (at)
    at = read_data(at, end, origin, out);
  if (!at || !ends_word(at, end))
    return false;
  at = skip_blanks(at, end);
  if (at < end && *at == ';') {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    at = newline ? newline : end;
  }
  if (at < end && *at != '\n')
    return false;
  out->number = entry->next_line;
  entry->next_line += at < end;
  entry->next = at + (at < end);
  return true;
}
