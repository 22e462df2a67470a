#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probes/sources/agent_check.h"

static struct agent_check parse(const char *text) {
  struct agent_check check;
  struct errbuf err = {0};
  if (agent_check_parse(text, strlen(text), &check, &err) != STATUS_OK)
    fail_msg("%s: %s", text, err.text);
  return check;
}

static void assert_self(const char *text, enum health self, const char *reason) {
  struct agent_check check = parse(text);
  assert_true(check.has_self);
  assert_int_equal(check.self, self);
  assert_string_equal(check.self_reason, reason);
}

static void states_of_the_manual_are_known(void **state) {
  (void)state;
  assert_self("up\n", HEALTH_UP, "up");
  assert_self("ready\n", HEALTH_UP, "ready");
  assert_self("drain\n", HEALTH_DRAINING, "drain");
  assert_self("maint\n", HEALTH_DOWN, "maint");
  assert_self("down\n", HEALTH_DOWN, "down");
  assert_self("fail\n", HEALTH_DOWN, "fail");
  assert_self("stopped\r\n", HEALTH_DOWN, "stopped");
  assert_self("DOWN #disk is full, really\n", HEALTH_DOWN, "disk is full, really");
  assert_self("up drain", HEALTH_DRAINING, "drain");
}

static void weight_and_ceiling_are_numbers(void **state) {
  (void)state;
  struct agent_check check = parse("75% up maxconn:30\n");
  assert_true(check.weight_percent == 75 && check.connections_ceiling == 30);
  check = parse("0%\nup\n");
  assert_true(check.weight_percent == 0 && !check.has_self && check.connections_ceiling < 0);
  check = parse("\tup,MaxConn:0\n");
  assert_true(check.has_self && check.connections_ceiling == 0 && check.weight_percent < 0);
}

static void a_reason_is_text(void **state) {
  (void)state;
  assert_self("down #a\tb\x01\xff", HEALTH_DOWN, "a b ?");
  char line[600] = "down #";
  memset(line + 6, 'x', 500);
  struct agent_check check = parse(line);
  assert_int_equal(strlen(check.self_reason), sizeof check.self_reason - 1);
}

static void what_is_no_agent_check_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] =
      {"",      "\n",       "#why\n", "upp\n",      "HTTP/1.1 400 Bad Request\n", "%\n",
       "-1%\n", "10001%\n", "7 5%\n", "maxconn:\n", "maxconn:4294967296\n",       "1.5%\n"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct agent_check check;
    struct errbuf err = {0};
    assert_int_equal(agent_check_parse(wrong[i], strlen(wrong[i]), &check, &err), STATUS_INVALID);
    assert_true(err.text[0]);
  }
  char line[AGENT_CHECK_MOST + 8] = "up";
  memset(line + 2, ' ', sizeof line - 2);
  struct agent_check check;
  assert_int_equal(agent_check_parse(line, sizeof line, &check, NULL), STATUS_INVALID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(states_of_the_manual_are_known),
      cmocka_unit_test(weight_and_ceiling_are_numbers),
      cmocka_unit_test(a_reason_is_text),
      cmocka_unit_test(what_is_no_agent_check_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
