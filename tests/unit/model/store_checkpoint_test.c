#include "gslb/model/store.h"

#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/model/store_fixture.h"

static void checkpoint_brings_health_to_the_next_boot(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "a", "old");
  assert_int_equal(store_checkpoint(fixture->store, fixture->directory, 1000, true, &fixture->err), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "a", "new");
  put(fixture, STORE_DB_HEALTH, "b", "more");
  assert_int_equal(store_checkpoint(fixture->store, fixture->directory, 2000, true, &fixture->err), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "c", "after");
  close_store(fixture);

  char path[128];
  snprintf(path, sizeof path, "%s/checkpoint.new", fixture->directory);
  assert_int_equal(access(path, F_OK), -1);
  snprintf(path, sizeof path, "%s/next", fixture->directory);
  assert_int_equal(store_open(path, STORE_LIVE, STORE_CREATE, &fixture->store, &fixture->err), STATUS_OK);
  int64_t taken = 0;
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_OK);
  assert_true(taken == 2000);
  assert_true(holds(fixture, STORE_DB_HEALTH, "a", "new"));
  assert_true(holds(fixture, STORE_DB_HEALTH, "b", "more"));
  assert_false(holds(fixture, STORE_DB_HEALTH, "c", "after"));
  int64_t newest = 0;
  assert_int_equal(store_newest_time(fixture->store, &newest), STATUS_OK);
  assert_true(newest == 2000);
  char names[64] = "";
  uint64_t sequence = 0;
  struct store_txn *txn = begin(fixture, false);
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_OK);
  store_abort(txn);
  assert_string_equal(names, "* ");
}

static void checkpoint_that_is_not_synced_is_read_like_any_other(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "a", "known");
  assert_int_equal(store_checkpoint(fixture->store, fixture->directory, 1000, false, &fixture->err), STATUS_OK);
  close_store(fixture);
  char path[128];
  snprintf(path, sizeof path, "%s/next", fixture->directory);
  assert_int_equal(store_open(path, STORE_LIVE, STORE_CREATE, &fixture->store, &fixture->err), STATUS_OK);
  int64_t taken = 0;
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_OK);
  assert_true(taken == 1000);
  assert_true(holds(fixture, STORE_DB_HEALTH, "a", "known"));
}

static void checkpoint_brings_leases_and_metrics_but_not_who_is_alive(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_LEASES, "app-r1", "lease");
  for (enum store_db db = STORE_DB_METRICS_AGENT; db <= STORE_DB_METRICS_UTILIZATION; db++)
    put(fixture, db, "app-r1", "report");
  put(fixture, STORE_DB_BALANCERS, "lb1", "alive");
  assert_int_equal(store_checkpoint(fixture->store, fixture->directory, 1000, true, &fixture->err), STATUS_OK);
  int64_t taken = 0;
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_NODATA);
  close_store(fixture);
  char path[128];
  snprintf(path, sizeof path, "%s/next", fixture->directory);
  assert_int_equal(store_open(path, STORE_LIVE, STORE_CREATE, &fixture->store, &fixture->err), STATUS_OK);
  put(fixture, STORE_DB_BALANCERS, "lb2", "alive"); /* found out anew, which does not make the store newer */
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_OK);
  assert_true(holds(fixture, STORE_DB_LEASES, "app-r1", "lease"));
  for (enum store_db db = STORE_DB_METRICS_AGENT; db <= STORE_DB_METRICS_UTILIZATION; db++)
    assert_true(holds(fixture, db, "app-r1", "report"));
  assert_false(holds(fixture, STORE_DB_BALANCERS, "lb1", "alive"));
  assert_true(holds(fixture, STORE_DB_BALANCERS, "lb2", "alive"));
}

static void restore_without_checkpoint_or_into_a_filled_store_says_nodata(void **state) {
  struct fixture *fixture = *state;
  int64_t taken = 7;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_NODATA);
  put(fixture, STORE_DB_HEALTH, "a", "old");
  assert_int_equal(store_checkpoint(fixture->store, fixture->directory, 1000, true, &fixture->err), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "a", "new");
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_NODATA);
  assert_true(holds(fixture, STORE_DB_HEALTH, "a", "new"));
  assert_true(taken == 7);
}

static void damaged_checkpoint_is_refused_and_left_alone(void **state) {
  struct fixture *fixture = *state;
  char path[128], next[128];
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "key", "value");
  assert_int_equal(store_checkpoint(fixture->store, fixture->directory, 1000, true, &fixture->err), STATUS_OK);
  close_store(fixture);
  snprintf(path, sizeof path, "%s/checkpoint", fixture->directory);
  snprintf(next, sizeof next, "%s/next", fixture->directory);
  assert_int_equal(store_open(next, STORE_LIVE, STORE_CREATE, &fixture->store, &fixture->err), STATUS_OK);

  int64_t taken = 7;
  replace_in_file(path, "keyvalue", "keyvalux", 8);
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_IO);
  replace_in_file(path, "keyvalux", "keyvalue", 8);

  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  for (off_t size = info.st_size - 1; size >= 0; size -= size > 64 ? 1777 : 1) {
    assert_int_equal(truncate(path, size), 0);
    assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_IO);
  }
  assert_true(taken == 7);
  assert_false(holds(fixture, STORE_DB_HEALTH, "key", "value"));
  assert_int_equal(access(path, F_OK), 0);
}

static void checkpoint_that_cannot_be_written_leaves_the_old_one(void **state) {
  struct fixture *fixture = *state;
  char next[128];
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "key", "value");
  assert_int_equal(store_checkpoint(fixture->store, fixture->directory, 1000, true, &fixture->err), STATUS_OK);
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){8192, before.rlim_max});
  enum status status = store_checkpoint(fixture->store, fixture->directory, 2000, true, &fixture->err);
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_DFL);
  assert_int_equal(status, STATUS_IO);
  close_store(fixture);
  snprintf(next, sizeof next, "%s/next", fixture->directory);
  assert_int_equal(store_open(next, STORE_LIVE, STORE_CREATE, &fixture->store, &fixture->err), STATUS_OK);
  int64_t taken = 0;
  assert_int_equal(store_restore(fixture->directory, fixture->store, &taken, &fixture->err), STATUS_OK);
  assert_true(taken == 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      STORE_TEST(checkpoint_brings_health_to_the_next_boot),
      STORE_TEST(checkpoint_that_is_not_synced_is_read_like_any_other),
      STORE_TEST(checkpoint_brings_leases_and_metrics_but_not_who_is_alive),
      STORE_TEST(restore_without_checkpoint_or_into_a_filled_store_says_nodata),
      STORE_TEST(damaged_checkpoint_is_refused_and_left_alone),
      STORE_TEST(checkpoint_that_cannot_be_written_leaves_the_old_one),
  };
  return cmocka_run_group_tests_name("store checkpoint", tests, NULL, NULL);
}
