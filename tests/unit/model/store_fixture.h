/* tests/unit/model/store_fixture.h
 * What the tests of the store share: a directory of its own for each test, and short forms of the calls. */
#ifndef TESTS_UNIT_MODEL_STORE_FIXTURE_H
#define TESTS_UNIT_MODEL_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/model/store.h"
#include "tests/unit/base/directory.h"

struct fixture {
  char directory[64];
  struct errbuf err;
  struct store *store; /* closed by teardown when it is open */
};

static inline int setup(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-store-test-XXXXXX");
  *state = fixture;
  return mkdtemp(fixture->directory) ? 0 : -1;
}

static inline int teardown(void **state) {
  struct fixture *fixture = *state;
  store_close(fixture->store);
  directory_remove(fixture->directory);
  free(fixture);
  return 0;
}

static inline struct store_bytes text(const char *value) {
  return (struct store_bytes){value, strlen(value)};
}

static inline enum status open_store(struct fixture *fixture, enum store_kind kind, enum store_mode mode) {
  return store_open(fixture->directory, kind, mode, &fixture->store, &fixture->err);
}

static inline void close_store(struct fixture *fixture) {
  store_close(fixture->store);
  fixture->store = NULL;
}

static inline struct store_txn *begin(struct fixture *fixture, bool write) {
  struct store_txn *txn = NULL;
  assert_int_equal(store_begin(fixture->store, write, &txn, &fixture->err), STATUS_OK);
  return txn;
}

static inline void commit(struct fixture *fixture, struct store_txn *txn) {
  assert_int_equal(store_commit(txn, &fixture->err), STATUS_OK);
}

static inline void put(struct fixture *fixture, enum store_db db, const char *key, const char *value) {
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(store_put(txn, db, text(key), text(value), &fixture->err), STATUS_OK);
  commit(fixture, txn);
}

static inline bool holds(struct fixture *fixture, enum store_db db, const char *key, const char *value) {
  struct store_txn *txn = begin(fixture, false);
  struct store_bytes found;
  bool is_there = store_get(txn, db, text(key), &found) == STATUS_OK && found.size == strlen(value) &&
                  memcmp(found.data, value, found.size) == 0;
  store_abort(txn);
  return is_there;
}

static inline void replace_in_file(const char *path, const char *from, const char *to, size_t size) {
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  static char bytes[1 << 20];
  size_t got = fread(bytes, 1, sizeof bytes, file);
  for (size_t i = 0; i + size <= got; i++)
    if (memcmp(bytes + i, from, size) == 0)
      memcpy(bytes + i, to, size);
  rewind(file);
  assert_int_equal(fwrite(bytes, 1, got, file), got);
  fclose(file);
}

static inline void note_service(void *context, const char *service) {
  char *names = context;
  strcat(strcat(names, *service ? service : "*"), " ");
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
