#include "gslb/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *status_name(enum status status) {
  static const char *const names[] = {
      [STATUS_OK] = "ok",
      [STATUS_NODATA] = "nodata",
      [STATUS_NOTFOUND] = "not-found",
      [STATUS_INVALID] = "invalid",
      [STATUS_RANGE] = "out-of-range",
      [STATUS_CONFLICT] = "conflict",
      [STATUS_FORBIDDEN] = "forbidden",
      [STATUS_LIMIT] = "limit",
      [STATUS_TIMEOUT] = "timeout",
      [STATUS_IO] = "io",
      [STATUS_VERSION] = "version",
  };
  if ((size_t)status >= sizeof names / sizeof names[0])
    return "unknown";
  return names[status];
}

enum status errbuf_set(struct errbuf *err, enum status status, const char *format, ...) {
  if (err) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
  }
  return status;
}

enum status errbuf_prefix(struct errbuf *err, enum status status, const char *format, ...) {
  if (err) {
    struct errbuf old = *err;
    va_list args;
    va_start(args, format);
    int written = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (used < sizeof err->text) {
      size_t room = sizeof err->text - used - 1;
      size_t length = strnlen(old.text, room);
      memcpy(err->text + used, old.text, length);
      err->text[used + length] = '\0';
    }
  }
  return status;
}
