/* gslb/base/clock.h
 * Time. Two scales, both in milliseconds unless the name says otherwise:
 *  - mono: since an arbitrary point, never steps; for time-outs and schedules within a process.
 *  - house: CLOCK_BOOTTIME plus an offset fixed at start so that it reads like Unix time; the scale of every stored
 *    time. A step of the wall clock does not move it, so it ends no lease.
 * Any thread. */
#ifndef GSLB_BASE_CLOCK_H
#define GSLB_BASE_CLOCK_H

#include <stdint.h>

struct house {
  int64_t offset_ms; /* house time minus boot time */
};

struct house house_start(int64_t newest_stored_ms);
/* The offset that makes house time read like the wall clock now, but never before newest_stored_ms (0 for none). */
int64_t house_now_ms(const struct house *house);

int64_t mono_now_ms(void);
int64_t mono_now_us(void);

void clock_format_utc(int64_t unix_ms, char *text, unsigned size);
/* RFC 3339 with milliseconds, "2026-11-21T13:30:00.123Z" (25 bytes with the end). */

int64_t clock_parse_utc(const char *text);
/* Unix time in milliseconds of what clock_format_utc writes, with any number of digits behind the second, or none; 0:
 * NULL, or something else. */

#endif
