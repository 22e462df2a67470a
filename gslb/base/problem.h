/* gslb/base/problem.h
 * What is wrong with files that a person wrote: a list, so that one run tells all. Owned by the caller, one thread. */
#ifndef GSLB_BASE_PROBLEM_H
#define GSLB_BASE_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

struct problem {
  char *file;
  int line;   /* from 1; 0 when the whole file is meant */
  int column; /* from 1; 0 when unknown */
  char *text;
};

struct problems {
  struct problem *items;
  size_t count;
  size_t capacity;
};
/* Zero-initialised is empty and ready. At most 1,000 are kept; the last one then says so. */

void problem_add(struct problems *problems, const char *file, int line, int column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Copies everything. */

void problems_sort(struct problems *problems);
/* By file in order of first mention, then line and column. */

char *problems_format(const struct problems *problems);
/* One line each, "file:line:column: text\n" with the unknown parts left out; free() it. */

void problems_release(struct problems *problems);

#endif
