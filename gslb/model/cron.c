#include "gslb/model/cron.h"

#include <string.h>
#include <time.h>

#define MINUTE_S 60
#define DAY_S 86400
#define DAYS_MOST (9 * 366) /* 29 February may be eight years away */

static const struct {
  const char *name;
  unsigned least, most;
} fields[] = {{"minute", 0, 59}, {"hour", 0, 23}, {"day", 1, 31}, {"month", 1, 12}, {"weekday", 0, 7}};
#define FIELDS (sizeof fields / sizeof fields[0])

/* One or two digits at *at, which moves behind them. */
static bool read_number(const char **at, unsigned *out) {
  size_t digits = strspn(*at, "0123456789");
  if (digits < 1 || digits > 2)
    return false;
  *out = 0;
  for (; digits; digits--, (*at)++)
    *out = *out * 10 + (unsigned)(**at - '0');
  return true;
}

/* "*", "5", "1-5", each with "/2" or without; adds what it names. */
static bool read_part(const char **at, unsigned least, unsigned most, uint64_t *set) {
  unsigned first = least, last = most, step = 1;
  if (**at == '*') {
    (*at)++;
  } else {
    if (!read_number(at, &first))
      return false;
    last = first;
    if (**at == '-') {
      (*at)++;
      if (!read_number(at, &last))
        return false;
    } else if (**at == '/') {
      last = most;
    }
  }
  if (**at == '/') {
    (*at)++;
    if (!read_number(at, &step))
      return false;
  }
  if (first < least || last > most || first > last || step < 1)
    return false;
  for (; first <= last; first += step)
    *set |= UINT64_C(1) << first;
  return true;
}

static bool read_field(const char **at, size_t field, uint64_t *set) {
  *set = 0;
  for (;; (*at)++) {
    if (!read_part(at, fields[field].least, fields[field].most, set))
      return false;
    if (**at != ',')
      break;
  }
  return **at == '\0' || **at == ' ';
}

enum status cron_parse(const char *text, struct cron *out, struct errbuf *err) {
  uint64_t sets[FIELDS];
  bool is_star[FIELDS];
  const char *at = text + strspn(text, " ");
  for (size_t i = 0; i < FIELDS; i++) {
    if (!*at)
      return errbuf_set(err, STATUS_INVALID, "has %zu fields; it needs five: minute hour day month weekday", i);
    is_star[i] = *at == '*';
    if (!read_field(&at, i, &sets[i]))
      return errbuf_set(err, STATUS_INVALID, "has a wrong %s: numbers from %u to %u, such as 5, 1-5, */10 or 1,15",
                        fields[i].name, fields[i].least, fields[i].most);
    at += strspn(at, " ");
  }
  if (*at)
    return errbuf_set(err, STATUS_INVALID, "has more than five fields: minute hour day month weekday");
  struct cron cron = {
      .minutes = sets[0],
      .hours = (uint32_t)sets[1],
      .days = (uint32_t)sets[2],
      .months = (uint32_t)sets[3],
      .weekdays = (uint32_t)(sets[4] | sets[4] >> 7) & 0x7f,
      .is_either_day = !is_star[2] && !is_star[4],
  };
  if (cron_next_s(&cron, 0) == CRON_NEVER)
    return errbuf_set(err, STATUS_INVALID, "is a time that never comes");
  *out = cron;
  return STATUS_OK;
}

static bool has_day(const struct cron *cron, const struct tm *time) {
  bool is_day = cron->days >> time->tm_mday & 1u, is_weekday = cron->weekdays >> time->tm_wday & 1u;
  bool fits = cron->is_either_day ? is_day || is_weekday : is_day && is_weekday;
  return fits && (cron->months >> (time->tm_mon + 1) & 1u);
}

int64_t cron_next_s(const struct cron *cron, int64_t after_s) {
  int64_t at_s = (after_s / MINUTE_S + 1) * MINUTE_S;
  for (int64_t end_s = at_s + (int64_t)DAYS_MOST * DAY_S; at_s < end_s;) {
    time_t seconds = (time_t)at_s;
    struct tm time;
    gmtime_r(&seconds, &time);
    if (!has_day(cron, &time)) {
      at_s = (at_s / DAY_S + 1) * DAY_S;
      continue;
    }
    if ((cron->hours >> time.tm_hour & 1u) && (cron->minutes >> time.tm_min & 1u))
      return at_s;
    at_s += MINUTE_S;
  }
  return CRON_NEVER;
}
