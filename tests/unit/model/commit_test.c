#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "gslb/base/memory.h"
#include "gslb/model/commit.h"

struct desk {
  char directory[64];
  struct store *durable;
  struct house house;
  struct committer *committer;
  unsigned commits; /* written by the committer, read after commit_stop */
};

static void count_commit(void *context) {
  struct desk *desk = context;
  desk->commits++;
}

static int setup(void **state) {
  struct desk *desk = mem_alloc(sizeof *desk);
  struct errbuf err;
  strcpy(desk->directory, "/tmp/gslb-unit-XXXXXX");
  assert_non_null(mkdtemp(desk->directory));
  assert_int_equal(store_open(desk->directory, STORE_DURABLE, STORE_CREATE, &desk->durable, &err), STATUS_OK);
  desk->house = house_start(0);
  assert_int_equal(commit_start(desk->durable, &desk->house, count_commit, desk, &desk->committer, &err), STATUS_OK);
  *state = desk;
  return 0;
}

static int teardown(void **state) {
  struct desk *desk = *state;
  commit_free(desk->committer);
  store_close(desk->durable);
  char *command = mem_format("rm -rf '%s'", desk->directory);
  int failed = system(command);
  free(command);
  free(desk);
  return failed;
}

/* Holds the committer until the test has queued what belongs to one batch. */
struct gate {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  bool is_entered, is_open;
};
#define GATE_CLOSED                                                                                                    \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false }

static enum status wait_at_gate(void *context, struct store_txn *txn, struct errbuf *err) {
  struct gate *gate = context;
  (void)txn;
  pthread_mutex_lock(&gate->lock);
  gate->is_entered = true;
  pthread_cond_broadcast(&gate->moved);
  while (!gate->is_open)
    pthread_cond_wait(&gate->moved, &gate->lock);
  pthread_mutex_unlock(&gate->lock);
  return errbuf_set(err, STATUS_NODATA, "only waited");
}

static void ignore(void *context, enum status status, const struct errbuf *err) {
  (void)context;
  (void)status;
  (void)err;
}

static void close_gate(struct desk *desk, struct gate *gate) {
  struct errbuf err;
  assert_int_equal(commit_queue(desk->committer, wait_at_gate, ignore, gate, &err), STATUS_OK);
  pthread_mutex_lock(&gate->lock);
  while (!gate->is_entered)
    pthread_cond_wait(&gate->moved, &gate->lock);
  pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate) {
  pthread_mutex_lock(&gate->lock);
  gate->is_open = true;
  pthread_cond_broadcast(&gate->moved);
  pthread_mutex_unlock(&gate->lock);
}

struct note {
  const char *key;
  enum status answer; /* of apply */
  enum status told;   /* to done */
  unsigned applied;
  bool is_told;
};

static enum status put_note(void *context, struct store_txn *txn, struct errbuf *err) {
  struct note *note = context;
  note->applied++;
  if (note->answer != STATUS_OK && note->answer != STATUS_IO)
    return errbuf_set(err, note->answer, "refused");
  enum status status = store_put(txn, STORE_DB_ADMIN, (struct store_bytes){note->key, strlen(note->key)},
                                 (struct store_bytes){"v", 1}, err);
  return status ? status : note->answer;
}

static void tell_note(void *context, enum status status, const struct errbuf *err) {
  struct note *note = context;
  (void)err;
  note->told = status;
  note->is_told = true;
}

static bool is_stored(struct desk *desk, const char *key) {
  struct store_txn *txn;
  struct errbuf err;
  struct store_bytes value;
  assert_int_equal(store_begin(desk->durable, false, &txn, &err), STATUS_OK);
  enum status status = store_get(txn, STORE_DB_ADMIN, (struct store_bytes){key, strlen(key)}, &value);
  store_abort(txn);
  return status == STATUS_OK;
}

static void queue(struct desk *desk, struct note *note) {
  struct errbuf err;
  assert_int_equal(commit_queue(desk->committer, put_note, tell_note, note, &err), STATUS_OK);
}

static void a_waiting_writer_finds_its_write_stored(void **state) {
  struct desk *desk = *state;
  struct note note = {.key = "a"};
  struct errbuf err;
  assert_int_equal(commit_and_wait(desk->committer, put_note, &note, &err), STATUS_OK);
  assert_true(is_stored(desk, "a"));
  note = (struct note){.key = "b", .answer = STATUS_CONFLICT};
  assert_int_equal(commit_and_wait(desk->committer, put_note, &note, &err), STATUS_CONFLICT);
  assert_string_equal(err.text, "refused");
  commit_stop(desk->committer);
}

static void what_waits_is_committed_once(void **state) {
  struct desk *desk = *state;
  struct gate gate = GATE_CLOSED;
  struct note notes[] = {{.key = "a"}, {.key = "b"}, {.key = "c"}};
  close_gate(desk, &gate);
  for (size_t i = 0; i < 3; i++)
    queue(desk, &notes[i]);
  open_gate(&gate);
  commit_stop(desk->committer);
  assert_int_equal(desk->commits, 1);
  for (size_t i = 0; i < 3; i++) {
    assert_true(notes[i].is_told && notes[i].told == STATUS_OK);
    assert_true(is_stored(desk, notes[i].key));
  }
}

static void a_refused_write_leaves_its_neighbours(void **state) {
  struct desk *desk = *state;
  struct gate gate = GATE_CLOSED;
  struct note notes[] = {{.key = "a"}, {.key = "b", .answer = STATUS_CONFLICT}, {.key = "c"}};
  close_gate(desk, &gate);
  for (size_t i = 0; i < 3; i++)
    queue(desk, &notes[i]);
  open_gate(&gate);
  commit_stop(desk->committer);
  assert_int_equal(desk->commits, 1);
  assert_int_equal(notes[1].told, STATUS_CONFLICT);
  assert_true(is_stored(desk, "a") && is_stored(desk, "c"));
  assert_false(is_stored(desk, "b"));
}

static void a_broken_write_is_taken_back_alone(void **state) {
  struct desk *desk = *state;
  struct gate gate = GATE_CLOSED;
  struct note notes[] = {{.key = "a"}, {.key = "b", .answer = STATUS_IO}, {.key = "c"}};
  close_gate(desk, &gate);
  for (size_t i = 0; i < 3; i++)
    queue(desk, &notes[i]);
  open_gate(&gate);
  commit_stop(desk->committer);
  assert_int_equal(notes[0].told, STATUS_OK);
  assert_int_equal(notes[0].applied, 2);
  assert_int_equal(notes[1].told, STATUS_IO);
  assert_int_equal(notes[2].told, STATUS_OK);
  assert_true(is_stored(desk, "a") && is_stored(desk, "c"));
  assert_false(is_stored(desk, "b"));
}

static void the_queue_has_a_bound(void **state) {
  struct desk *desk = *state;
  struct gate gate = GATE_CLOSED;
  struct note note = {.key = "a"};
  struct errbuf err;
  close_gate(desk, &gate);
  for (unsigned i = 0; i < COMMIT_QUEUE_MOST; i++)
    queue(desk, &note);
  assert_int_equal(commit_queue(desk->committer, put_note, tell_note, &note, &err), STATUS_LIMIT);
  open_gate(&gate);
  commit_stop(desk->committer);
  assert_int_equal(note.applied, COMMIT_QUEUE_MOST);
  assert_int_equal(desk->commits, (COMMIT_QUEUE_MOST + COMMIT_BATCH_MOST - 1) / COMMIT_BATCH_MOST);
}

static void nothing_is_taken_after_the_stop(void **state) {
  struct desk *desk = *state;
  struct note note = {.key = "a"};
  struct errbuf err;
  commit_stop(desk->committer);
  assert_int_equal(commit_and_wait(desk->committer, put_note, &note, &err), STATUS_IO);
  assert_int_equal(note.applied, 0);
}

static void without_a_store_every_write_fails(void **state) {
  struct desk *desk = *state;
  struct committer *committer;
  struct note note = {.key = "a"};
  struct errbuf err;
  commit_stop(desk->committer);
  assert_int_equal(commit_start(NULL, &desk->house, NULL, NULL, &committer, &err), STATUS_OK);
  assert_int_equal(commit_and_wait(committer, put_note, &note, &err), STATUS_IO);
  commit_stop(committer);
  commit_free(committer);
}

#define DESK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      DESK_TEST(a_waiting_writer_finds_its_write_stored),
      DESK_TEST(what_waits_is_committed_once),
      DESK_TEST(a_refused_write_leaves_its_neighbours),
      DESK_TEST(a_broken_write_is_taken_back_alone),
      DESK_TEST(the_queue_has_a_bound),
      DESK_TEST(nothing_is_taken_after_the_stop),
      DESK_TEST(without_a_store_every_write_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
