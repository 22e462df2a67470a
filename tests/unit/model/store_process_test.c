#include "gslb/model/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/model/store_fixture.h"

/* A process that shares the store. It says one byte when it has done its part. */
struct peer {
  pid_t pid;
  int said;  /* its words */
  int go_on; /* a byte lets it go on */
};

typedef int peer_part(struct fixture *fixture, int say, int wait);

static struct peer peer_start(struct fixture *fixture, peer_part *part) {
  int said[2], go_on[2];
  assert_int_equal(pipe2(said, O_CLOEXEC), 0);
  assert_int_equal(pipe2(go_on, O_CLOEXEC), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(said[0]);
    close(go_on[1]);
    _exit(part(fixture, said[1], go_on[0]));
  }
  close(said[1]);
  close(go_on[0]);
  return (struct peer){pid, said[0], go_on[1]};
}

static bool peer_said(struct peer *peer) {
  char byte;
  return read(peer->said, &byte, 1) == 1;
}

static int peer_end(struct peer *peer) {
  int status = -1;
  close(peer->said);
  close(peer->go_on);
  waitpid(peer->pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void say(int say_to) {
  if (write(say_to, "x", 1) != 1)
    _exit(99);
}

static void wait_for_word(int from) {
  char byte;
  if (read(from, &byte, 1) < 0)
    _exit(99);
}

static int write_what_parent_reads(struct fixture *fixture, int say_to, int wait_on) {
  (void)wait_on;
  struct store *store;
  struct store_txn *txn;
  if (store_open(fixture->directory, STORE_LIVE, STORE_WRITE, &store, NULL) != STATUS_OK)
    return 1;
  for (int i = 0; i < 100; i++) {
    char value[16];
    snprintf(value, sizeof value, "%d", i);
    if (store_begin(store, true, &txn, NULL) != STATUS_OK ||
        store_put(txn, STORE_DB_HEALTH, text("one"), text(value), NULL) != STATUS_OK ||
        store_put(txn, STORE_DB_HEALTH, text("two"), text(value), NULL) != STATUS_OK ||
        store_commit(txn, NULL) != STATUS_OK)
      return 2;
    say(say_to);
  }
  store_close(store);
  return 0;
}

static void reader_sees_whole_commits_of_another_process(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  close_store(fixture);
  struct peer peer = peer_start(fixture, write_what_parent_reads);
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_READ), STATUS_OK);
  for (int i = 0; i < 100; i++) {
    assert_true(peer_said(&peer));
    struct store_txn *txn = begin(fixture, false);
    struct store_bytes one, two;
    assert_int_equal(store_get(txn, STORE_DB_HEALTH, text("one"), &one), STATUS_OK);
    assert_int_equal(store_get(txn, STORE_DB_HEALTH, text("two"), &two), STATUS_OK);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    char value[16] = "";
    memcpy(value, one.data, one.size);
    assert_true(atoi(value) >= i);
    store_abort(txn);
  }
  assert_int_equal(peer_end(&peer), 0);
}

static int hold_write_transaction(struct fixture *fixture, int say_to, int wait_on) {
  struct store *store;
  struct store_txn *txn;
  if (store_open(fixture->directory, STORE_LIVE, STORE_WRITE, &store, NULL) != STATUS_OK ||
      store_begin(store, true, &txn, NULL) != STATUS_OK ||
      store_put(txn, STORE_DB_HEALTH, text("half"), text("done"), NULL) != STATUS_OK)
    return 1;
  say(say_to);
  wait_for_word(wait_on);
  return 2;
}

static void writer_killed_in_its_transaction_leaves_nothing_and_blocks_nobody(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "before", "kept");
  for (int i = 0; i < 3; i++) {
    struct peer peer = peer_start(fixture, hold_write_transaction);
    assert_true(peer_said(&peer));
    kill(peer.pid, SIGKILL);
    assert_int_equal(peer_end(&peer), -SIGKILL);
    put(fixture, STORE_DB_HEALTH, "after", "written");
    assert_true(holds(fixture, STORE_DB_HEALTH, "before", "kept"));
    assert_true(holds(fixture, STORE_DB_HEALTH, "after", "written"));
    assert_false(holds(fixture, STORE_DB_HEALTH, "half", "done"));
  }
}

static int hold_read_transaction(struct fixture *fixture, int say_to, int wait_on) {
  struct store *store;
  struct store_txn *txn;
  if (store_open(fixture->directory, STORE_LIVE, STORE_READ, &store, NULL) != STATUS_OK ||
      store_begin(store, false, &txn, NULL) != STATUS_OK)
    return 1;
  say(say_to);
  wait_for_word(wait_on);
  return 2;
}

static void reader_that_died_is_reported_and_cleared(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  struct store_info info;
  assert_int_equal(store_info(fixture->store, &info), STATUS_OK);
  assert_int_equal(info.oldest_reader_pid, 0);
  assert_int_equal(info.readers, 0);

  struct peer peer = peer_start(fixture, hold_read_transaction);
  assert_true(peer_said(&peer));
  put(fixture, STORE_DB_HEALTH, "a", "1");
  put(fixture, STORE_DB_HEALTH, "a", "2");
  assert_int_equal(store_info(fixture->store, &info), STATUS_OK);
  assert_int_equal(info.oldest_reader_pid, peer.pid);
  assert_true(info.oldest_reader_txns == 2);
  assert_int_equal(info.readers, 1);
  unsigned cleared = 9;
  assert_int_equal(store_check_readers(fixture->store, &cleared), STATUS_OK);
  assert_int_equal(cleared, 0);

  kill(peer.pid, SIGKILL);
  peer_end(&peer);
  assert_int_equal(store_check_readers(fixture->store, &cleared), STATUS_OK);
  assert_int_equal(cleared, 1);
  assert_int_equal(store_info(fixture->store, &info), STATUS_OK);
  assert_int_equal(info.oldest_reader_pid, 0);
  assert_true(info.used_bytes > 0 && info.used_bytes < info.map_bytes && info.last_txn >= 2);
}

static int write_over_the_file_limit(struct fixture *fixture, int say_to, int wait_on) {
  (void)say_to;
  (void)wait_on;
  struct store *store;
  struct store_txn *txn;
  struct store_bytes big = {calloc(1, 1 << 20), 1 << 20}, value;
  if (store_open(fixture->directory, STORE_DURABLE, STORE_WRITE, &store, NULL) != STATUS_OK)
    return 1;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){200000, 200000});
  if (store_begin(store, true, &txn, NULL) != STATUS_OK ||
      store_put(txn, STORE_DB_ADMIN, text("big"), big, NULL) != STATUS_OK || store_commit(txn, NULL) != STATUS_IO)
    return 2;
  if (store_begin(store, true, &txn, NULL) != STATUS_OK ||
      store_get(txn, STORE_DB_ADMIN, text("big"), &value) != STATUS_NODATA ||
      store_put(txn, STORE_DB_ADMIN, text("small"), text("fits"), NULL) != STATUS_OK ||
      store_commit(txn, NULL) != STATUS_OK)
    return 3;
  store_close(store);
  return 0;
}

static void commit_that_does_not_fit_the_disk_is_told_and_stores_nothing(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  close_store(fixture);
  struct peer peer = peer_start(fixture, write_over_the_file_limit);
  assert_int_equal(peer_end(&peer), 0);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_READ), STATUS_OK);
  assert_true(holds(fixture, STORE_DB_ADMIN, "small", "fits"));
}

#ifndef __SANITIZE_ADDRESS__ /* which needs the address space that these limit */
static size_t address_space(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%lu", &pages) != 1)
    _exit(98);
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int read_with_a_small_map(struct fixture *fixture, int say_to, int wait_on) {
  struct store *store;
  struct store_txn *txn;
  struct store_info info;
  struct store_bytes value;
  struct rlimit before, limit;
  getrlimit(RLIMIT_AS, &before);
  limit = before;
  limit.rlim_cur = address_space() + (30u << 20);
  setrlimit(RLIMIT_AS, &limit);
  if (store_open(fixture->directory, STORE_LIVE, STORE_READ, &store, NULL) != STATUS_OK)
    return 1;
  if (store_info(store, &info) != STATUS_OK || info.map_bytes >= 32u << 20)
    return 2;
  say(say_to);
  wait_for_word(wait_on);
  /* the larger map does not fit, and the store must not be touched without one */
  if (store_begin(store, false, &txn, NULL) != STATUS_IO)
    return 3;
  setrlimit(RLIMIT_AS, &before);
  for (int i = 0; i < 2; i++) {
    if (store_begin(store, false, &txn, NULL) != STATUS_OK)
      return 4;
    if (store_get(txn, STORE_DB_HEALTH, text("big"), &value) != STATUS_OK || value.size != 40u << 20 ||
        ((const char *)value.data)[value.size - 1] != 'z')
      return 5;
    store_abort(txn);
  }
  store_close(store);
  return 0;
}

static int take_over_a_larger_map(struct fixture *fixture, int say_to, int wait_on) {
  struct store *store;
  struct store_txn *txn, *other;
  struct store_info info;
  struct store_bytes value;
  struct rlimit before, limit;
  getrlimit(RLIMIT_AS, &before);
  limit = before;
  limit.rlim_cur = address_space() + (30u << 20);
  setrlimit(RLIMIT_AS, &limit);
  if (store_open(fixture->directory, STORE_LIVE, STORE_READ, &store, NULL) != STATUS_OK)
    return 1;
  setrlimit(RLIMIT_AS, &before);
  if (store_begin(store, false, &other, NULL) != STATUS_OK)
    return 2;
  say(say_to);
  wait_for_word(wait_on);
  if (store_begin(store, false, &txn, NULL) != STATUS_IO) /* the map may not move under the other transaction */
    return 3;
  store_abort(other);
  if (store_begin(store, false, &txn, NULL) != STATUS_OK ||
      store_get(txn, STORE_DB_HEALTH, text("big"), &value) != STATUS_OK)
    return 4;
  store_abort(txn);
  if (store_info(store, &info) != STATUS_OK || info.map_bytes != 1u << 30)
    return 5;
  store_close(store);
  return 0;
}

static void run_beside_a_larger_map(struct fixture *fixture, peer_part *part) {
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  struct peer peer = peer_start(fixture, part);
  assert_true(peer_said(&peer));
  struct store_bytes big = {malloc(40u << 20), 40u << 20};
  memset((void *)(uintptr_t)big.data, 'z', big.size);
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(store_put(txn, STORE_DB_HEALTH, text("big"), big, &fixture->err), STATUS_OK);
  commit(fixture, txn);
  free((void *)(uintptr_t)big.data);
  assert_int_equal(write(peer.go_on, "x", 1), 1);
  assert_int_equal(peer_end(&peer), 0);
}

static void larger_map_is_taken_over(void **state) {
  run_beside_a_larger_map(*state, take_over_a_larger_map);
}

static void map_that_does_not_fit_is_opened_again_when_it_does(void **state) {
  run_beside_a_larger_map(*state, read_with_a_small_map);
}

static int fill_a_small_map(struct fixture *fixture, int say_to, int wait_on) {
  (void)say_to;
  (void)wait_on;
  struct store *store;
  struct store_txn *txn;
  struct store_bytes big = {calloc(1, 40u << 20), 40u << 20};
  setrlimit(RLIMIT_AS, &(struct rlimit){address_space() + (30u << 20), RLIM_INFINITY});
  if (store_open(fixture->directory, STORE_LIVE, STORE_CREATE, &store, NULL) != STATUS_OK ||
      store_begin(store, true, &txn, NULL) != STATUS_OK ||
      store_put(txn, STORE_DB_HEALTH, text("big"), big, NULL) != STATUS_LIMIT)
    return 1;
  store_abort(txn);
  if (store_begin(store, true, &txn, NULL) != STATUS_OK ||
      store_put(txn, STORE_DB_HEALTH, text("small"), text("fits"), NULL) != STATUS_OK ||
      store_commit(txn, NULL) != STATUS_OK)
    return 2;
  store_close(store);
  return 0;
}

static void full_map_is_told_and_stays_usable(void **state) {
  struct fixture *fixture = *state;
  struct peer peer = peer_start(fixture, fill_a_small_map);
  assert_int_equal(peer_end(&peer), 0);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      STORE_TEST(reader_sees_whole_commits_of_another_process),
      STORE_TEST(writer_killed_in_its_transaction_leaves_nothing_and_blocks_nobody),
      STORE_TEST(reader_that_died_is_reported_and_cleared),
      STORE_TEST(commit_that_does_not_fit_the_disk_is_told_and_stores_nothing),
#ifndef __SANITIZE_ADDRESS__
      STORE_TEST(larger_map_is_taken_over),
      STORE_TEST(map_that_does_not_fit_is_opened_again_when_it_does),
      STORE_TEST(full_map_is_told_and_stays_usable),
#endif
  };
  return cmocka_run_group_tests_name("store between processes", tests, NULL, NULL);
}
