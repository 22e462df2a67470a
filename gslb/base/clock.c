#include "gslb/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_us(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct house house_start(int64_t newest_stored_ms) {
  int64_t boot_ms = read_us(CLOCK_BOOTTIME) / 1000;
  int64_t wall_ms = read_us(CLOCK_REALTIME) / 1000;
  int64_t now_ms = wall_ms > newest_stored_ms ? wall_ms : newest_stored_ms;
  return (struct house){.offset_ms = now_ms - boot_ms};
}

int64_t house_now_ms(const struct house *house) {
  return read_us(CLOCK_BOOTTIME) / 1000 + house->offset_ms;
}

int64_t mono_now_ms(void) {
  return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t mono_now_us(void) {
  return read_us(CLOCK_MONOTONIC);
}

void clock_format_utc(int64_t unix_ms, char *text, unsigned size) {
  time_t seconds = (time_t)(unix_ms / 1000);
  struct tm calendar;
  gmtime_r(&seconds, &calendar);
  char stamp[32];
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &calendar);
  snprintf(text, size, "%s.%03dZ", stamp, (int)(unix_ms % 1000));
}

int64_t clock_parse_utc(const char *text) {
  struct tm calendar = {0};
  const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &calendar) : NULL;
  if (!rest)
    return 0;
  int64_t ms = 0;
  if (*rest == '.') {
    int64_t unit = 100;
    for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
      ms += (*rest - '0') * unit;
  }
  return strcmp(rest, "Z") == 0 ? (int64_t)timegm(&calendar) * 1000 + ms : 0;
}
