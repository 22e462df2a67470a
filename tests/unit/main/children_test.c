#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/main/children.h"

static struct process serving(int64_t started_ms, unsigned deaths) {
  struct process process;
  process_init(&process, BOARD_PROBE, started_ms);
  process.state = PROCESS_SERVING;
  process.pid = 4242;
  process.started_ms = started_ms;
  process.due_ms = PROCESS_NEVER;
  process.deaths = deaths;
  return process;
}

static void backoff_is_none_at_first_then_doubles_to_five_seconds(void **state) {
  (void)state;
  static const int64_t expected[] = {0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
  for (unsigned deaths = 0; deaths < sizeof expected / sizeof expected[0]; deaths++)
    assert_int_equal(process_backoff_ms(deaths), expected[deaths]);
  assert_int_equal(process_backoff_ms(UINT32_MAX), 5000);
}

static void process_is_due_at_once_when_new(void **state) {
  (void)state;
  struct process process;
  process_init(&process, BOARD_DNS, 1000);
  assert_int_equal(process.state, PROCESS_ABSENT);
  assert_int_equal(process.due_ms, 1000);
}

static void process_restarts_at_once_after_its_first_death(void **state) {
  (void)state;
  struct process process = serving(1000, 0);
  process_reaped(&process, SIGKILL, 1500);
  assert_int_equal(process.state, PROCESS_ABSENT);
  assert_int_equal(process.pid, 0);
  assert_int_equal(process.due_ms, 1500);
  assert_int_equal(process.deaths, 1);
}

static void process_waits_longer_with_each_quick_death(void **state) {
  (void)state;
  struct process process = serving(1000, 3);
  process_reaped(&process, W_EXITCODE(1, 0), 1500);
  assert_int_equal(process.due_ms, 1500 + 400);
}

static void process_that_lived_a_minute_is_forgiven(void **state) {
  (void)state;
  struct process process = serving(1000, 7);
  process_reaped(&process, SIGSEGV, 61000);
  assert_int_equal(process.deaths, 1);
  assert_int_equal(process.due_ms, 61000);
}

static void process_that_was_told_to_stop_did_not_die(void **state) {
  (void)state;
  struct process process = serving(1000, 0);
  process_stop(&process, 2000);
  assert_int_equal(process.state, PROCESS_STOPPING);
  process_reaped(&process, 0, 2100);
  assert_int_equal(process.deaths, 0);
  assert_int_equal(process.due_ms, 2100);
}

static void process_that_ignores_stop_is_overdue_after_five_seconds(void **state) {
  (void)state;
  struct process process = serving(1000, 0);
  process_stop(&process, 2000);
  assert_false(process_is_overdue(&process, 6999));
  assert_true(process_is_overdue(&process, 7000));
}

static void process_that_left_has_five_seconds_more(void **state) {
  (void)state;
  struct process process = serving(1000, 0);
  process_leave(&process, 60000, 2000);
  assert_false(process_is_overdue(&process, 66999));
  process_left(&process, 3000);
  assert_false(process_is_overdue(&process, 7999));
  assert_true(process_is_overdue(&process, 8000));
}

/* There until it is killed, and then until it is waited for. */
static pid_t start_sleeper(void) {
  pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  assert_true(pid > 0);
  return pid;
}

static void process_that_was_killed_and_is_not_gone_is_overdue_after_a_second(void **state) {
  (void)state;
  struct process process = serving(1000, 0);
  process.pid = start_sleeper();
  pid_t pid = process.pid;
  process_kill(&process, 2000);
  assert_true(process.is_killed);
  assert_int_equal(process.state, PROCESS_ENDING);
  assert_false(process_is_overdue(&process, 2999));
  assert_true(process_is_overdue(&process, 3000));
  process_await(&process);
  assert_false(process_is_overdue(&process, INT64_MAX - 1));
  process_stop(&process, 5000); /* which does not ask it a second time */
  assert_true(process_is_overdue(&process, 6000));
  process_abandon(&process, 6000);
  assert_int_equal(process.state, PROCESS_ABSENT);
  assert_false(process.is_killed);
  assert_int_equal(process.deaths, 0);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void process_that_owes_taken_is_overdue_when_its_time_is_over(void **state) {
  (void)state;
  struct process process = serving(1000, 0);
  assert_false(process_is_overdue(&process, INT64_MAX - 1));
  process.taking_until_ms = 5000;
  assert_false(process_is_overdue(&process, 4999));
  assert_true(process_is_overdue(&process, 5000));
}

static void stopping_an_absent_process_keeps_it_absent(void **state) {
  (void)state;
  struct process process;
  process_init(&process, BOARD_EXEC, 1000);
  process_stop(&process, 2000);
  assert_int_equal(process.state, PROCESS_ABSENT);
  assert_true(process.due_ms == PROCESS_NEVER);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(backoff_is_none_at_first_then_doubles_to_five_seconds),
      cmocka_unit_test(process_is_due_at_once_when_new),
      cmocka_unit_test(process_restarts_at_once_after_its_first_death),
      cmocka_unit_test(process_waits_longer_with_each_quick_death),
      cmocka_unit_test(process_that_lived_a_minute_is_forgiven),
      cmocka_unit_test(process_that_was_told_to_stop_did_not_die),
      cmocka_unit_test(process_that_ignores_stop_is_overdue_after_five_seconds),
      cmocka_unit_test(process_that_left_has_five_seconds_more),
      cmocka_unit_test(process_that_was_killed_and_is_not_gone_is_overdue_after_a_second),
      cmocka_unit_test(process_that_owes_taken_is_overdue_when_its_time_is_over),
      cmocka_unit_test(stopping_an_absent_process_keeps_it_absent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
