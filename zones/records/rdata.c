#include "zones/records/rdata.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ldns/ldns.h>

/* Decimal digits only, at most most. */
static enum status parse_number(const char *text, uint64_t most, uint64_t *out) {
  uint64_t value = 0;
  if (!*text)
    return STATUS_INVALID;
  for (; *text; text++) {
    if (*text < '0' || *text > '9')
      return STATUS_INVALID;
    value = value * 10 + (uint64_t)(*text - '0');
    if (value > most)
      return STATUS_RANGE;
  }
  *out = value;
  return STATUS_OK;
}

uint16_t rdata_type_parse(const char *text) {
  uint64_t type;
  if (strncasecmp(text, "TYPE", 4) == 0) {
    if (parse_number(text + 4, UINT16_MAX, &type) != STATUS_OK)
      return 0;
  } else {
    type = (uint64_t)ldns_get_rr_type_by_name(text);
  }
  bool is_meta = type == LDNS_RR_TYPE_OPT || (type >= 128 && type <= 255);
  return is_meta || type > UINT16_MAX ? 0 : (uint16_t)type;
}

const char *rdata_type_name(uint16_t type, char text[RDATA_TYPE_TEXT_SIZE]) {
  const ldns_rr_descriptor *descriptor = ldns_rr_descript(type);
  if (descriptor && descriptor->_type == (ldns_rr_type)type && descriptor->_name)
    snprintf(text, RDATA_TYPE_TEXT_SIZE, "%s", descriptor->_name);
  else
    snprintf(text, RDATA_TYPE_TEXT_SIZE, "TYPE%u", type);
  return text;
}

bool rdata_class_parse(const char *text, uint16_t *out) {
  uint64_t value;
  if (strncasecmp(text, "CLASS", 5) == 0) {
    if (parse_number(text + 5, UINT16_MAX, &value) != STATUS_OK)
      return false;
    *out = (uint16_t)value;
    return true;
  }
  static const struct {
    const char *name;
    uint16_t value;
  } classes[] = {{"IN", 1}, {"CS", 2}, {"CH", 3}, {"HS", 4}};
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    if (strcasecmp(text, classes[i].name) == 0) {
      *out = classes[i].value;
      return true;
    }
  return false;
}

static uint64_t unit_seconds(char unit) {
  switch (unit) {
  case 's':
  case 'S':
    return 1;
  case 'm':
  case 'M':
    return 60;
  case 'h':
  case 'H':
    return 3600;
  case 'd':
  case 'D':
    return 86400;
  case 'w':
  case 'W':
    return 604800;
  default:
    return 0;
  }
}

enum status rdata_period_parse(const char *text, uint32_t *out) {
  uint64_t total = 0;
  if (!*text)
    return STATUS_INVALID;
  while (*text) {
    uint64_t value = 0;
    if (*text < '0' || *text > '9')
      return STATUS_INVALID;
    for (; *text >= '0' && *text <= '9'; text++)
      if (value <= RDATA_PERIOD_MOST)
        value = value * 10 + (uint64_t)(*text - '0');
    uint64_t unit = *text ? unit_seconds(*text++) : 1;
    if (!unit)
      return STATUS_INVALID;
    if (total <= RDATA_PERIOD_MOST)
      total += value * unit;
  }
  if (total > RDATA_PERIOD_MOST)
    return STATUS_RANGE;
  *out = (uint32_t)total;
  return STATUS_OK;
}

static bool append(struct rdata *out, const void *data, size_t size) {
  if (size > RDATA_SIZE_MOST - out->size)
    return false;
  if (size)
    memcpy(out->bytes + out->size, data, size);
  out->size = (uint16_t)(out->size + size);
  return true;
}

static bool append_number(struct rdata *out, const char *text, unsigned width) {
  uint64_t value;
  if (parse_number(text, ((uint64_t)1 << (8 * width)) - 1, &value) != STATUS_OK)
    return false;
  uint8_t bytes[8];
  for (unsigned i = 0; i < width; i++)
    bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
  return append(out, bytes, width);
}

static bool append_period(struct rdata *out, const char *text) {
  uint32_t seconds;
  if (rdata_period_parse(text, &seconds) != STATUS_OK)
    return false;
  const uint8_t bytes[4] = {(uint8_t)(seconds >> 24), (uint8_t)(seconds >> 16), (uint8_t)(seconds >> 8),
                            (uint8_t)seconds};
  return append(out, bytes, sizeof bytes);
}

static bool append_by_ldns(struct rdata *out, ldns_rdf_type field, const char *text) {
  errno = 0; /* ldns looks at it without setting it first */
  ldns_rdf *rdf = ldns_rdf_new_frm_str(field, text);
  if (!rdf)
    return false;
  bool fits = append(out, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
  ldns_rdf_deep_free(rdf);
  return fits;
}

static bool append_name(struct rdata *out, const char *text, size_t size, const struct name *origin) {
  size_t start = out->size;
  if (out->name_count < RDATA_NAMES_MOST)
    out->name_at[out->name_count++] = out->size;
  if (strcmp(text, "@") == 0)
    return append(out, origin->wire, origin->size);
  if (!append_by_ldns(out, LDNS_RDF_TYPE_DNAME, text))
    return false;
  if (text[size - 1] == '.') /* escaped dots read \046 here */
    return true;
  out->size--; /* the origin takes the place of the root */
  return append(out, origin->wire, origin->size) && out->size - start <= NAME_SIZE_MOST;
}

static const char *field_meaning(ldns_rdf_type field) {
  switch (field) {
  case LDNS_RDF_TYPE_DNAME:
    return "a domain name";
  case LDNS_RDF_TYPE_INT8:
    return "a number from 0 to 255";
  case LDNS_RDF_TYPE_INT16:
    return "a number from 0 to 65535";
  case LDNS_RDF_TYPE_INT32:
    return "a number from 0 to 4294967295";
  case LDNS_RDF_TYPE_PERIOD:
    return "a period of at most 2147483647 seconds";
  case LDNS_RDF_TYPE_A:
    return "an IPv4 address";
  case LDNS_RDF_TYPE_AAAA:
    return "an IPv6 address";
  case LDNS_RDF_TYPE_STR:
    return "a string of at most 255 bytes";
  case LDNS_RDF_TYPE_B64:
    return "base64";
  case LDNS_RDF_TYPE_HEX:
    return "hexadecimal";
  case LDNS_RDF_TYPE_NSEC:
    return "a list of types";
  case LDNS_RDF_TYPE_TIME:
    return "a time (YYYYMMDDHHMMSS)";
  default:
    return "what stands in this place";
  }
}

/* Whether such a field, when it is the last, takes all the tokens that are left. */
static bool takes_rest(ldns_rdf_type field) {
  switch (field) {
  case LDNS_RDF_TYPE_B64:
  case LDNS_RDF_TYPE_HEX:
  case LDNS_RDF_TYPE_NSEC:
  case LDNS_RDF_TYPE_LOC:
  case LDNS_RDF_TYPE_WKS:
  case LDNS_RDF_TYPE_IPSECKEY:
  case LDNS_RDF_TYPE_AMTRELAY:
  case LDNS_RDF_TYPE_SVCPARAMS:
    return true;
  default:
    return false;
  }
}

/* Makes one text of count tokens, a blank between each. */
static void join(struct entry *entry, size_t first, size_t count) {
  for (size_t i = first + 1; i < first + count; i++)
    entry->text[entry->tokens[i].at - 1] = ' ';
}

static bool are_types(const struct entry *entry, size_t first) {
  for (size_t i = first; i < entry->token_count; i++)
    if (!rdata_type_parse(entry_text(entry, i)))
      return false;
  return true;
}

/* One field from the token at *at on; moves *at behind it. */
static bool append_field(struct rdata *out, ldns_rdf_type field, bool is_last, struct entry *entry, size_t *at,
                         const struct name *origin) {
  size_t first = *at;
  size_t left = entry->token_count - first;
  size_t count = 1;
  if (field == LDNS_RDF_TYPE_HIP)
    count = left < 3 ? left : 3;
  else if (is_last && takes_rest(field))
    count = left;
  if (field == LDNS_RDF_TYPE_NSEC && !are_types(entry, first))
    return false;
  join(entry, first, count);
  *at = first + count;
  const char *text = entry_text(entry, first);
  switch (field) {
  case LDNS_RDF_TYPE_DNAME:
    return append_name(out, text, entry->tokens[first].size, origin);
  case LDNS_RDF_TYPE_INT8:
    return append_number(out, text, 1);
  case LDNS_RDF_TYPE_INT16:
    return append_number(out, text, 2);
  case LDNS_RDF_TYPE_INT32:
    return append_number(out, text, 4);
  case LDNS_RDF_TYPE_PERIOD:
    return append_period(out, text);
  default:
    return append_by_ldns(out, field, text);
  }
}

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  if (digit >= 'a' && digit <= 'f')
    return digit - 'a' + 10;
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* NULL: the bytes are no data of the type. ldns_rr_free it. */
static ldns_rr *decode(uint16_t type, const ldns_rr_descriptor *descriptor, const uint8_t *bytes, size_t size) {
  uint8_t *sized = malloc(size + 2u);
  ldns_rr *record = sized ? ldns_rr_new() : NULL;
  if (!record)
    goto out;
  sized[0] = (uint8_t)(size >> 8);
  sized[1] = (uint8_t)size;
  memcpy(sized + 2, bytes, size);
  ldns_rr_set_type(record, (ldns_rr_type)type);
  size_t at = 0;
  if (ldns_wire2rdf(record, sized, size + 2u, &at) != LDNS_STATUS_OK || at != size + 2u ||
      ldns_rr_rd_count(record) < ldns_rr_descriptor_minimum(descriptor)) {
    ldns_rr_free(record);
    record = NULL;
  }
out:
  free(sized);
  return record;
}

/* Data of a type that ldns knows must be well-formed; finds the names in it. */
static bool check_generic(uint16_t type, const ldns_rr_descriptor *descriptor, struct rdata *out) {
  ldns_rr *record = decode(type, descriptor, out->bytes, out->size);
  size_t total = 0;
  for (size_t i = 0; record && i < ldns_rr_rd_count(record); i++) {
    const ldns_rdf *rdf = ldns_rr_rdf(record, i);
    if (ldns_rdf_get_type(rdf) == LDNS_RDF_TYPE_DNAME && out->name_count < RDATA_NAMES_MOST)
      out->name_at[out->name_count++] = (uint16_t)total;
    total += ldns_rdf_size(rdf);
  }
  bool is_sound = record && total == out->size; /* differs when a name was compressed, which only messages may have */
  ldns_rr_free(record);
  return is_sound;
}

/* "\# LENGTH HEX..." (RFC 3597 section 5). */
static enum status parse_generic(uint16_t type, const ldns_rr_descriptor *descriptor, const struct entry *entry,
                                 size_t first, struct rdata *out, struct errbuf *err) {
  uint64_t size;
  if (first + 1 >= entry->token_count ||
      parse_number(entry_text(entry, first + 1), RDATA_SIZE_MOST, &size) != STATUS_OK)
    return errbuf_set(err, STATUS_INVALID, "\\# wants the data's length, 0 to 65535");
  size_t digits = 0;
  for (size_t i = first + 2; i < entry->token_count; i++)
    for (const char *at = entry_text(entry, i); *at; at++, digits++) {
      int digit = hex_digit(*at);
      if (digit < 0 || digits / 2 >= size)
        return errbuf_set(err, STATUS_INVALID, "\\# %u wants just that many bytes in hexadecimal", (unsigned)size);
      uint8_t *byte = &out->bytes[digits / 2];
      *byte = digits % 2 ? (uint8_t)(*byte | digit) : (uint8_t)(digit << 4);
    }
  if (digits != 2 * size)
    return errbuf_set(err, STATUS_INVALID, "\\# %u wants just that many bytes in hexadecimal", (unsigned)size);
  out->size = (uint16_t)size;
  char name[RDATA_TYPE_TEXT_SIZE];
  if (descriptor && !check_generic(type, descriptor, out))
    return errbuf_set(err, STATUS_INVALID, "these bytes are no %s data", rdata_type_name(type, name));
  return STATUS_OK;
}

/* NULL for a type whose form ldns does not know. */
static const ldns_rr_descriptor *find_descriptor(uint16_t type) {
  const ldns_rr_descriptor *descriptor = ldns_rr_descript(type);
  bool is_known = descriptor && descriptor->_type == (ldns_rr_type)type && descriptor->_name &&
                  (descriptor->_maximum == 0 || descriptor->_wireformat[0] != LDNS_RDF_TYPE_UNKNOWN);
  return is_known ? descriptor : NULL;
}

enum status rdata_parse(uint16_t type, struct entry *entry, size_t first, const struct name *origin, struct rdata *out,
                        struct errbuf *err) {
  const ldns_rr_descriptor *descriptor = find_descriptor(type);
  char name[RDATA_TYPE_TEXT_SIZE];
  out->size = 0;
  out->name_count = 0;
  if (first < entry->token_count && !entry->tokens[first].is_quoted && strcmp(entry_text(entry, first), "\\#") == 0)
    return parse_generic(type, descriptor, entry, first, out, err);
  if (!descriptor)
    return errbuf_set(err, STATUS_INVALID, "%s data must be written as \\# LENGTH HEX", rdata_type_name(type, name));
  size_t most = ldns_rr_descriptor_maximum(descriptor);
  size_t at = first;
  size_t field = 0;
  for (; at < entry->token_count && field < most; field++) {
    ldns_rdf_type kind = ldns_rr_descriptor_field_type(descriptor, field);
    size_t token = at;
    if (!append_field(out, kind, field == most - 1, entry, &at, origin))
      return errbuf_set(err, STATUS_INVALID, "%s data: \"%.80s\" is not %s", rdata_type_name(type, name),
                        entry_text(entry, token), field_meaning(kind));
  }
  if (field < ldns_rr_descriptor_minimum(descriptor))
    return errbuf_set(err, STATUS_INVALID, "%s data: incomplete", rdata_type_name(type, name));
  if (at < entry->token_count)
    return errbuf_set(err, STATUS_INVALID, "%s data: \"%.80s\" is too much", rdata_type_name(type, name),
                      entry_text(entry, at));
  return STATUS_OK;
}

/* Fields apart by a blank; false when one has no text. */
static bool print_fields(FILE *out, const ldns_rr *record) {
  for (size_t i = 0; i < ldns_rr_rd_count(record); i++) {
    char *field = ldns_rdf2str(ldns_rr_rdf(record, i));
    if (!field)
      return false;
    fprintf(out, "%s%s", i ? " " : "", field);
    free(field);
  }
  return true;
}

char *rdata_format(uint16_t type, const uint8_t *bytes, size_t size) {
  const ldns_rr_descriptor *descriptor = find_descriptor(type);
  ldns_rr *record = descriptor && size <= RDATA_SIZE_MOST ? decode(type, descriptor, bytes, size) : NULL;
  char *text = NULL;
  size_t length = 0;
  FILE *out = record ? open_memstream(&text, &length) : NULL;
  if (out) {
    bool is_whole = print_fields(out, record);
    if (fclose(out) != 0 || !is_whole || !length) {
      free(text);
      text = NULL;
    }
  }
  ldns_rr_free(record);
  return text;
}
