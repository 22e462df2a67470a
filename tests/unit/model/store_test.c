#include "gslb/model/store.h"

#include "tests/unit/model/store_fixture.h"

static char *live_path(const struct fixture *fixture, const char *file) {
  static char path[256];
  FILE *boot = fopen("/proc/sys/kernel/random/boot_id", "r");
  char id[64] = "";
  assert_non_null(fgets(id, sizeof id, boot));
  fclose(boot);
  char digits[17] = "";
  for (size_t i = 0, j = 0; j < 16 && id[i]; i++)
    if (id[i] != '-')
      digits[j++] = id[i];
  snprintf(path, sizeof path, "%s/live.%s/%s", fixture->directory, digits, file);
  return path;
}

static void opening_what_is_not_there_says_notfound(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_READ), STATUS_NOTFOUND);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_WRITE), STATUS_NOTFOUND);
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_READ), STATUS_NOTFOUND);
  assert_null(fixture->store);
}

static void what_was_committed_is_there_after_opening_again(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_ADMIN, "key", "value");
  close_store(fixture);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  assert_true(holds(fixture, STORE_DB_ADMIN, "key", "value"));
  close_store(fixture);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_READ), STATUS_OK);
  assert_true(holds(fixture, STORE_DB_ADMIN, "key", "value"));
}

static void aborted_transaction_leaves_nothing(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(store_put(txn, STORE_DB_HEALTH, text("a"), text("b"), &fixture->err), STATUS_OK);
  store_abort(txn);
  assert_false(holds(fixture, STORE_DB_HEALTH, "a", "b"));
  store_abort(NULL);
}

static void deleted_key_is_gone_and_deleting_again_says_nodata(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  put(fixture, STORE_DB_HEALTH, "a", "b");
  struct store_txn *txn = begin(fixture, true);
  struct store_bytes found;
  assert_int_equal(store_delete(txn, STORE_DB_HEALTH, text("a"), &fixture->err), STATUS_OK);
  assert_int_equal(store_get(txn, STORE_DB_HEALTH, text("a"), &found), STATUS_NODATA);
  assert_int_equal(store_delete(txn, STORE_DB_HEALTH, text("a"), &fixture->err), STATUS_NODATA);
  commit(fixture, txn);
}

static void key_that_is_too_long_is_refused(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  static const char bytes[STORE_KEY_MOST + 1];
  struct store_txn *txn = begin(fixture, true);
  struct store_bytes key = {bytes, STORE_KEY_MOST};
  assert_int_equal(store_put(txn, STORE_DB_HEALTH, key, text("b"), &fixture->err), STATUS_OK);
  key.size++;
  assert_int_equal(store_put(txn, STORE_DB_HEALTH, key, text("b"), &fixture->err), STATUS_INVALID);
  commit(fixture, txn);
}

static void files_are_for_their_owner_alone(void **state) {
  struct fixture *fixture = *state;
  struct stat info;
  char path[128];
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  snprintf(path, sizeof path, "%s/store", fixture->directory);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 07777, 0700);
  snprintf(path, sizeof path, "%s/store/data.mdb", fixture->directory);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 07777, 0600);
}

static void directories_above_are_made(void **state) {
  struct fixture *fixture = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/a/b", fixture->directory);
  assert_int_equal(store_open(path, STORE_LIVE, STORE_CREATE, &fixture->store, &fixture->err), STATUS_OK);
}

static void another_format_is_refused_and_left_alone(void **state) {
  struct fixture *fixture = *state;
  char path[128];
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  close_store(fixture);
  snprintf(path, sizeof path, "%s/store/data.mdb", fixture->directory);
  replace_in_file(path, "format\0\0\0\1", "format\0\0\0\2", 10);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_VERSION);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_READ), STATUS_VERSION);
  replace_in_file(path, "format\0\0\0\2", "format\0\0\0\1", 10);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_READ), STATUS_OK);
}

static void file_that_is_no_store_is_refused(void **state) {
  struct fixture *fixture = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/store", fixture->directory);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(path, sizeof path, "%s/store/data.mdb", fixture->directory);
  FILE *file = fopen(path, "w");
  for (int i = 0; i < 4096; i++)
    fputs("abc", file);
  fclose(file);
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_IO);
}

static void live_stores_of_other_boots_are_removed_and_nothing_else(void **state) {
  struct fixture *fixture = *state;
  static const char *const names[] = {"live.0123456789abcdef", "live.0123456789abcdeg", "live.txt", "other"};
  char path[128];
  for (size_t i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/%s", fixture->directory, names[i]);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/%s/data.mdb", fixture->directory, names[i]);
    fclose(fopen(path, "w"));
  }
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  assert_int_equal(access(live_path(fixture, "data.mdb"), F_OK), 0);
  for (size_t i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/%s", fixture->directory, names[i]);
    assert_int_equal(access(path, F_OK), i == 0 ? -1 : 0);
  }
  close_store(fixture);
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
}

struct seen {
  char keys[256];
  size_t most;
  size_t count;
};

static bool see(void *context, struct store_bytes key, struct store_bytes value) {
  struct seen *seen = context;
  (void)value;
  for (size_t i = 0, at = strlen(seen->keys); i < key.size; i++)
    seen->keys[at + i] = ((const char *)key.data)[i];
  strcat(seen->keys, " ");
  return ++seen->count < seen->most;
}

static void scan_visits_the_prefix_in_order(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  static const char *const keys[] = {"b2", "a", "b", "c", "b1", "ba"};
  for (size_t i = 0; i < 6; i++)
    put(fixture, STORE_DB_HEALTH, keys[i], "");
  struct store_txn *txn = begin(fixture, false);
  struct seen seen = {.most = 100};
  assert_int_equal(store_scan(txn, STORE_DB_HEALTH, text("b"), see, &seen), STATUS_OK);
  assert_string_equal(seen.keys, "b b1 b2 ba ");
  seen = (struct seen){.most = 100};
  store_scan(txn, STORE_DB_HEALTH, text(""), see, &seen);
  assert_string_equal(seen.keys, "a b b1 b2 ba c ");
  seen = (struct seen){.most = 2};
  store_scan(txn, STORE_DB_HEALTH, text(""), see, &seen);
  assert_string_equal(seen.keys, "a b ");
  seen = (struct seen){.most = 3};
  store_scan_back(txn, STORE_DB_HEALTH, see, &seen);
  assert_string_equal(seen.keys, "c ba b2 ");
  seen = (struct seen){.most = 3};
  store_scan(txn, STORE_DB_HEALTH, text("d"), see, &seen);
  assert_int_equal(seen.count, 0);
  store_abort(txn);
}

static void deleting_a_prefix_spares_the_neighbours(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  struct store_txn *txn = begin(fixture, true);
  char key[16];
  for (int i = 0; i < 3000; i++) {
    snprintf(key, sizeof key, "%c%04d", "abc"[i % 3], i);
    assert_int_equal(store_put(txn, STORE_DB_HEALTH, text(key), text("some value"), &fixture->err), STATUS_OK);
  }
  size_t deleted = 0;
  assert_int_equal(store_delete_prefix(txn, STORE_DB_HEALTH, text("b"), &deleted, &fixture->err), STATUS_OK);
  assert_int_equal(deleted, 1000);
  struct seen seen = {.most = 1};
  store_scan(txn, STORE_DB_HEALTH, text("b"), see, &seen);
  assert_int_equal(seen.count, 0);
  commit(fixture, txn);
  struct store_info info;
  assert_int_equal(store_info(fixture->store, &info), STATUS_OK);
  assert_true(info.entries == 2000);
}

static void appended_rows_are_numbered_from_one(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  uint64_t sequence = 0;
  for (uint64_t i = 1; i <= 2; i++) {
    struct store_txn *txn = begin(fixture, true);
    assert_int_equal(store_append(txn, STORE_DB_EVENTS, text("event"), &sequence, &fixture->err), STATUS_OK);
    if (i % 2)
      assert_int_equal(store_append(txn, STORE_DB_AUDIT, text("audit"), NULL, &fixture->err), STATUS_OK);
    commit(fixture, txn);
    assert_true(sequence == i);
  }
  struct store_txn *txn = begin(fixture, false);
  struct store_bytes value, key = {"\0\0\0\0\0\0\0\2", 8};
  assert_int_equal(store_get(txn, STORE_DB_EVENTS, key, &value), STATUS_OK);
  assert_int_equal(store_get(txn, STORE_DB_AUDIT, key, &value), STATUS_NODATA);
  store_abort(txn);
}

static void oldest_rows_go_when_there_are_too_many(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  struct store_txn *txn = begin(fixture, true);
  for (int i = 0; i < 131072 + 5; i++)
    if (store_append(txn, STORE_DB_EVENTS, text("e"), NULL, &fixture->err) != STATUS_OK)
      fail();
  commit(fixture, txn);
  struct store_info info;
  assert_int_equal(store_info(fixture->store, &info), STATUS_OK);
  assert_true(info.entries == 131072);
  txn = begin(fixture, false);
  struct store_bytes value;
  assert_int_equal(store_get(txn, STORE_DB_EVENTS, (struct store_bytes){"\0\0\0\0\0\0\0\5", 8}, &value), STATUS_NODATA);
  assert_int_equal(store_get(txn, STORE_DB_EVENTS, (struct store_bytes){"\0\0\0\0\0\0\0\6", 8}, &value), STATUS_OK);
  store_abort(txn);
}

static void marks_are_told_once_and_in_order(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  char names[64] = "";
  uint64_t sequence = 0;
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_OK);
  assert_true(sequence == 0);
  store_mark_changed(txn, "b", &fixture->err);
  store_mark_changed(txn, "a", &fixture->err);
  store_mark_changed(txn, "", &fixture->err);
  commit(fixture, txn);
  txn = begin(fixture, false);
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_OK);
  assert_string_equal(names, "b a * ");
  assert_true(sequence == 3);
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_OK);
  assert_string_equal(names, "b a * ");
  sequence = 2;
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_OK);
  assert_string_equal(names, "b a * * ");
  sequence = 0;
  assert_int_equal(store_changes_since(txn, &sequence, NULL, NULL), STATUS_OK);
  assert_true(sequence == 3);
  store_abort(txn);
}

static void sequence_of_another_store_is_out_of_range(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  char names[64] = "";
  uint64_t sequence = 9;
  struct store_txn *txn = begin(fixture, false);
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_RANGE);
  assert_true(sequence == 0);
  store_abort(txn);
}

static void trimmed_marks_are_out_of_range(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  struct store_txn *txn = begin(fixture, true);
  for (int i = 0; i < 65536 + 10; i++)
    if (store_mark_changed(txn, "s", &fixture->err) != STATUS_OK)
      fail();
  commit(fixture, txn);
  txn = begin(fixture, false);
  uint64_t sequence = 9;
  char names[64] = "";
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_RANGE);
  assert_true(sequence == 65546);
  assert_string_equal(names, "");
  sequence = 65545;
  assert_int_equal(store_changes_since(txn, &sequence, note_service, names), STATUS_OK);
  assert_string_equal(names, "s ");
  store_abort(txn);
}

static void newest_time_is_the_largest(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  int64_t newest = -1;
  assert_int_equal(store_newest_time(fixture->store, &newest), STATUS_OK);
  assert_true(newest == 0);
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(store_note_time(txn, 1700000000123), STATUS_OK);
  assert_int_equal(store_note_time(txn, 1600000000000), STATUS_OK);
  commit(fixture, txn);
  assert_int_equal(store_newest_time(fixture->store, &newest), STATUS_OK);
  assert_true(newest == 1700000000123);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      STORE_TEST(opening_what_is_not_there_says_notfound),
      STORE_TEST(what_was_committed_is_there_after_opening_again),
      STORE_TEST(aborted_transaction_leaves_nothing),
      STORE_TEST(deleted_key_is_gone_and_deleting_again_says_nodata),
      STORE_TEST(key_that_is_too_long_is_refused),
      STORE_TEST(files_are_for_their_owner_alone),
      STORE_TEST(directories_above_are_made),
      STORE_TEST(another_format_is_refused_and_left_alone),
      STORE_TEST(file_that_is_no_store_is_refused),
      STORE_TEST(live_stores_of_other_boots_are_removed_and_nothing_else),
      STORE_TEST(scan_visits_the_prefix_in_order),
      STORE_TEST(deleting_a_prefix_spares_the_neighbours),
      STORE_TEST(appended_rows_are_numbered_from_one),
      STORE_TEST(oldest_rows_go_when_there_are_too_many),
      STORE_TEST(marks_are_told_once_and_in_order),
      STORE_TEST(sequence_of_another_store_is_out_of_range),
      STORE_TEST(trimmed_marks_are_out_of_range),
      STORE_TEST(newest_time_is_the_largest),
  };
  return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
