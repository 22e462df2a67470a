#include "gslb/model/board.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
  struct board *board;
  struct board_bell bell;
  int fd;
};

static int setup(void **state) {
  static struct fixture fixture;
  struct errbuf err;
  *state = &fixture;
  return board_create(&fixture.board, &fixture.bell, &fixture.fd, &err) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state) {
  struct fixture *fixture = *state;
  munmap(fixture->board, sizeof *fixture->board);
  close(fixture->fd);
  for (size_t i = 0; i < BOARD_EARS; i++)
    close(fixture->bell.ears[i]);
  return 0;
}

static bool rings(const struct fixture *fixture, enum board_ear ear) {
  struct pollfd one = {.fd = fixture->bell.ears[ear], .events = POLLIN};
  return poll(&one, 1, 0) == 1;
}

static void fresh_board_counts_nothing(void **state) {
  struct fixture *fixture = *state;
  for (int i = 0; i < BOARD_COUNTERS; i++)
    assert_true(board_total(fixture->board, (enum board_counter)i) == 0);
  assert_true(board_answers(fixture->board, BOARD_SLOTS - 1) == 0);
  assert_int_equal(fixture->board->size_of_head, offsetof(struct board, answers));
}

static void totals_are_sums_over_the_workers(void **state) {
  struct fixture *fixture = *state;
  board_use_workers(fixture->board, BOARD_WORKERS_MOST);
  board_count(&fixture->board->workers[0], BOARD_NXDOMAIN);
  board_count(&fixture->board->workers[BOARD_WORKERS_MOST - 1], BOARD_NXDOMAIN);
  assert_true(board_total(fixture->board, BOARD_NXDOMAIN) == 2);
  assert_true(board_total(fixture->board, BOARD_NOERROR) == 0);
  atomic_fetch_add(&fixture->board->answers[0][7], 3);
  atomic_fetch_add(&fixture->board->answers[5][7], 4);
  assert_true(board_answers(fixture->board, 7) == 7);
  assert_true(board_answers(fixture->board, BOARD_SLOTS) == 0);
}

static void counters_of_a_child_outlive_it(void **state) {
  struct fixture *fixture = *state;
  board_use_workers(fixture->board, 2);
  pid_t child = fork();
  if (child == 0) {
    board_count(&fixture->board->workers[1], BOARD_QUERIES_UDP);
    board_ring(fixture->board, &fixture->bell);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(board_total(fixture->board, BOARD_QUERIES_UDP) == 1);
  assert_true(rings(fixture, BOARD_EAR_CONTROL));
}

static void bell_wakes_every_ear_until_it_listened(void **state) {
  struct fixture *fixture = *state;
  assert_false(rings(fixture, BOARD_EAR_DNS));
  board_ring(fixture->board, &fixture->bell);
  board_ring(fixture->board, &fixture->bell);
  assert_true(rings(fixture, BOARD_EAR_DNS) && rings(fixture, BOARD_EAR_CONTROL));
  board_hear(&fixture->bell, BOARD_EAR_DNS);
  assert_false(rings(fixture, BOARD_EAR_DNS));
  assert_true(rings(fixture, BOARD_EAR_CONTROL));
  assert_int_equal(atomic_load(&fixture->board->bell), 2);
}

static void hearing_without_a_ring_does_not_wait(void **state) {
  struct fixture *fixture = *state;
  board_hear(&fixture->bell, BOARD_EAR_DNS);
}

static void size_is_sealed(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(ftruncate(fixture->fd, 4096), -1);
  assert_int_equal(ftruncate(fixture->fd, (off_t)sizeof(struct board) * 2), -1);
  assert_true(fcntl(fixture->fd, F_GETFD) & FD_CLOEXEC);
}

static void names_are_all_there_and_differ(void **state) {
  (void)state;
  for (int i = 0; i < BOARD_COUNTERS; i++) {
    assert_non_null(board_counter_name((enum board_counter)i));
    for (int j = 0; j < i; j++)
      assert_string_not_equal(board_counter_name((enum board_counter)i), board_counter_name((enum board_counter)j));
  }
  for (int i = 0; i < BOARD_PROCESSES; i++)
    assert_non_null(board_process_name((enum board_process)i));
}

#define BOARD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      BOARD_TEST(fresh_board_counts_nothing),           BOARD_TEST(totals_are_sums_over_the_workers),
      BOARD_TEST(counters_of_a_child_outlive_it),       BOARD_TEST(bell_wakes_every_ear_until_it_listened),
      BOARD_TEST(hearing_without_a_ring_does_not_wait), BOARD_TEST(size_is_sealed),
      cmocka_unit_test(names_are_all_there_and_differ),
  };
  return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
