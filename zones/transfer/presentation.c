#include "zones/transfer/presentation.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "gslb/model/name.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/records/rdata.h"

/* The presentation form of common types: n a name, h and i numbers of 2 and 4 bytes, p a period, 4 and 6 an address,
 * s character strings to the end. All else goes out as RFC 3597 has it. */
static const struct {
  uint16_t type;
  const char *form;
} forms[] = {
    {TYPE_A, "4"},   {TYPE_NS, "n"},  {TYPE_CNAME, "n"}, {TYPE_SOA, "nnipppp"}, {TYPE_PTR, "n"},
    {TYPE_MX, "hn"}, {TYPE_TXT, "s"}, {TYPE_AAAA, "6"},  {TYPE_SRV, "hhhn"},    {TYPE_DNAME, "n"},
};

static void print_name(FILE *out, const uint8_t *wire) {
  char text[NAME_TEXT_SIZE];
  name_to_text(wire, text);
  fprintf(out, *wire ? "%s." : "%s", text);
}

static void print_string(FILE *out, const uint8_t *data, size_t size) {
  putc('"', out);
  for (size_t i = 0; i < size; i++)
    if (data[i] < ' ' || data[i] >= 0x7f || data[i] == '"' || data[i] == '\\')
      fprintf(out, "\\%03u", data[i]);
    else
      putc(data[i], out);
  putc('"', out);
}

/* One field off the data; false when it has no such form. */
static bool print_field(FILE *out, char form, struct reader *data) {
  char text[INET6_ADDRSTRLEN];
  const uint8_t *start = data->at;
  if (form == 'n') {
    reader_skip_name(data);
    if (!data->failed)
      print_name(out, start);
  } else if (form == 's') {
    uint8_t length = reader_u8(data);
    const uint8_t *string = reader_take(data, length);
    if (string)
      print_string(out, string, length);
  } else if (form == '4' || form == '6') {
    const uint8_t *address = reader_take(data, form == '4' ? 4 : 16);
    if (address)
      fputs(inet_ntop(form == '4' ? AF_INET : AF_INET6, address, text, sizeof text), out);
  } else {
    uint32_t value = form == 'h' ? reader_u16(data) : reader_u32(data);
    fprintf(out, "%" PRIu32, value);
    return !data->failed && (form != 'p' || value <= RDATA_PERIOD_MOST);
  }
  return !data->failed;
}

/* False when the data do not have the type's form; something may be printed then. */
static bool print_form(FILE *out, const char *form, const uint8_t *bytes, size_t size) {
  struct reader data = reader_of(bytes, size);
  const char *gap = "";
  do {
    fputs(gap, out);
    gap = " ";
    if (!print_field(out, *form, &data))
      return false;
    if (*form != 's')
      form++;
  } while (*form && !(*form == 's' && !reader_left(&data)));
  return reader_left(&data) == 0;
}

/* NULL: as RFC 3597 has it. free() it. */
static char *format_data(uint16_t type, const uint8_t *bytes, size_t size) {
  const char *form = NULL;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    if (forms[i].type == type)
      form = forms[i].form;
  char *text = NULL;
  size_t length = 0;
  FILE *out = form ? open_memstream(&text, &length) : NULL;
  if (!out)
    return NULL;
  bool is_sound = print_form(out, form, bytes, size);
  if (fclose(out) != 0 || !is_sound) {
    free(text);
    return NULL;
  }
  return text;
}

static void print_generic(FILE *out, const uint8_t *bytes, size_t size) {
  fprintf(out, "\\# %zu%s", size, size ? " " : "");
  for (size_t i = 0; i < size; i++)
    fprintf(out, "%02x", bytes[i]);
}

static void print_with(FILE *out, const struct transfer_record *record, char *data) {
  char type[RDATA_TYPE_TEXT_SIZE];
  print_name(out, record->owner);
  fprintf(out, " %" PRIu32 " IN %s ", record->ttl_s, rdata_type_name(record->type, type));
  if (data)
    fputs(data, out);
  else
    print_generic(out, record->data, record->size);
  free(data);
}

void presentation_print(FILE *out, const struct transfer_record *record) {
  print_with(out, record, format_data(record->type, record->data, record->size));
}

char *presentation_text(const struct transfer_record *record) {
  char *data = format_data(record->type, record->data, record->size);
  char *text = NULL;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  if (!out)
    abort(); /* out of memory, as in gslb/base/memory */
  print_with(out, record, data ? data : rdata_format(record->type, record->data, record->size));
  fclose(out);
  return text;
}
