#include "zones/records/expand.h"

#include <string.h>

#include "zones/message/wire.h"

/* Where names stand in the data: n a name, s a character string, a digit so many bytes; then whatever is left. */
static const struct {
  uint16_t type;
  const char *form;
} forms[] = {
    {2, "n"},    /* NS */
    {3, "n"},    /* MD */
    {4, "n"},    /* MF */
    {5, "n"},    /* CNAME */
    {6, "nn"},   /* SOA */
    {7, "n"},    /* MB */
    {8, "n"},    /* MG */
    {9, "n"},    /* MR */
    {12, "n"},   /* PTR */
    {14, "nn"},  /* MINFO */
    {15, "2n"},  /* MX */
    {17, "nn"},  /* RP */
    {18, "2n"},  /* AFSDB */
    {21, "2n"},  /* RT */
    {24, "99n"}, /* SIG */
    {26, "2nn"}, /* PX */
    {30, "n"},   /* NXT */
    {33, "6n"},  /* SRV */
    {35, "4sssn"} /* NAPTR */,
    {36, "2n"},  /* KX */
    {39, "n"},   /* DNAME */
    {46, "99n"}, /* RRSIG */
    {47, "n"},   /* NSEC */
};

static const char *find_form(uint16_t type) {
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    if (forms[i].type == type)
      return forms[i].form;
  return "";
}

static bool append(struct rdata *out, const uint8_t *data, size_t size) {
  if (size > RDATA_SIZE_MOST - out->size)
    return false;
  if (size)
    memcpy(out->bytes + out->size, data, size);
  out->size = (uint16_t)(out->size + size);
  return true;
}

static bool append_name(const uint8_t *message, size_t end, size_t *at, struct rdata *out) {
  struct name name;
  if (!wire_expand_name(message, end, at, &name))
    return false;
  if (out->name_count < RDATA_NAMES_MOST)
    out->name_at[out->name_count++] = out->size;
  return append(out, name.wire, name.size);
}

/* The data that stand from at to end. */
static bool expand_data(const uint8_t *message, size_t at, size_t end, const char *form, struct rdata *out) {
  out->size = 0;
  out->name_count = 0;
  for (; *form; form++) {
    if (*form == 'n') {
      if (!append_name(message, end, &at, out))
        return false;
      continue;
    }
    if (at >= end)
      return false;
    size_t taken = *form == 's' ? message[at] + 1u : (size_t)(*form - '0');
    if (end - at < taken || !append(out, message + at, taken))
      return false;
    at += taken;
  }
  return append(out, message + at, end - at);
}

bool expand_record(const uint8_t *message, size_t size, size_t *at, struct expanded *out) {
  if (!wire_expand_name(message, size, at, &out->owner))
    return false;
  for (size_t i = 0; i < out->owner.size; i++)
    out->owner.wire[i] = name_lower(out->owner.wire[i]);
  struct reader reader = reader_of(message + *at, size - *at);
  out->type = reader_u16(&reader);
  out->class = reader_u16(&reader);
  uint32_t ttl_s = reader_u32(&reader);
  uint16_t length = reader_u16(&reader);
  const uint8_t *data = reader_take(&reader, length);
  if (!data)
    return false;
  out->ttl_s = ttl_s > RDATA_PERIOD_MOST ? 0 : ttl_s;
  size_t start = (size_t)(data - message);
  *at = start + length;
  return expand_data(message, start, *at, find_form(out->type), &out->data);
}
