#include "gslb/model/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/roster_config.h"

static struct roster *roster;

static int setup(void **state) {
  (void)state;
  roster = roster_new(&roster_config);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  roster_free(roster);
  return 0;
}

static bool set(size_t service, const char *const *ids) {
  struct member_record record = roster_record("fra", 7);
  struct roster_entry entries[ROSTER_MOST + 2];
  size_t count = 0;
  for (; ids[count]; count++)
    entries[count] = (struct roster_entry){"", ids[count], &record};
  return roster_set(roster, service, entries, count);
}
#define SET(service, ...) set(service, (const char *const[]){__VA_ARGS__, NULL})

static void expect(size_t service, const char *names) {
  char text[256] = "";
  const struct config_service *now = roster_service(roster, service);
  for (size_t i = 0; i < now->member_count; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", now->members[i].name);
  assert_string_equal(text, names);
}

static void everything_is_as_configured_at_first(void **state) {
  (void)state;
  for (size_t i = 0; i < roster_config.service_count; i++) {
    assert_ptr_equal(roster_service(roster, i), &roster_config.services[i]);
    assert_int_equal(roster_revision(roster, i), 0);
    assert_false(roster_set(roster, i, NULL, 0));
  }
  assert_int_equal(roster_find(roster, "APP.example.com."), ROSTER_APP);
  assert_int_equal(roster_find(roster, "*.on.example.com"), ROSTER_PATTERN);
  assert_true(roster_find(roster, "") == SIZE_MAX);
  assert_true(roster_find(roster, "a.on.example.com") == SIZE_MAX);
}

static void registered_members_follow_the_configured_ones(void **state) {
  (void)state;
  assert_true(SET(ROSTER_APP, "a", "b"));
  expect(ROSTER_APP, "fixed-2 fixed-1 a b");
  assert_int_equal(roster_revision(roster, ROSTER_APP), 1);
  const struct config_service *now = roster_service(roster, ROSTER_APP);
  assert_string_equal(now->name, "app.example.com");
  assert_false(now->members[0].is_registered);
  const struct config_member *member = &now->members[3];
  assert_true(member->is_registered && !member->is_balancer);
  assert_int_equal(member->weight, 7);
  assert_int_equal(member->site, 1);
  assert_int_equal(member->srv_port, 8080);
  assert_int_equal(member->monitors, 2);
  assert_int_equal(member->address_count, 1);
  assert_int_equal(member->addresses[0].bytes[3], 77);
  assert_string_equal(member->txt[0], "rack=r7");
  assert_null(member->txt[1]);
  assert_string_equal(member->instance, "Web");
  assert_int_equal(config_find_member(now, "A"), 2);
  assert_int_equal(config_find_member(now, "fixed-1"), 1);
}

static void the_same_members_are_no_change(void **state) {
  (void)state;
  assert_true(SET(ROSTER_APP, "a", "b"));
  const struct config_service *now = roster_service(roster, ROSTER_APP);
  assert_false(SET(ROSTER_APP, "a", "b"));
  assert_ptr_equal(roster_service(roster, ROSTER_APP), now);
  assert_int_equal(roster_revision(roster, ROSTER_APP), 1);
}

static void any_part_of_a_member_is_a_change(void **state) {
  (void)state;
  struct member_record record = roster_record("fra", 7);
  const struct roster_entry entry = {"app.example.com", "a", &record};
  static const char *const more[] = {"rack=r7", "os=linux", NULL};
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.weight++;
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.tier++;
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.port++;
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.addresses[0].bytes[3]++;
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.addresses[record.address_count++] = (struct addr){.family = 6, .bytes = {[15] = 1}};
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.site[0] = '\0';
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.instance[0] = '\0';
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.txt = more;
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.txt = NULL;
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  record.kind = RESOURCE_BALANCER;
  assert_true(roster_set(roster, ROSTER_APP, &entry, 1));
  assert_false(roster_set(roster, ROSTER_APP, &entry, 1));
  assert_int_equal(roster_revision(roster, ROSTER_APP), 11);
  assert_true(roster_service(roster, ROSTER_APP)->members[2].is_balancer);
}

static void what_was_there_before_stays_until_the_next_change(void **state) {
  (void)state;
  assert_true(SET(ROSTER_APP, "a"));
  const struct config_service *before = roster_service(roster, ROSTER_APP);
  assert_true(SET(ROSTER_APP, "b"));
  assert_string_equal(before->members[2].name, "a");
  assert_true(roster_set(roster, ROSTER_APP, NULL, 0));
  assert_ptr_equal(roster_service(roster, ROSTER_APP), &roster_config.services[ROSTER_APP]);
  assert_int_equal(roster_revision(roster, ROSTER_APP), 3);
}

static void what_does_not_fit_the_configuration_is_left_out(void **state) {
  (void)state;
  struct member_record records[] = {roster_record("fra", 1), roster_record("gone", 1), roster_record("", 1),
                                    roster_record("nyc", 1), roster_record("fra", 1)};
  records[4].addresses[0].bytes[0] = 10;
  const struct roster_entry entries[] = {{"", "fixed-1", &records[0]}, /* configured already */
                                         {"", "m-gone", &records[1]},
                                         {"", "m-none", &records[2]},
                                         {"", "m-nyc", &records[3]},
                                         {"", "m-ten", &records[4]}};
  assert_true(roster_set(roster, ROSTER_APP, entries, 5));
  expect(ROSTER_APP, "fixed-2 fixed-1 m-none m-nyc m-ten");
  assert_true(roster_set(roster, ROSTER_NARROW, entries, 5)); /* fra alone, 127.0.0.0/8 alone */
  expect(ROSTER_NARROW, "fixed-1");
  assert_false(roster_set(roster, ROSTER_CLOSED, entries, 5));
  expect(ROSTER_CLOSED, "fixed-1");
}

static void no_more_members_than_are_accepted(void **state) {
  (void)state;
  char names[ROSTER_MOST + 2][8];
  const char *ids[ROSTER_MOST + 3] = {NULL};
  for (unsigned i = 0; i < ROSTER_MOST + 2; i++) {
    snprintf(names[i], sizeof names[i], "m%02u", i);
    ids[i] = names[i];
  }
  assert_true(set(ROSTER_APP, ids));
  const struct config_service *now = roster_service(roster, ROSTER_APP);
  assert_int_equal(now->member_count, 2 + ROSTER_MOST);
  assert_non_null(now->member_index);
  assert_int_equal(config_find_member(now, "m00"), 2);
  assert_int_equal(config_find_member(now, "m19"), 21);
  assert_true(config_find_member(now, "m20") == SIZE_MAX);
}

static void a_service_takes_a_vacancy_and_gives_it_back(void **state) {
  (void)state;
  size_t at = roster_place(roster, "blue.on.example.com");
  assert_int_equal(at, ROSTER_VACANCY_1);
  assert_true(SET(at, "a"));
  const struct config_service *now = roster_service(roster, at);
  assert_string_equal(now->name, "blue.on.example.com");
  assert_string_equal(now->srv, "_http._tcp");
  expect(at, "a");
  assert_int_equal(roster_find(roster, "Blue.on.example.com"), at);
  assert_int_equal(roster_place(roster, "blue.on.example.com"), at);
  assert_int_equal(roster_place(roster, "green.on.example.com"), ROSTER_VACANCY_2);
  assert_true(roster_place(roster, "red.on.example.com") == SIZE_MAX);
  assert_true(roster_set(roster, at, NULL, 0));
  assert_string_equal(roster_service(roster, at)->name, "");
  assert_int_equal(roster_service(roster, at)->member_count, 0);
  assert_true(roster_find(roster, "blue.on.example.com") == SIZE_MAX);
  assert_int_equal(roster_place(roster, "red.on.example.com"), at);
  assert_true(SET(at, "b"));
  assert_string_equal(roster_service(roster, at)->name, "red.on.example.com");
  assert_int_equal(roster_revision(roster, at), 3);
}

static void a_place_that_nobody_took_in_the_end_is_free_again(void **state) {
  (void)state;
  size_t at = roster_place(roster, "blue.on.example.com");
  assert_false(roster_set(roster, at, NULL, 0));
  assert_int_equal(roster_place(roster, "green.on.example.com"), at);
}

static void only_names_that_take_registrations_have_a_place(void **state) {
  (void)state;
  static const char *const names[] = {"",
                                      "closed.example.com",
                                      "other.example.com",
                                      "on.example.com",
                                      "a.b.on.example.com",
                                      "*.on.example.com",
                                      "-a.on.example.com",
                                      "a b.on.example.com"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    assert_true(roster_place(roster, names[i]) == SIZE_MAX);
  assert_int_equal(roster_place(roster, "app.example.com"), ROSTER_APP);
  assert_int_equal(roster_pattern_of(&roster_config, "A.on.example.com"), ROSTER_PATTERN);
  assert_true(roster_pattern_of(&roster_config, "a.b.on.example.com") == SIZE_MAX);
  assert_true(roster_pattern_of(&roster_config, "app.example.com") == SIZE_MAX);
}

#define ROSTER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      ROSTER_TEST(everything_is_as_configured_at_first),
      ROSTER_TEST(registered_members_follow_the_configured_ones),
      ROSTER_TEST(the_same_members_are_no_change),
      ROSTER_TEST(any_part_of_a_member_is_a_change),
      ROSTER_TEST(what_was_there_before_stays_until_the_next_change),
      ROSTER_TEST(what_does_not_fit_the_configuration_is_left_out),
      ROSTER_TEST(no_more_members_than_are_accepted),
      ROSTER_TEST(a_service_takes_a_vacancy_and_gives_it_back),
      ROSTER_TEST(a_place_that_nobody_took_in_the_end_is_free_again),
      ROSTER_TEST(only_names_that_take_registrations_have_a_place),
  };
  return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
