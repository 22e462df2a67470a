#include "gslb/net/dns_reply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ares.h>
#include <arpa/nameser.h>

#define MESSAGE_MOST 65535u

struct reader { /* stays within [at, end); a failed read leaves is_bad set and gives zeroes */
  const uint8_t *message;
  size_t size; /* of the message */
  size_t at, end;
  bool is_bad;
};

static unsigned read_bytes(struct reader *reader, unsigned count) {
  if (reader->is_bad || reader->end - reader->at < count) {
    reader->is_bad = true;
    return 0;
  }
  unsigned value = 0;
  for (unsigned i = 0; i < count; i++)
    value = value << 8 | reader->message[reader->at++];
  return value;
}

static char *read_name(struct reader *reader) {
  /* free it with ares_free_string; NULL when it does not fit */
  char *name = NULL;
  long used = 0;
  if (reader->is_bad || reader->at >= reader->end ||
      ares_expand_name(reader->message + reader->at, reader->message, (int)reader->size, &name, &used) !=
          ARES_SUCCESS) {
    reader->is_bad = true;
    return NULL;
  }
  reader->at += (size_t)used;
  if (reader->at > reader->end) {
    ares_free_string(name);
    reader->is_bad = true;
    return NULL;
  }
  return name;
}

static void skip_name(struct reader *reader) {
  ares_free_string(read_name(reader));
}

/* Expected data is read word by word: *data moves behind the next word. */
static size_t next_word(const char **data, const char **word) {
  *data += strspn(*data, " \t");
  *word = *data;
  size_t length = strcspn(*data, " \t");
  *data += length;
  return length;
}

static bool name_matches(struct reader *reader, const char **data) {
  const char *word;
  size_t length = next_word(data, &word);
  if (length > 0 && word[length - 1] == '.')
    length--;
  char *name = read_name(reader);
  bool same = name && strlen(name) == length && strncasecmp(name, word, length) == 0;
  ares_free_string(name);
  return same;
}

static bool number_matches(struct reader *reader, unsigned size, const char **data) {
  const char *word;
  size_t length = next_word(data, &word);
  char text[16];
  int written = snprintf(text, sizeof text, "%u", read_bytes(reader, size));
  return !reader->is_bad && length == (size_t)written && memcmp(word, text, length) == 0;
}

static bool address_matches(struct reader *reader, uint8_t family, const char *data) {
  struct addr wanted;
  const char *word;
  char text[ADDR_TEXT_SIZE];
  size_t length = next_word(&data, &word);
  if (length >= sizeof text)
    return false;
  memcpy(text, word, length);
  text[length] = '\0';
  return addr_parse(text, &wanted) == STATUS_OK && wanted.family == family &&
         reader->end - reader->at == addr_length(&wanted) &&
         memcmp(reader->message + reader->at, wanted.bytes, addr_length(&wanted)) == 0;
}

static bool next_text_byte(const char **data, bool *is_quoted, uint8_t *byte) {
  const char *at = *data;
  while (*at == '"') {
    *is_quoted = !*is_quoted;
    at++;
    if (!*is_quoted)
      at += strspn(at, " \t"); /* what stands between strings is not of them */
  }
  if (!*at)
    return false;
  if (at[0] == '\\' && isdigit((unsigned char)at[1]) && isdigit((unsigned char)at[2]) &&
      isdigit((unsigned char)at[3])) {
    *byte = (uint8_t)((at[1] - '0') * 100 + (at[2] - '0') * 10 + (at[3] - '0'));
    at += 4;
  } else {
    if (at[0] == '\\' && at[1])
      at++;
    *byte = (uint8_t)*at++;
  }
  *data = at;
  return true;
}

static bool text_matches(struct reader *reader, const char *data) {
  bool is_quoted = false;
  uint8_t wanted;
  while (reader->at < reader->end) {
    unsigned length = read_bytes(reader, 1);
    for (unsigned i = 0; i < length; i++) {
      uint8_t byte = (uint8_t)read_bytes(reader, 1);
      if (reader->is_bad || !next_text_byte(&data, &is_quoted, &wanted) || wanted != byte)
        return false;
    }
  }
  return !next_text_byte(&data, &is_quoted, &wanted);
}

static bool hex_matches(struct reader *reader, const char *data) {
  const char *word;
  if (next_word(&data, &word) != 2 || memcmp(word, "\\#", 2) != 0)
    return false;
  char text[16];
  size_t length = next_word(&data, &word);
  int written = snprintf(text, sizeof text, "%zu", reader->end - reader->at);
  if (length != (size_t)written || memcmp(word, text, length) != 0)
    return false;
  while (reader->at < reader->end) {
    data += strspn(data, " \t");
    snprintf(text, sizeof text, "%02x", read_bytes(reader, 1));
    if (strncasecmp(data, text, 2) != 0)
      return false;
    data += 2;
  }
  return data[strspn(data, " \t")] == '\0';
}

static bool words_match(struct reader *reader, const char *form, const char *data) {
  /* form: n a name, 2 and 4 a number of so many bytes */
  for (; *form; form++) {
    bool same = *form == 'n' ? name_matches(reader, &data) : number_matches(reader, (unsigned)(*form - '0'), &data);
    if (!same)
      return false;
  }
  return reader->at == reader->end && data[strspn(data, " \t")] == '\0';
}

static bool data_matches(struct reader *reader, uint16_t type, const char *data) {
  switch (type) {
  case ns_t_a:
    return address_matches(reader, 4, data);
  case ns_t_aaaa:
    return address_matches(reader, 6, data);
  case ns_t_ns:
  case ns_t_cname:
  case ns_t_ptr:
  case ns_t_dname:
    return words_match(reader, "n", data);
  case ns_t_mx:
    return words_match(reader, "2n", data);
  case ns_t_srv:
    return words_match(reader, "222n", data);
  case ns_t_soa:
    return words_match(reader, "nn44444", data);
  case ns_t_txt:
    return text_matches(reader, data);
  default:
    return hex_matches(reader, data);
  }
}

enum status dns_reply_rcode(const uint8_t *bytes, size_t length, int *rcode) {
  if (length < NS_HFIXEDSZ || !(bytes[2] & 0x80))
    return STATUS_INVALID;
  *rcode = bytes[3] & 0x0f;
  return STATUS_OK;
}

struct record {
  char *owner; /* free it with ares_free_string; NULL when the message breaks off */
  unsigned type, class;
  struct reader data;
};

/* Moves behind the questions; returns the number of records in the answer section, and in all. */
static unsigned start_records(struct reader *reader, unsigned *all) {
  read_bytes(reader, 4);
  unsigned questions = read_bytes(reader, 2);
  unsigned answers = read_bytes(reader, 2);
  *all = answers + read_bytes(reader, 2);
  *all += read_bytes(reader, 2);
  for (unsigned i = 0; i < questions && !reader->is_bad; i++) {
    skip_name(reader);
    read_bytes(reader, 4);
  }
  return answers;
}

static bool read_record(struct reader *reader, struct record *record) {
  record->owner = read_name(reader);
  record->type = read_bytes(reader, 2);
  record->class = read_bytes(reader, 2);
  read_bytes(reader, 4);
  unsigned size = read_bytes(reader, 2);
  if (reader->is_bad || reader->end - reader->at < size) {
    ares_free_string(record->owner);
    reader->is_bad = true;
    return false;
  }
  record->data = *reader;
  record->data.end = reader->at + size;
  reader->at += size;
  return true;
}

bool dns_reply_has(const uint8_t *bytes, size_t length, uint16_t type, const char *data) {
  struct reader reader = {.message = bytes, .size = length, .end = length};
  struct record record;
  unsigned all;
  if (length > MESSAGE_MOST)
    return false;
  unsigned answers = start_records(&reader, &all);
  for (unsigned i = 0; i < answers && read_record(&reader, &record); i++) {
    ares_free_string(record.owner);
    if (record.type == type && record.class == ns_c_in && data_matches(&record.data, type, data))
      return true;
  }
  return false;
}

bool dns_reply_has_whole(const uint8_t *bytes, size_t length, uint16_t type, const char *const *data) {
  struct reader reader = {.message = bytes, .size = length, .end = length};
  struct record record;
  unsigned all;
  if (length > MESSAGE_MOST)
    return false;
  unsigned answers = start_records(&reader, &all);
  for (unsigned i = 0; i < answers; i++) {
    if (!read_record(&reader, &record))
      return false;
    ares_free_string(record.owner);
    if (record.type != type || record.class != ns_c_in)
      continue;
    bool is_wanted = false;
    for (const char *const *wanted = data; *wanted && !is_wanted; wanted++) {
      struct reader again = record.data;
      is_wanted = data_matches(&again, type, *wanted);
    }
    if (!is_wanted)
      return false;
  }
  for (const char *const *wanted = data; *wanted; wanted++)
    if (!dns_reply_has(bytes, length, type, *wanted))
      return false;
  return true;
}

enum status dns_reply_serial(const uint8_t *bytes, size_t length, uint32_t *serial) {
  struct reader reader = {.message = bytes, .size = length, .end = length};
  struct record record;
  unsigned all;
  if (length > MESSAGE_MOST)
    return STATUS_NODATA;
  unsigned answers = start_records(&reader, &all);
  for (unsigned i = 0; i < answers && read_record(&reader, &record); i++) {
    ares_free_string(record.owner);
    if (record.type != ns_t_soa || record.class != ns_c_in)
      continue;
    skip_name(&record.data);
    skip_name(&record.data);
    uint32_t read = read_bytes(&record.data, 4);
    if (record.data.is_bad)
      return STATUS_NODATA;
    *serial = read;
    return STATUS_OK;
  }
  return STATUS_NODATA;
}

bool dns_serial_is_older(uint32_t a, uint32_t b) {
  return a != b && (int32_t)(a - b) < 0;
}

enum status dns_reply_signed_until(const uint8_t *bytes, size_t length, uint16_t type, int64_t now_s,
                                   int64_t *until_s) {
  struct reader reader = {.message = bytes, .size = length, .end = length};
  struct record record;
  unsigned all;
  int64_t earliest = INT64_MAX;
  if (length > MESSAGE_MOST)
    return STATUS_NODATA;
  unsigned answers = start_records(&reader, &all);
  for (unsigned i = 0; i < answers && read_record(&reader, &record); i++) {
    ares_free_string(record.owner);
    if (record.type != ns_t_rrsig || record.class != ns_c_in)
      continue;
    unsigned covered = read_bytes(&record.data, 2);
    read_bytes(&record.data, 2); /* algorithm, labels */
    read_bytes(&record.data, 4); /* original TTL */
    uint32_t end = read_bytes(&record.data, 4);
    int64_t end_s = now_s + (int32_t)(end - (uint32_t)now_s);
    if (!record.data.is_bad && covered == type && end_s < earliest)
      earliest = end_s;
  }
  if (earliest == INT64_MAX)
    return STATUS_NODATA;
  *until_s = earliest;
  return STATUS_OK;
}

size_t dns_reply_addresses(const uint8_t *bytes, size_t length, const char *name, struct addr *out, size_t most) {
  struct reader reader = {.message = bytes, .size = length, .end = length};
  struct record record;
  unsigned all;
  size_t count = 0;
  if (length > MESSAGE_MOST)
    return 0;
  start_records(&reader, &all);
  for (unsigned i = 0; i < all && count < most && read_record(&reader, &record); i++) {
    struct addr addr = {.family = record.type == ns_t_a ? 4 : 6};
    bool is_address = record.class == ns_c_in && (record.type == ns_t_a || record.type == ns_t_aaaa) &&
                      record.data.end - record.data.at == addr_length(&addr) && strcasecmp(record.owner, name) == 0;
    ares_free_string(record.owner);
    if (!is_address)
      continue;
    memcpy(addr.bytes, bytes + record.data.at, addr_length(&addr));
    out[count++] = addr;
  }
  return count;
}

const char *dns_reply_rcode_text(int rcode, char text[16]) {
  static const char *const names[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
                                      "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE"};
  if (rcode >= 0 && (size_t)rcode < sizeof names / sizeof *names)
    return names[rcode];
  snprintf(text, 16, "RCODE%d", rcode);
  return text;
}
