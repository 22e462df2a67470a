#include "discovery/publish/difference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct side {
  struct directory_record records[8];
  struct directory directory;
};

static struct arena arena;

static void put(struct side *side, const char *owner, uint16_t type, const void *data, size_t size) {
  struct directory_record *record = &side->records[side->directory.count++];
  *record = (struct directory_record){.type = type,
                                      .ttl_s = 10,
                                      .data = size ? arena_copy(&arena, data, size) : (const uint8_t *)"",
                                      .size = (uint16_t)size};
  assert_int_equal(name_from_text(owner, &record->owner), STATUS_OK);
  side->directory.records = side->records;
}

static void put_srv(struct side *side, const char *owner, uint8_t weight, const char *target) {
  uint8_t data[6 + NAME_SIZE_MOST] = {0, 1, 0, weight, 0, 80};
  struct name name;
  assert_int_equal(name_from_text(target, &name), STATUS_OK);
  memcpy(data + 6, name.wire, name.size);
  put(side, owner, DIRECTORY_SRV, data, 6u + name.size);
}

static void put_ptr(struct side *side, const char *owner, const char *target) {
  struct name name;
  assert_int_equal(name_from_text(target, &name), STATUS_OK);
  put(side, owner, DIRECTORY_PTR, name.wire, name.size);
}

/* The changes as letters, a set after the other: S(et), D(elete), A(dd), T(ype). */
static const char *compare(struct side *told, struct side *wanted, bool is_sure, bool *is_urgent) {
  static char text[32];
  struct difference difference;
  size_t used = 0;
  directory_sort(&told->directory);
  directory_sort(&wanted->directory);
  difference_make(&told->directory, &wanted->directory, is_sure, &arena, &difference);
  for (size_t i = 0; i < difference.count; i++) {
    if (i && difference.changes[i].set != difference.changes[i - 1].set)
      text[used++] = ' ';
    text[used++] = "SDAT"[difference.changes[i].kind];
  }
  text[used] = '\0';
  *is_urgent = difference.is_urgent;
  return text;
}

static int tear_down(void **state) {
  (void)state;
  arena_release(&arena);
  return 0;
}

static void nothing_changes_when_all_is_told(void **state) {
  (void)state;
  struct side told = {0}, wanted = {0};
  bool is_urgent;
  for (int i = 0; i < 2; i++) {
    put_srv(i ? &told : &wanted, "_http._tcp.app.test", 5, "m1.app.test");
    put_ptr(i ? &told : &wanted, "_http._tcp.test", "m1._http._tcp.test");
  }
  assert_string_equal(compare(&told, &wanted, true, &is_urgent), "");
  assert_false(is_urgent);
  assert_string_equal(compare(&told, &wanted, false, &is_urgent), "A SA");
  assert_true(is_urgent);
}

static void own_sets_are_replaced_whole(void **state) {
  (void)state;
  struct side told = {0}, wanted = {0};
  bool is_urgent;
  put_srv(&told, "_http._tcp.app.test", 5, "m1.app.test");
  put_srv(&wanted, "_http._tcp.app.test", 5, "m1.app.test");
  put_srv(&wanted, "_http._tcp.app.test", 5, "m2.app.test");
  assert_string_equal(compare(&told, &wanted, true, &is_urgent), "SAA");
  assert_true(is_urgent);
}

static void what_is_not_wanted_any_more_is_deleted(void **state) {
  (void)state;
  struct side told = {0}, wanted = {0};
  bool is_urgent;
  put_srv(&told, "_http._tcp.app.test", 5, "m1.app.test");
  put(&told, "m1.app.test", DIRECTORY_A, "\x7f\0\0\1", 4);
  put(&told, "left.app.test", DIRECTORY_AAAA, "", 0); /* stands for its set */
  assert_string_equal(compare(&told, &wanted, true, &is_urgent), "S S S");
  assert_true(is_urgent);
}

static void of_shared_sets_only_our_records_are_touched(void **state) {
  (void)state;
  struct side told = {0}, wanted = {0};
  bool is_urgent;
  put_ptr(&told, "_http._tcp.test", "a._http._tcp.test");
  put_ptr(&told, "_http._tcp.test", "b._http._tcp.test");
  put_ptr(&wanted, "_http._tcp.test", "b._http._tcp.test");
  put_ptr(&wanted, "_http._tcp.test", "c._http._tcp.test");
  assert_string_equal(compare(&told, &wanted, true, &is_urgent), "DA");
  assert_true(is_urgent);
}

static void types_go_last_and_on_condition(void **state) {
  (void)state;
  struct side told = {0}, wanted = {0};
  bool is_urgent;
  put_ptr(&told, "_services._dns-sd._udp.test", "_http._tcp.test");
  put_ptr(&told, "_http._tcp.test", "b._http._tcp.test");
  put_srv(&told, "zz.test", 1, "m1.app.test");
  assert_string_equal(compare(&told, &wanted, true, &is_urgent), "D S T");
}

static void weights_alone_are_not_urgent(void **state) {
  (void)state;
  struct side told = {0}, wanted = {0};
  bool is_urgent;
  put_srv(&told, "_http._tcp.app.test", 5, "m1.app.test");
  put_srv(&told, "_http._tcp.app.test", 6, "m2.app.test");
  put_srv(&wanted, "_http._tcp.app.test", 9, "m1.app.test");
  put_srv(&wanted, "_http._tcp.app.test", 6, "m2.app.test");
  assert_string_equal(compare(&told, &wanted, true, &is_urgent), "SAA");
  assert_false(is_urgent);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_changes_when_all_is_told),       TEST(own_sets_are_replaced_whole),
      TEST(what_is_not_wanted_any_more_is_deleted), TEST(of_shared_sets_only_our_records_are_touched),
      TEST(types_go_last_and_on_condition),         TEST(weights_alone_are_not_urgent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
