/* gslb/base/status.h
 * The one dialect for failures that come from input or environment: a closed enum for the program and a text for the
 * person. A broken invariant is an assert; memory that runs out aborts in gslb/base/memory. Any thread. */
#ifndef GSLB_BASE_STATUS_H
#define GSLB_BASE_STATUS_H

#include <stddef.h>

enum status {
  STATUS_OK = 0,
  STATUS_NODATA,    /* nothing there, and that is no fault */
  STATUS_NOTFOUND,  /* what was named does not exist */
  STATUS_INVALID,   /* input that cannot be understood or contradicts itself */
  STATUS_RANGE,     /* understood, and outside its bounds */
  STATUS_CONFLICT,  /* clashes with what exists */
  STATUS_FORBIDDEN, /* the caller may not */
  STATUS_LIMIT,     /* a configured or built-in bound is reached */
  STATUS_TIMEOUT,
  STATUS_IO,      /* the operating system or a library said no */
  STATUS_VERSION, /* written by another version of gslb */
};

const char *status_name(enum status status);
/* A lower-case word such as "conflict"; borrowed, for ever. */

struct errbuf {
  char text[2048];
};
/* Holds one message; each level on the way up may put its context before it. */

enum status errbuf_set(struct errbuf *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Replaces the text (cut at the size of the buffer) and returns status, so that a failure is one line. err may be
 * NULL. */

enum status errbuf_prefix(struct errbuf *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts the formatted text before what is there and returns status. err may be NULL. */

#endif
