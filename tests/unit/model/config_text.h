/* tests/unit/model/config_text.h
 * Texts of configurations and what is reported for them, for the tests of gslb/model/config. */
#ifndef TESTS_CONFIG_TEXT_H
#define TESTS_CONFIG_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/model/config.h"

static inline struct config *parse(const char *text) {
  struct problems problems = {0};
  struct config *config = config_parse("/etc/gslb/gslb.yaml", text, strlen(text), &problems);
  char *report = problems_format(&problems);
  if (!config)
    print_error("%s", report);
  assert_non_null(config);
  free(report);
  problems_release(&problems);
  return config;
}

/* All that is wrong with text, with the file's name left out. */
static inline char *report_of(const char *text) {
  struct problems problems = {0};
  assert_null(config_parse("F", text, strlen(text), &problems));
  assert_true(problems.count > 0);
  char *report = problems_format(&problems);
  problems_release(&problems);
  return report;
}

static inline void assert_only(const char *text, const char *wanted) {
  char *report = report_of(text);
  assert_string_equal(report, wanted);
  free(report);
}

static inline void assert_reports(const char *text, const char *wanted) {
  char *report = report_of(text);
  if (!strstr(report, wanted))
    print_error("wanted: %s\ngot: %s", wanted, report);
  assert_non_null(strstr(report, wanted));
  free(report);
}

#endif
