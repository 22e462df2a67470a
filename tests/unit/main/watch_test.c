#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "gslb/main/watch.h"

static struct board *board; /* pages that are never touched cost nothing */
static struct watch watch;

static int set_up(void **state) {
  (void)state;
  board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  watch_reset(&watch);
  return board == MAP_FAILED;
}

static int tear_down(void **state) {
  (void)state;
  return munmap(board, sizeof *board);
}

static size_t look(bool first, bool second) {
  const bool is_waiting[] = {first, second};
  return watch_look(&watch, board, is_waiting, 2);
}

static void worker_with_waiting_data_and_no_turn_stands_still(void **state) {
  (void)state;
  assert_true(look(false, true) == WATCH_ALL_MOVE);
  assert_int_equal(look(false, true), 1);
}

static void one_look_proves_nothing_even_with_turns_at_zero(void **state) {
  (void)state;
  assert_true(look(true, true) == WATCH_ALL_MOVE);
}

static void worker_that_turns_moves_though_data_wait(void **state) {
  (void)state;
  look(true, true);
  board->workers[0].turns = 1;
  board->workers[1].turns = 1;
  assert_true(look(true, true) == WATCH_ALL_MOVE);
}

static void idle_worker_does_not_stand_still(void **state) {
  (void)state;
  look(false, false);
  assert_true(look(false, false) == WATCH_ALL_MOVE);
}

static void data_that_came_only_now_do_not_accuse(void **state) {
  (void)state;
  look(false, false);
  assert_true(look(true, false) == WATCH_ALL_MOVE);
  board->workers[0].turns = 1;
  assert_true(look(true, false) == WATCH_ALL_MOVE);
  assert_int_equal(look(true, false), 0);
}

static void reset_forgets_the_last_look(void **state) {
  (void)state;
  look(true, true);
  watch_reset(&watch);
  assert_true(look(true, true) == WATCH_ALL_MOVE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(worker_with_waiting_data_and_no_turn_stands_still, set_up, tear_down),
      cmocka_unit_test_setup_teardown(one_look_proves_nothing_even_with_turns_at_zero, set_up, tear_down),
      cmocka_unit_test_setup_teardown(worker_that_turns_moves_though_data_wait, set_up, tear_down),
      cmocka_unit_test_setup_teardown(idle_worker_does_not_stand_still, set_up, tear_down),
      cmocka_unit_test_setup_teardown(data_that_came_only_now_do_not_accuse, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reset_forgets_the_last_look, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
