#include "gslb/model/scalar.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

static const struct {
  const char *name;
  int64_t milliseconds;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

#define UNIT_COUNT (sizeof units / sizeof units[0])

/* Stops at INT64_MAX. */
static int64_t read_digits(const char *digits, size_t count) {
  int64_t value = 0;
  for (size_t i = 0; i < count; i++)
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digits[i] - '0', &value))
      return INT64_MAX;
  return value;
}

enum status scalar_number(const char *text, int64_t *out) {
  bool is_negative = *text == '-';
  const char *digits = text + is_negative;
  size_t count = strspn(digits, DIGITS);
  /* a leading zero means octal to some readers of YAML and nothing to others */
  if (count == 0 || digits[count] || (count > 1 && digits[0] == '0'))
    return STATUS_INVALID;
  int64_t value = read_digits(digits, count);
  *out = is_negative ? -value : value;
  return STATUS_OK;
}

enum status scalar_decimal(const char *text, double *out) {
  const char *at = text + (*text == '-');
  size_t whole = strspn(at, DIGITS);
  at += whole;
  size_t part = 0;
  if (*at == '.') {
    part = strspn(at + 1, DIGITS);
    at += 1 + part;
  }
  if (whole + part == 0 || *at || strlen(text) > 40)
    return STATUS_INVALID;
  *out = strtod(text, NULL);
  return STATUS_OK;
}

enum status scalar_duration(const char *text, int64_t *milliseconds, struct errbuf *err) {
  size_t count = strspn(text, DIGITS);
  if (count == 0 || count > 40)
    return errbuf_set(err, STATUS_INVALID, "is not a duration such as 500ms, 2s, 30m, 1h or 1d");
  if (!text[count])
    return errbuf_set(err, STATUS_INVALID, "has no unit; write %sms, %ss, %sm, %sh or %sd", text, text, text, text,
                      text);
  for (size_t i = 0; i < UNIT_COUNT; i++) {
    if (strcmp(text + count, units[i].name) != 0)
      continue;
    int64_t value;
    if (__builtin_mul_overflow(read_digits(text, count), units[i].milliseconds, &value))
      value = INT64_MAX;
    *milliseconds = value;
    return STATUS_OK;
  }
  if (text[count] == '.')
    return errbuf_set(err, STATUS_INVALID, "is not a whole number; write it in a smaller unit (ms, s, m, h, d)");
  return errbuf_set(err, STATUS_INVALID, "has an unknown unit; the units are ms, s, m, h and d");
}

const char *scalar_format_duration(int64_t milliseconds, char text[SCALAR_DURATION_SIZE]) {
  size_t unit = 0;
  while (milliseconds % units[unit].milliseconds != 0 || milliseconds < units[unit].milliseconds) {
    if (unit + 1 == UNIT_COUNT)
      break;
    unit++;
  }
  snprintf(text, SCALAR_DURATION_SIZE, "%lld%s", (long long)(milliseconds / units[unit].milliseconds),
           units[unit].name);
  return text;
}

const char *scalar_quote(const char *value, char text[SCALAR_QUOTED_SIZE]) {
  const size_t room = SCALAR_QUOTED_SIZE - sizeof "...";
  size_t length = strlen(value), shown = length < SCALAR_QUOTED_SIZE ? length : room;
  /* no character of several bytes is cut in two */
  while (shown < length && shown > 0 && ((unsigned char)value[shown] & 0xc0) == 0x80)
    shown--;
  for (size_t i = 0; i < shown; i++)
    text[i] = (unsigned char)value[i] < ' ' || value[i] == 0x7f ? '?' : value[i];
  memcpy(text + shown, shown < length ? "..." : "", shown < length ? sizeof "..." : 1);
  return text;
}
