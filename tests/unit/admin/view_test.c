#include "tests/unit/admin/joined.h"

#include <jansson.h>

#include "gslb/admin/metrics.h"
#include "gslb/admin/view.h"

static struct test_house *house;
static struct view *view;

static int setup(void **state) {
  (void)state;
  void *made;
  house_setup(&made);
  house = made;
  struct view_sources sources = {house->durable, house->live, house->board, {0}, NULL};
  view = view_new(joined_config(), 1, &sources);
  joined_lease(house, "app.example.com", "r1", LEASE_LIVE, HEALTH_DRAINING);
  joined_member(house, "app.example.com", "r1");
  joined_member(house, "blue.on.example.com", "r2");
  return 0;
}

static int teardown(void **state) {
  (void)state;
  void *made = house;
  view_release(view);
  return house_teardown(&made);
}

static const char *text_at(json_t *document, const char *key) {
  return json_string_value(json_object_get(document, key));
}

static void members_that_registered_are_found_by_name(void **state) {
  (void)state;
  struct view_name name;
  assert_int_equal(view_find(view, NULL, "R1", &name, NULL), STATUS_OK);
  assert_string_equal(name.service, "app.example.com");
  assert_string_equal(name.member, "r1");
  assert_int_equal(view_find(view, "blue.on.example.com.", "r2", &name, NULL), STATUS_OK);
  assert_string_equal(name.service, "blue.on.example.com");
  assert_int_equal(view_find(view, "blue.on.example.com", "r1", &name, NULL), STATUS_NOTFOUND);
  assert_int_equal(view_find(view, "red.on.example.com", "r1", &name, NULL), STATUS_NOTFOUND);
  joined_member(house, "blue.on.example.com", "r1");
  json_t *candidates = NULL;
  assert_int_equal(view_find(view, NULL, "r1", &name, &candidates), STATUS_CONFLICT);
  assert_string_equal(json_string_value(json_array_get(candidates, 1)), "blue.on.example.com/r1");
  json_decref(candidates);
}

static void a_name_belongs_to_a_service_or_a_member(void **state) {
  (void)state;
  struct view_name name;
  assert_true(view_find_owner(view, "blue.on.example.com", &name));
  assert_string_equal(name.member, "");
  assert_true(view_find_owner(view, "r2.blue.on.example.com", &name));
  assert_string_equal(name.service, "blue.on.example.com");
  assert_string_equal(name.member, "r2");
  assert_false(view_find_owner(view, "r3.blue.on.example.com", &name));
  assert_false(view_find_owner(view, "com", &name));
}

static void a_registered_member_shows_what_it_told(void **state) {
  (void)state;
  json_t *member = view_member(view, (struct view_name){"app.example.com", "r1"});
  assert_string_equal(text_at(member, "state"), "draining");
  assert_string_equal(text_at(member, "reason"), "drain: kernel (told by itself)");
  assert_string_equal(text_at(member, "decided_by"), "self");
  assert_true(json_is_true(json_object_get(member, "registered")));
  assert_string_equal(text_at(member, "kind"), "server");
  assert_string_equal(text_at(json_object_get(member, "lease"), "state"), "live");
  assert_non_null(text_at(json_object_get(member, "lease"), "ends_at"));
  assert_string_equal(text_at(json_object_get(member, "self"), "state"), "drain");
  assert_string_equal(text_at(json_object_get(member, "self"), "reason"), "kernel");
  assert_int_equal(json_integer_value(json_object_get(member, "tier")), 1);
  assert_true(json_real_value(json_object_get(member, "utilization")) == 0.25);
  assert_string_equal(text_at(member, "instance"), "Web 1");
  assert_string_equal(text_at(json_object_get(member, "labels"), "rack"), "r7");
  assert_string_equal(text_at(json_object_get(member, "labels"), "bare"), "");
  json_decref(member);
}

static void a_configured_member_shows_that_it_is_none(void **state) {
  (void)state;
  json_t *member = view_member(view, (struct view_name){"web.example.com", "fixed"});
  assert_true(json_is_false(json_object_get(member, "registered")));
  assert_true(json_is_null(json_object_get(member, "kind")));
  assert_true(json_is_null(json_object_get(member, "lease")));
  assert_true(json_is_null(json_object_get(member, "self")));
  assert_true(json_is_null(json_object_get(member, "utilization")));
  json_decref(member);
}

static void a_member_without_a_lease_shows_that_it_ended(void **state) {
  (void)state;
  json_t *member = view_member(view, (struct view_name){"blue.on.example.com", "r2"});
  assert_string_equal(text_at(member, "state"), "down");
  assert_string_equal(text_at(member, "reason"), "lease ended");
  assert_string_equal(text_at(member, "decided_by"), "lease");
  json_decref(member);
}

static void a_member_that_went_meanwhile_is_gone(void **state) {
  (void)state;
  struct view_name name;
  assert_int_equal(view_find(view, NULL, "r1", &name, NULL), STATUS_OK);
  joined_leave(house, "app.example.com", "r1");
  json_t *member = view_member(view, name);
  assert_string_equal(text_at(member, "id"), "app.example.com/r1");
  assert_string_equal(text_at(member, "state"), "gone");
  json_decref(member);
}

static void lists_hold_what_is_there_and_no_vacancies_or_patterns(void **state) {
  (void)state;
  json_t *document = view_services(view), *services = json_object_get(document, "services");
  assert_int_equal(json_array_size(services), 3);
  assert_string_equal(text_at(json_array_get(services, 2), "name"), "blue.on.example.com");
  assert_int_equal(json_integer_value(json_object_get(json_array_get(services, 2), "members_registered")), 1);
  json_decref(document);
  struct view_filter filter = {.service = "blue.on.example.com"};
  document = view_members(view, &filter);
  assert_int_equal(json_array_size(json_object_get(document, "members")), 1);
  json_decref(document);
  filter.service = NULL;
  document = view_members(view, &filter);
  assert_int_equal(json_array_size(json_object_get(document, "members")), 3);
  json_decref(document);
  document = view_service_named(view, "*.on.example.com");
  assert_true(json_is_true(json_object_get(document, "pattern")));
  assert_int_equal(json_array_size(json_object_get(document, "members")), 0);
  json_decref(document);
  document = view_service_named(view, "Blue.on.example.com");
  assert_true(json_is_false(json_object_get(document, "pattern")));
  json_decref(document);
  assert_null(view_service_named(view, "red.on.example.com"));
  assert_true(view_find_service(view, "red.on.example.com") == SIZE_MAX);
}

static void metrics_tell_of_registered_members(void **state) {
  (void)state;
  size_t size;
  char *text = metrics_format(view, &size);
  assert_non_null(strstr(text, "gslb_member_utilization{service=\"app.example.com\",member=\"r1\"} 0.25\n"));
  assert_non_null(strstr(text, "gslb_member_stale{service=\"app.example.com\",member=\"r1\"} 0\n"));
  assert_non_null(strstr(text, "gslb_service_members_registered{service=\"blue.on.example.com\"} 1\n"));
  assert_null(strstr(text, "service=\"\""));
  assert_null(strstr(text, "*.on"));
  free(text);
}

#define VIEW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      VIEW_TEST(members_that_registered_are_found_by_name),
      VIEW_TEST(a_name_belongs_to_a_service_or_a_member),
      VIEW_TEST(a_registered_member_shows_what_it_told),
      VIEW_TEST(a_configured_member_shows_that_it_is_none),
      VIEW_TEST(a_member_without_a_lease_shows_that_it_ended),
      VIEW_TEST(a_member_that_went_meanwhile_is_gone),
      VIEW_TEST(lists_hold_what_is_there_and_no_vacancies_or_patterns),
      VIEW_TEST(metrics_tell_of_registered_members),
  };
  return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
