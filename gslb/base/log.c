#include "gslb/base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
  char process[16];
  enum log_level least;
  bool json;
} settings = {"gslb", LOG_LEVEL_INFO, false};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(const char *process, enum log_level least, bool json) {
  snprintf(settings.process, sizeof settings.process, "%s", process);
  settings.least = least;
  settings.json = json;
}

static size_t quote_json(char *out, size_t size, const char *text) {
  size_t used = 0;
  for (const unsigned char *at = (const unsigned char *)text; *at && used + 7 < size; at++) {
    if (*at == '"' || *at == '\\') {
      out[used++] = '\\';
      out[used++] = (char)*at;
    } else if (*at < 0x20) {
      used += (size_t)snprintf(out + used, size - used, "\\u%04x", *at);
    } else {
      out[used++] = (char)*at;
    }
  }
  out[used] = '\0';
  return used;
}

void log_write(enum log_level level, const char *format, ...) {
  if (level > settings.least)
    return;
  char message[2600];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);

  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct tm calendar;
  gmtime_r(&now.tv_sec, &calendar);
  char stamp[32];
  size_t used = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &calendar);
  snprintf(stamp + used, sizeof stamp - used, ".%03ldZ", now.tv_nsec / 1000000);

  char line[6000];
  int length;
  if (settings.json) {
    char quoted[5400];
    quote_json(quoted, sizeof quoted, message);
    length = snprintf(line, sizeof line, "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"message\":\"%s\"}\n",
                      stamp, level_names[level], settings.process, quoted);
  } else {
    for (char *at = message; *at; at++)
      if (*at == '\n')
        *at = ' ';
    length = snprintf(line, sizeof line, "%s %-7s %s: %s\n", stamp, level_names[level], settings.process, message);
  }
  /* stderr that cannot be written to leaves nowhere to say so */
  ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
  (void)ignored;
}
