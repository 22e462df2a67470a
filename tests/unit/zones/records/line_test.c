#include "zones/records/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/memory.h"

enum { A = 1, NS = 2, CNAME = 5, PTR = 12, AAAA = 28 };

struct fixture {
  struct entry entry;
  struct name origin, previous;
  struct line line;
};

static int set_up(void **state) {
  struct fixture *fixture = mem_alloc(sizeof *fixture);
  assert_int_equal(name_from_text("example.com", &fixture->origin), STATUS_OK);
  assert_int_equal(name_from_text("before.example.com", &fixture->previous), STATUS_OK);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  free(*state);
  return 0;
}

/* Of a copy that ends where the text does, so that a sanitizer sees who reads on. */
static bool read_text(struct fixture *fixture, const char *text, size_t *left) {
  size_t size = strlen(text);
  char *copy = mem_alloc(size);
  memcpy(copy, text, size);
  entry_init(&fixture->entry, copy, size);
  bool is_read = line_read(&fixture->entry, &fixture->origin, &fixture->previous, &fixture->line);
  *left = (size_t)(fixture->entry.end - fixture->entry.next);
  free(copy);
  return is_read;
}

static void lines_give_owner_ttl_type_and_data(void **state) {
  struct fixture *fixture = *state;
  static const struct {
    const char *text, *owner;
    bool has_ttl;
    uint32_t ttl_s;
    uint16_t type, size;
    const char *data;
  } cases[] = {
      {"www A 192.0.2.1\n", "www.example.com", false, 0, A, 4, "\300\0\2\1"},
      {"WWW.Sub 300 IN a 255.255.255.0", "www.sub.example.com", true, 300, A, 4, "\377\377\377\0"},
      {"other.example.org.\tin\t999999999\tA\t0.0.0.0\r\n", "other.example.org", true, 999999999, A, 4, "\0\0\0\0"},
      {"@ IN A 10.20.30.40;text ) \" \\", "example.com", false, 0, A, 4, "\n\24\36("},
      {" IN A 1.2.3.4 \t ; why\n", "before.example.com", false, 0, A, 4, "\1\2\3\4"},
      {"\t0 AAAA ::1\n", "before.example.com", true, 0, AAAA, 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"},
      {"*.w AAAA 2001:DB8::1;\n", "*.w.example.com", false, 0, AAAA, 16, " \1\r\270\0\0\0\0\0\0\0\0\0\0\0\1"},
      {"_x._tcp CNAME Mixed-Case\n", "_x._tcp.example.com", false, 0, CNAME, 24, "\12Mixed-Case\7example\3com"},
      {"sub 1 NS ns.example.net.\n", "sub.example.com", true, 1, NS, 16, "\2ns\7example\3net"},
      {"1 ptr a.b.\n", "1.example.com", false, 0, PTR, 5, "\1a\1b"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct line *line = &fixture->line;
    char text[NAME_TEXT_SIZE];
    size_t left;
    assert_true(read_text(fixture, cases[i].text, &left));
    assert_int_equal(left, 0);
    assert_string_equal(name_to_text(line->owner.wire, text), cases[i].owner);
    assert_int_equal(line->owner.size, strlen(cases[i].owner) + 2);
    assert_true(line->owner_hash == name_hash(line->owner.wire, line->owner.size));
    assert_int_equal(line->has_ttl, cases[i].has_ttl);
    if (cases[i].has_ttl)
      assert_int_equal(line->ttl_s, cases[i].ttl_s);
    assert_int_equal(line->type, cases[i].type);
    assert_int_equal(line->data.size, cases[i].size);
    assert_memory_equal(line->data.bytes, cases[i].data, cases[i].size);
    assert_int_equal(line->data.name_count, cases[i].type != A && cases[i].type != AAAA);
    assert_int_equal(line->number, 1);
  }
}

static void lines_leave_all_else_and_move_nothing(void **state) {
  struct fixture *fixture = *state;
  static const char *const texts[] = {
      "",
      "\n",
      "   \n",
      "; A 1.2.3.4\n",
      "a\n",
      "a ",
      "a A",
      "a A\n",
      "a A \n",
      "a IN",
      "a IN\n",
      "a 300",
      "a 300\n",
      "$ORIGIN A 1.2.3.4\n",
      "\"a\" A 1.2.3.4\n",
      "a\\.b A 1.2.3.4\n",
      "a.b..c A 1.2.3.4\n",
      ".a A 1.2.3.4\n",
      "@a A 1.2.3.4\n",
      ". A 1.2.3.4\n",
      "a; A 1.2.3.4\n",
      "a 1h A 1.2.3.4\n",
      "a 1000000000 A 1.2.3.4\n",
      "a 1 2 A 1.2.3.4\n",
      "a IN IN A 1.2.3.4\n",
      "a CH A 1.2.3.4\n",
      "a IN1 A 1.2.3.4\n",
      "a TXT text\n",
      "a AA 1.2.3.4\n",
      "a A (1.2.3.4)\n",
      "a A 1.2.3.4 (\n",
      "a A 1.2.3.4)\n",
      "a A 1.2.3.4 5\n",
      "a A 1.2.3.256\n",
      "a A 1.2.3.1000\n",
      "a A 1.2.3\n",
      "a A 1.2.3.\n",
      "a A 1.2.3.4.5\n",
      "a A 1..2.3\n",
      "a A 01.2.3.4\n",
      "a A 1.2.3.4x\n",
      "a A \\# 4 01020304\n",
      "a A \"1.2.3.4\"\n",
      "a AAAA 1.2.3.4\n",
      "a AAAA ::g\n",
      "a AAAA 1:2:3:4:5:6:7:8:9\n",
      "a AAAA \n",
      "a CNAME @\n",
      "a CNAME .\n",
      "a CNAME b..c\n",
      "a CNAME b c\n",
      "a CNAME b\\046c\n",
      "a NS\n",
      "a1234567890123456789012345678901234567890123456789012345678901234 A 1.2.3.4\n",
      "a CNAME a1234567890123456789012345678901234567890123456789012345678901234.b\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    size_t left;
    assert_false(read_text(fixture, texts[i], &left));
    assert_int_equal(left, strlen(texts[i]));
    assert_int_equal(fixture->entry.next_line, 1);
  }
}

static void lines_without_an_owner_before_them_are_left(void **state) {
  struct fixture *fixture = *state;
  size_t left;
  fixture->previous.size = 0;
  assert_false(read_text(fixture, " A 1.2.3.4\n", &left));
  assert_true(read_text(fixture, "a A 1.2.3.4\n", &left));
}

static void lines_that_would_make_too_long_a_name_are_left(void **state) {
  struct fixture *fixture = *state;
  char text[256] = "", label[] = "123456789.123456789.123456789.123456789.123456789.";
  size_t left;
  assert_int_equal(name_from_text("o23456789.123456789.123456789.123456789.123456789.123456789.example.com",
                                  &fixture->origin),
                   STATUS_OK);
  for (unsigned i = 0; i < 3; i++)
    strcat(text, label);
  strcat(text, "12345678901234567890123456789 A 1.2.3.4"); /* 180 bytes and 72 of the origin */
  assert_true(read_text(fixture, text, &left));
  assert_int_equal(fixture->line.owner.size, 253);
  assert_int_equal(name_from_text("o23456789.123456789.123456789.123456789.123456789.123456789.other.example.com",
                                  &fixture->origin),
                   STATUS_OK);
  assert_false(read_text(fixture, text, &left));
}

static void lines_are_counted_and_read_one_by_one(void **state) {
  struct fixture *fixture = *state;
  static const char text[] = "a A 1.2.3.4\nb A 1.2.3.5\n\nc A 1.2.3.6";
  entry_init(&fixture->entry, text, sizeof text - 1);
  assert_true(line_read(&fixture->entry, &fixture->origin, &fixture->previous, &fixture->line));
  assert_true(line_read(&fixture->entry, &fixture->origin, &fixture->previous, &fixture->line));
  assert_int_equal(fixture->line.number, 2);
  assert_false(line_read(&fixture->entry, &fixture->origin, &fixture->previous, &fixture->line));
  assert_int_equal(entry_next(&fixture->entry), ENTRY_READ);
  assert_int_equal(fixture->entry.line, 4);
  assert_int_equal(entry_next(&fixture->entry), ENTRY_END);
  entry_release(&fixture->entry);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(lines_give_owner_ttl_type_and_data, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lines_leave_all_else_and_move_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lines_without_an_owner_before_them_are_left, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lines_that_would_make_too_long_a_name_are_left, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lines_are_counted_and_read_one_by_one, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
