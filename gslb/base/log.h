/* gslb/base/log.h
 * One line a message to stderr, as text or as JSON. Set up once by main before threads start; then any thread. A line
 * is written by one write(), so lines of several processes do not mix. Never called on the answer path. */
#ifndef GSLB_BASE_LOG_H
#define GSLB_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_setup(const char *process, enum log_level least, bool json);
/* process names the writer ("supervisor", "dns"); copied. Messages less severe than least are dropped. */

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
