#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes/sources/exposition.h"

struct seen {
  char text[4096];
  size_t count;
  double last;
};

static void note(void *context, const struct exposition_sample *sample) {
  struct seen *seen = context;
  char *at = seen->text + strlen(seen->text);
  at += sprintf(at, "%s", sample->name);
  for (size_t i = 0; i < sample->label_count; i++)
    at += sprintf(at, "|%s=%s", sample->labels[i].name, sample->labels[i].value);
  sprintf(at, " %g;", sample->value);
  seen->count++;
  seen->last = sample->value;
}

static enum status parse(const char *text, struct seen *seen, struct errbuf *err) {
  *seen = (struct seen){0};
  *err = (struct errbuf){0};
  return exposition_parse(text, strlen(text), note, seen, err);
}

static void assert_reads(const char *text, const char *expected) {
  struct seen seen;
  struct errbuf err;
  if (parse(text, &seen, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  assert_string_equal(seen.text, expected);
}

static void assert_refused(const char *text, const char *why) {
  struct seen seen;
  struct errbuf err;
  assert_int_equal(parse(text, &seen, &err), STATUS_INVALID);
  assert_string_equal(err.text, why);
}

static void samples_with_and_without_labels_are_read(void **state) {
  (void)state;
  assert_reads("# HELP http_requests_total The total.\n"
               "# TYPE http_requests_total counter\n"
               "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n"
               "http_requests_total{method=\"post\",code=\"400\",}    3 1395066363000\n"
               "\n"
               "metric_without_timestamp_and_labels 12.47\n"
               "something_weird{problem=\"division by zero\"} 1.5 -3982045\n"
               "rule:up 1\r\n"
               "  indented { a = \"1\" , b= \"2\" }\t7\n",
               "http_requests_total|method=post|code=200 1027;http_requests_total|method=post|code=400 3;"
               "metric_without_timestamp_and_labels 12.47;something_weird|problem=division by zero 1.5;rule:up 1;"
               "indented|a=1|b=2 7;");
}

static void escapes_are_resolved(void **state) {
  (void)state;
  assert_reads("m{path=\"C:\\\\DIR\\\\F.TXT\",error=\"no \\\"F\\\"\\nat \\all, }\"} 1.458e9\n",
               "m|path=C:\\DIR\\F.TXT|error=no \"F\"\nat \\all, } 1.458e+09;");
}

static void numbers_of_go_are_read(void **state) {
  (void)state;
  struct seen seen;
  struct errbuf err;
  assert_int_equal(parse("a +Inf\n", &seen, &err), STATUS_OK);
  assert_true(isinf(seen.last) && seen.last > 0);
  assert_int_equal(parse("a -Inf\n", &seen, &err), STATUS_OK);
  assert_true(isinf(seen.last) && seen.last < 0);
  assert_int_equal(parse("a NaN\n", &seen, &err), STATUS_OK);
  assert_true(isnan(seen.last));
  assert_reads("a -0.5\n", "a -0.5;");
}

static void what_is_no_exposition_is_refused_with_its_line(void **state) {
  (void)state;
  assert_refused("a 1\nb", "line 2 breaks off");
  assert_refused("a 1\n<html>\n", "line 2: it begins with no name");
  assert_refused("a\n", "line 1: it has no value");
  assert_refused("a b\n", "line 1: its value is no number");
  assert_refused("a 1 2 3\nb 1 x\n", "line 2: what follows the value is no time");
  assert_refused("a-b 1\n", "line 1: its name has a character that is not allowed");
  assert_refused("a{b=1} 1\n", "line 1: a label has no value in quotes");
  assert_refused("a{b=\"1} 1\n", "line 1: a label has no value in quotes");
  assert_refused("a{b=\"1\" c=\"2\"} 1\n", "line 1: labels are not parted by commas");
  assert_refused("a{=\"1\"} 1\n", "line 1: a label has no name");
  assert_refused("a{ 1\n", "line 1: a label has no name");
  assert_refused("a{b=\"1\"}\n", "line 1: its value is no number");
  struct seen seen = {0};
  struct errbuf err = {0};
  assert_int_equal(exposition_parse("a 1\0\n", 5, note, &seen, &err), STATUS_INVALID);
  assert_string_equal(err.text, "line 1 holds a NUL");
}

static void lines_and_labels_are_bounded(void **state) {
  (void)state;
  struct seen seen;
  struct errbuf err;
  char *text = malloc(EXPOSITION_LINE_MOST + 64);
  memset(text, 'a', EXPOSITION_LINE_MOST);
  strcpy(text + EXPOSITION_LINE_MOST, " 1\n");
  assert_int_equal(parse(text, &seen, &err), STATUS_INVALID);
  text[0] = '#';
  assert_int_equal(parse(text, &seen, &err), STATUS_OK);
  size_t used = (size_t)sprintf(text, "m{");
  for (unsigned i = 0; i <= EXPOSITION_LABELS_MOST; i++)
    used += (size_t)sprintf(text + used, "l%u=\"\",", i);
  strcpy(text + used, "} 1\n");
  assert_int_equal(parse(text, &seen, &err), STATUS_INVALID);
  assert_string_equal(err.text, "line 1: there are too many labels");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_with_and_without_labels_are_read),
      cmocka_unit_test(escapes_are_resolved),
      cmocka_unit_test(numbers_of_go_are_read),
      cmocka_unit_test(what_is_no_exposition_is_refused_with_its_line),
      cmocka_unit_test(lines_and_labels_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
