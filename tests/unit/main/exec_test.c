#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/main/exec.h"

static size_t count_of(char **environment) {
  size_t count = 0;
  while (environment[count])
    count++;
  return count;
}

static void environment_begins_with_a_fixed_path(void **state) {
  (void)state;
  char **environment = exec_environment("", 0);
  assert_int_equal(count_of(environment), 1);
  assert_int_equal(strncmp(environment[0], "PATH=/usr/local/sbin:", 21), 0);
  free(environment);
}

static void environment_holds_the_strings_of_the_message(void **state) {
  (void)state;
  static const char text[] = "GSLB_SERVICE=www.example.com\0GSLB_REASON=time-out = late\0GSLB_FROM=";
  char **environment = exec_environment(text, sizeof text);
  assert_int_equal(count_of(environment), 4);
  assert_string_equal(environment[1], "GSLB_SERVICE=www.example.com");
  assert_string_equal(environment[2], "GSLB_REASON=time-out = late");
  assert_string_equal(environment[3], "GSLB_FROM=");
  free(environment);
}

static void environment_leaves_out_what_could_steer_the_loader_or_is_no_variable(void **state) {
  (void)state;
  static const char text[] = "LD_PRELOAD=/tmp/x.so\0PATH=/tmp\0GSLB_=1\0GSLB_small=1\0GSLB_A\0GSLB_a B=1\0\0GSLB_OK=1";
  char **environment = exec_environment(text, sizeof text);
  assert_int_equal(count_of(environment), 2);
  assert_string_equal(environment[1], "GSLB_OK=1");
  free(environment);
}

static void environment_leaves_out_a_string_without_its_end(void **state) {
  (void)state;
  static const char text[] = {'G', 'S', 'L', 'B', '_', 'A', '=', '1', '\0', 'G', 'S', 'L', 'B', '_', 'B', '=', '2'};
  char **environment = exec_environment(text, sizeof text);
  assert_int_equal(count_of(environment), 2);
  assert_string_equal(environment[1], "GSLB_A=1");
  free(environment);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(environment_begins_with_a_fixed_path),
      cmocka_unit_test(environment_holds_the_strings_of_the_message),
      cmocka_unit_test(environment_leaves_out_what_could_steer_the_loader_or_is_no_variable),
      cmocka_unit_test(environment_leaves_out_a_string_without_its_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
