#include "zones/transfer/difference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/zones/transfer/shared_book.h"

#define ALLOW ", transfer: {allow: [127.0.0.0/8]}"
#define FREEZE ", transfer: {allow: [127.0.0.0/8], balanced: freeze}"
#define HEAD(serial) "$TTL 300\n@ SOA ns1 admin " serial " 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n"
#define SOA(serial) "example.com. 300 IN SOA ns1.example.com. admin.example.com. " serial " 3600 600 86400 60\n"

static struct shared_texts texts;

static void make(struct shared_book *shared, const char *text) {
  const struct shared_zone zone = {"example.com", text, ALLOW};
  shared_book_make(shared, &zone, 1, "");
}

/* The records of an IXFR answer to the zone of that index, in order; the status's name where there is none. */
static const char *steps(struct differences *differences, const struct shared_book *shared, uint32_t index,
                         uint32_t from) {
  const struct transfer_zone zone = {&shared->book->image, shared->config, index};
  enum status status = differences_visit(differences, &zone, from, 1000, shared_texts_visit, &texts);
  const char *text = shared_texts_end(&texts, false);
  return status == STATUS_OK ? text : status_name(status);
}

static void only_what_changed_is_told(void **state) {
  (void)state;
  struct shared_book old, fresh;
  struct differences *differences = differences_new();
  make(&old,
       HEAD("1") "a A 192.0.2.2\na A 192.0.2.3\nb TXT \"same\"\nc TXT \"gone\"\nsub NS ns.sub\nns.sub A 192.0.2.9\n");
  make(&fresh,
       HEAD("2") "a A 192.0.2.3\na A 192.0.2.4\nb TXT \"same\"\nd MX 10 a\nsub NS ns.sub\nns.sub A 192.0.2.10\n");
  differences_follow(differences, NULL, old.book);
  assert_string_equal(steps(differences, &old, 0, 1), "not-found");
  differences_follow(differences, old.book, fresh.book);
  assert_string_equal(steps(differences, &fresh, 0, 1),
                      SOA("1") "a.example.com. 300 IN A 192.0.2.2\nc.example.com. 300 IN TXT \"gone\"\n"
                               "ns.sub.example.com. 300 IN A 192.0.2.9\n" SOA(
                                   "2") "a.example.com. 300 IN A 192.0.2.4\n"
                                        "ns.sub.example.com. 300 IN A 192.0.2.10\nd.example.com. 300 IN MX 10 "
                                        "a.example.com.\n");
  assert_string_equal(steps(differences, &fresh, 0, 7), "not-found");
  differences_free(differences);
  shared_book_release(&old);
  shared_book_release(&fresh);
}

static void another_ttl_is_a_change(void **state) {
  (void)state;
  struct shared_book old, fresh;
  struct differences *differences = differences_new();
  make(&old, HEAD("1") "a 60 A 192.0.2.2\n");
  make(&fresh, HEAD("2") "a 30 A 192.0.2.2\n");
  differences_follow(differences, old.book, fresh.book);
  assert_string_equal(steps(differences, &fresh, 0, 1),
                      SOA("1") "a.example.com. 60 IN A 192.0.2.2\n" SOA("2") "a.example.com. 30 IN A 192.0.2.2\n");
  differences_free(differences);
  shared_book_release(&old);
  shared_book_release(&fresh);
}

/* Follows the zone from one serial to another, with one A record that tells which. */
static void follow(struct differences *differences, struct shared_book *shared, unsigned to) {
  struct shared_book fresh;
  char text[512];
  snprintf(text, sizeof text, "$TTL 300\n@ SOA ns1 admin %u 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.%u\n", to,
           to % 250 + 1);
  make(&fresh, text);
  differences_follow(differences, shared->book, fresh.book);
  if (shared->book)
    shared_book_release(shared);
  *shared = fresh;
}

static void steps_are_chained_and_the_last_ten_kept(void **state) {
  (void)state;
  struct shared_book shared = {0};
  struct differences *differences = differences_new();
  follow(differences, &shared, 1);
  for (unsigned serial = 1; serial < 13; serial++)
    follow(differences, &shared, serial + 1);
  assert_string_equal(steps(differences, &shared, 0, 2), "not-found");
  assert_string_equal(
      steps(differences, &shared, 0, 11),
      SOA("11") "ns1.example.com. 300 IN A 192.0.2.12\n" SOA("12") "ns1.example.com. 300 IN A 192.0.2.13\n" SOA(
          "12") "ns1.example.com. 300 IN A 192.0.2.13\n" SOA("13") "ns1.example.com. 300 IN A 192.0.2.14\n");
  const struct transfer_zone zone = {&shared.book->image, shared.config, 0};
  assert_int_equal(differences_visit(differences, &zone, 3, 40, shared_texts_visit, &texts), STATUS_OK);
  assert_int_equal(texts.count, 40);
  shared_texts_end(&texts, false);
  assert_int_equal(differences_visit(differences, &zone, 3, 39, shared_texts_visit, &texts), STATUS_LIMIT);
  assert_int_equal(texts.count, 0);
  differences_free(differences);
  shared_book_release(&shared);
}

static void change_without_a_newer_serial_breaks_the_chain(void **state) {
  (void)state;
  struct shared_book shared = {0};
  struct differences *differences = differences_new();
  follow(differences, &shared, 1);
  follow(differences, &shared, 2);
  follow(differences, &shared, 2);
  assert_string_not_equal(steps(differences, &shared, 0, 1), "not-found");
  follow(differences, &shared, 1);
  follow(differences, &shared, 3);
  assert_string_equal(steps(differences, &shared, 0, 2), "not-found");
  assert_string_not_equal(steps(differences, &shared, 0, 1), "not-found");
  differences_free(differences);
  shared_book_release(&shared);
  assert_int_equal(texts.count, 0);
}

static void zone_is_found_again_at_another_place_in_the_configuration(void **state) {
  (void)state;
  struct shared_book old, fresh, last;
  struct differences *differences = differences_new();
  const struct shared_zone olds[] = {{"example.com", HEAD("1"), ALLOW}, {"example.net", HEAD("5"), ALLOW}};
  const struct shared_zone freshes[] = {{"example.net", HEAD("6"), ALLOW}, {"example.com", HEAD("2"), ALLOW}};
  const struct shared_zone lasts[] = {{"example.com", HEAD("3"), ALLOW}, {"example.net", HEAD("6"), ""}};
  shared_book_make(&old, olds, 2, "");
  shared_book_make(&fresh, freshes, 2, "");
  shared_book_make(&last, lasts, 2, "");
  differences_follow(differences, NULL, old.book);
  differences_follow(differences, old.book, fresh.book);
  assert_string_equal(steps(differences, &fresh, 1, 1), SOA("1") SOA("2"));
  /* the reader that still has the old book */
  assert_string_equal(steps(differences, &old, 0, 1), "not-found");
  differences_follow(differences, fresh.book, last.book);
  assert_string_equal(steps(differences, &last, 0, 1), SOA("1") SOA("2") SOA("2") SOA("3"));
  assert_string_equal(steps(differences, &last, 1, 5), "not-found");
  differences_free(differences);
  shared_book_release(&old);
  shared_book_release(&fresh);
  shared_book_release(&last);
}

static void delegation_to_a_zone_of_ours_is_part_of_the_parent(void **state) {
  (void)state;
  struct shared_book old, fresh;
  struct differences *differences = differences_new();
  const struct shared_zone olds[] = {{"example.com", HEAD("1"), ALLOW}, {"sub.example.com", HEAD("5"), ALLOW}};
  const struct shared_zone freshes[] = {{"example.com", HEAD("2"), ALLOW},
                                        {"sub.example.com",
                                         "$TTL 300\n@ SOA ns1 admin 6 3600 600 86400 60\n@ NS ns2\nns2 A 192.0.2.7\n",
                                         ALLOW}};
  shared_book_make(&old, olds, 2, "");
  shared_book_make(&fresh, freshes, 2, "");
  differences_follow(differences, old.book, fresh.book);
  assert_string_equal(steps(differences, &fresh, 0, 1),
                      SOA("1") "ns1.sub.example.com. 300 IN A 192.0.2.1\nsub.example.com. 300 IN NS "
                               "ns1.sub.example.com.\n" SOA("2") "ns2.sub.example.com. 300 IN A 192.0.2.7\n"
                                                                 "sub.example.com. 300 IN NS ns2.sub.example.com.\n");
  differences_free(differences);
  shared_book_release(&old);
  shared_book_release(&fresh);
}

static void frozen_members_are_compared_too(void **state) {
  (void)state;
  struct shared_book old, fresh;
  struct differences *differences = differences_new();
  const struct shared_zone before = {"example.com", HEAD("1"), FREEZE}, after = {"example.com", HEAD("2"), FREEZE};
  shared_book_make(&old, &before, 1,
                   "services:\n  - {name: www.example.com, members: [{name: a, addresses: [127.0.0.1]}]}\n");
  shared_book_make(&fresh, &after, 1,
                   "services:\n  - {name: www.example.com, members: [{name: b, addresses: [127.0.0.1, 127.0.0.2]}]}\n");
  differences_follow(differences, old.book, fresh.book);
  const char *text = steps(differences, &fresh, 0, 1);
  assert_non_null(strstr(text, SOA("1") "a.www.example.com. 60 IN A 127.0.0.1\n" SOA("2")));
  assert_non_null(strstr(text, "\nwww.example.com. 60 IN A 127.0.0.2\n"));
  assert_non_null(strstr(text, "\nb.www.example.com. 60 IN A 127.0.0.1\n"));
  assert_null(strstr(text, "\nwww.example.com. 60 IN A 127.0.0.1\n"));
  differences_free(differences);
  shared_book_release(&old);
  shared_book_release(&fresh);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_what_changed_is_told),
      cmocka_unit_test(another_ttl_is_a_change),
      cmocka_unit_test(steps_are_chained_and_the_last_ten_kept),
      cmocka_unit_test(change_without_a_newer_serial_breaks_the_chain),
      cmocka_unit_test(zone_is_found_again_at_another_place_in_the_configuration),
      cmocka_unit_test(delegation_to_a_zone_of_ours_is_part_of_the_parent),
      cmocka_unit_test(frozen_members_are_compared_too),
  };
  return cmocka_run_group_tests_name("difference", tests, NULL, NULL);
}
