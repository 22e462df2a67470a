#include "tests/unit/admin/joined.h"

#include "gslb/model/chronicle.h"
#include "gslb/admin/follow.h"
#include "gslb/admin/news.h"
#include "gslb/admin/slots.h"
#include "gslb/model/facts.h"

struct scene {
  struct test_house *house;
  struct config *config;
  struct slots *slots;
  struct follow *follow;
  struct news news;
};

static int setup(void **state) {
  struct scene *scene = mem_alloc(sizeof *scene);
  void *house;
  house_setup(&house);
  scene->house = house;
  scene->config = joined_config();
  scene->slots = slots_new();
  *state = scene;
  return 0;
}

static int teardown(void **state) {
  struct scene *scene = *state;
  void *house = scene->house;
  news_release(&scene->news);
  follow_free(scene->follow);
  slots_free(scene->slots);
  config_free(scene->config);
  free(scene);
  return house_teardown(&house);
}

/* A round as the keeper makes it: what is found is in scene->news, and stored. */
static void look(struct scene *scene, int64_t now_ms) {
  struct store_txn *txn;
  struct errbuf err;
  news_release(&scene->news);
  if (!scene->follow)
    scene->follow = follow_new(scene->config, scene->house->durable, scene->house->live, NULL);
  scene->news.now_ms = now_ms;
  assert_int_equal(follow_look(scene->follow, scene->slots, &scene->news, &err), STATUS_OK);
  assert_int_equal(store_begin(scene->house->durable, true, &txn, &err), STATUS_OK);
  assert_int_equal(news_apply(&scene->news, txn, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
}

static void expect_event(const struct scene *scene, const char *member, const char *from, const char *to,
                         const char *reason) {
  for (size_t i = 0; i < scene->news.event_count; i++) {
    const struct event_record *event = &scene->news.events[i];
    if (strcmp(event->kind, "health") != 0 || strcmp(event->member, member) != 0)
      continue;
    assert_string_equal(event->from, from);
    assert_string_equal(event->to, to);
    assert_string_equal(event->reason, reason);
    return;
  }
  fail_msg("no event of %s", member);
}

static size_t count_health(const struct scene *scene) {
  size_t count = 0;
  for (size_t i = 0; i < scene->news.event_count; i++)
    count += strcmp(scene->news.events[i].kind, "health") == 0;
  return count;
}

static uint32_t slot_of(struct scene *scene, const char *service, const char *member) {
  struct record_key key;
  struct store_txn *txn;
  struct errbuf err;
  struct store_bytes value;
  struct slot_record slot = {FACTS_NO_SLOT};
  record_key_member(service, member, &key);
  assert_int_equal(store_begin(scene->house->durable, false, &txn, &err), STATUS_OK);
  if (store_get(txn, STORE_DB_SLOTS, (struct store_bytes){key.bytes, key.size}, &value) == STATUS_OK)
    assert_int_equal(slot_decode(value.data, value.size, &slot), STATUS_OK);
  store_abort(txn);
  return slot.slot;
}

static void a_registration_and_the_end_of_its_lease_are_told(void **state) {
  struct scene *scene = *state;
  look(scene, HOUSE_NOW_MS);
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_UNKNOWN);
  joined_member(scene->house, "app.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  expect_event(scene, "r1", "unknown", "up", "registered");
  assert_true(slot_of(scene, "app.example.com", "r1") != FACTS_NO_SLOT);
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 0);
  joined_lease(scene->house, "app.example.com", "r1", LEASE_ENDED, HEALTH_UNKNOWN);
  look(scene, HOUSE_NOW_MS);
  expect_event(scene, "r1", "up", "down", "lease ended");
  joined_leave(scene->house, "app.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 0); /* that it was lost is known */
  assert_int_equal(slot_of(scene, "app.example.com", "r1"), FACTS_NO_SLOT);
}

static void a_member_is_no_news_before_its_lease_is_written(void **state) {
  struct scene *scene = *state;
  look(scene, HOUSE_NOW_MS);
  joined_member(scene->house, "app.example.com", "r1");
  joined_member(scene->house, "blue.on.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(scene->news.event_count, 0);
  assert_int_equal(scene->news.empty_count, 0);
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_UNKNOWN);
  look(scene, HOUSE_NOW_MS);
  expect_event(scene, "r1", "unknown", "up", "registered");
}

static void what_a_member_says_of_itself_is_told_in_its_words(void **state) {
  struct scene *scene = *state;
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_UP);
  joined_member(scene->house, "app.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_DRAINING);
  look(scene, HOUSE_NOW_MS);
  expect_event(scene, "r1", "up", "draining", "drain: kernel (told by itself)");
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_DOWN);
  look(scene, HOUSE_NOW_MS);
  expect_event(scene, "r1", "draining", "down", "maint: kernel (told by itself)");
}

static void states_stay_with_their_names_when_indices_move(void **state) {
  struct scene *scene = *state;
  joined_lease(scene->house, "app.example.com", "b", LEASE_LIVE, HEALTH_DRAINING);
  joined_member(scene->house, "app.example.com", "b");
  joined_lease(scene->house, "app.example.com", "d", LEASE_LIVE, HEALTH_DOWN);
  joined_member(scene->house, "app.example.com", "d");
  look(scene, HOUSE_NOW_MS);
  uint32_t slot = slot_of(scene, "app.example.com", "d");
  joined_lease(scene->house, "app.example.com", "a", LEASE_LIVE, HEALTH_UP);
  joined_member(scene->house, "app.example.com", "a");
  joined_lease(scene->house, "app.example.com", "c", LEASE_ENDED, HEALTH_UNKNOWN);
  joined_member(scene->house, "app.example.com", "c");
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 2);
  expect_event(scene, "a", "unknown", "up", "up: kernel (told by itself)");
  expect_event(scene, "c", "unknown", "down", "lease ended");
  joined_leave(scene->house, "app.example.com", "b");
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 1);
  expect_event(scene, "b", "draining", "gone", "it is not registered any more");
  assert_int_equal(slot_of(scene, "app.example.com", "d"), slot);
}

static void place_of_a_member_that_left_is_given_back(void **state) {
  struct scene *scene = *state;
  joined_lease(scene->house, "web.example.com", "r1", LEASE_LIVE, HEALTH_UP);
  joined_member(scene->house, "web.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  uint32_t slot = slot_of(scene, "web.example.com", "r1");
  assert_int_equal(slot, 1);
  joined_leave(scene->house, "web.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  for (uint32_t i = 2; i < BOARD_SLOTS; i++)
    assert_int_equal(slots_take(scene->slots), i);
  assert_int_equal(slots_take(scene->slots), slot);
  assert_int_equal(slots_take(scene->slots), FACTS_NO_SLOT);
}

static void latches_of_a_member_that_left_go_with_it(void **state) {
  struct scene *scene = *state;
  scene->config->services[0].when_down = WHEN_DOWN_LAST;
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_UP);
  joined_member(scene->house, "app.example.com", "r1");
  joined_lease(scene->house, "app.example.com", "r11", LEASE_LIVE, HEALTH_UP);
  joined_member(scene->house, "app.example.com", "r11");
  look(scene, HOUSE_NOW_MS);
  joined_leave(scene->house, "app.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  struct store_txn *txn;
  struct errbuf err;
  struct record_key key;
  struct store_bytes value;
  const struct addr address = {.family = 4, .bytes = {127, 0, 0, 77}};
  assert_int_equal(store_begin(scene->house->durable, false, &txn, &err), STATUS_OK);
  record_key_address("app.example.com", "r1", &address, &key);
  assert_int_equal(store_get(txn, STORE_DB_LATCHES, (struct store_bytes){key.bytes, key.size}, &value), STATUS_NODATA);
  record_key_address("app.example.com", "r11", &address, &key);
  assert_int_equal(store_get(txn, STORE_DB_LATCHES, (struct store_bytes){key.bytes, key.size}, &value), STATUS_OK);
  store_abort(txn);
}

static void registered_members_are_recalled_after_a_restart_and_a_reload(void **state) {
  struct scene *scene = *state;
  look(scene, HOUSE_NOW_MS);
  joined_lease(scene->house, "blue.on.example.com", "r1", LEASE_LIVE, HEALTH_DRAINING);
  joined_member(scene->house, "blue.on.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 1);
  follow_free(scene->follow);
  scene->follow = NULL;
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 0);
  assert_int_equal(scene->news.event_count, 0);

  struct config *next = joined_config();
  struct follow *before = scene->follow;
  scene->follow = follow_new(next, NULL, scene->house->live, before); /* events would tell as well */
  follow_free(scene->follow);
  scene->follow = follow_new(next, scene->house->durable, scene->house->live, before);
  follow_free(before);
  config_free(scene->config);
  scene->config = next;
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(scene->news.event_count, 0);
}

static void who_was_registered_before_the_first_look_is_no_news(void **state) {
  struct scene *scene = *state;
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_UNKNOWN);
  joined_member(scene->house, "app.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 0);
}

static void a_vacancy_begins_anew_with_each_name(void **state) {
  struct scene *scene = *state;
  look(scene, HOUSE_NOW_MS);
  joined_lease(scene->house, "blue.on.example.com", "r1", LEASE_LIVE, HEALTH_DRAINING);
  joined_member(scene->house, "blue.on.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  joined_leave(scene->house, "blue.on.example.com", "r1");
  joined_member(scene->house, "red.on.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(count_health(scene), 2);
  for (size_t i = 0; i < scene->news.event_count; i++) {
    const struct event_record *event = &scene->news.events[i];
    if (strcmp(event->kind, "health") == 0)
      assert_string_equal(event->to, strcmp(event->service, "red.on.example.com") == 0 ? "draining" : "gone");
  }
}

static void an_empty_service_calls_its_command_at_most_once_in_its_interval(void **state) {
  struct scene *scene = *state;
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(scene->news.empty_count, 1); /* empty from the start */
  assert_string_equal(scene->news.empties[0], "app.example.com");
  assert_int_equal(follow_due_ms(scene->follow), HOUSE_NOW_MS + JOINED_EMPTY_INTERVAL_MS);
  joined_lease(scene->house, "app.example.com", "r1", LEASE_LIVE, HEALTH_UNKNOWN);
  joined_member(scene->house, "app.example.com", "r1");
  look(scene, HOUSE_NOW_MS + 10);
  assert_int_equal(scene->news.empty_count, 0);
  assert_true(follow_due_ms(scene->follow) == INT64_MAX);
  joined_lease(scene->house, "app.example.com", "r1", LEASE_ENDED, HEALTH_UNKNOWN);
  look(scene, HOUSE_NOW_MS + 20);
  assert_int_equal(scene->news.empty_count, 0); /* too soon, but not forgotten */
  assert_int_equal(follow_due_ms(scene->follow), HOUSE_NOW_MS + JOINED_EMPTY_INTERVAL_MS);
  look(scene, HOUSE_NOW_MS + JOINED_EMPTY_INTERVAL_MS);
  assert_int_equal(scene->news.empty_count, 1);
}

static void a_restart_does_not_call_the_command_too_soon(void **state) {
  struct scene *scene = *state;
  struct store_txn *txn;
  struct errbuf err;
  struct event_record event = {.at_ms = HOUSE_NOW_MS - 1000, .kind = "on_empty", .service = "app.example.com"};
  assert_int_equal(store_begin(scene->house->durable, true, &txn, &err), STATUS_OK);
  assert_int_equal(chronicle_write_event(txn, &event, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
  look(scene, HOUSE_NOW_MS);
  assert_int_equal(scene->news.empty_count, 0);
  assert_int_equal(follow_due_ms(scene->follow), HOUSE_NOW_MS - 1000 + JOINED_EMPTY_INTERVAL_MS);
}

static void note_gone(void *context, const struct record_key *key) {
  (void)key;
  ++*(unsigned *)context;
}

static void places_of_registered_members_are_kept_over_a_restart(void **state) {
  struct scene *scene = *state;
  joined_member(scene->house, "app.example.com", "r1");
  joined_member(scene->house, "blue.on.example.com", "r1");
  look(scene, HOUSE_NOW_MS);
  unsigned gone = 0;
  struct errbuf err;
  assert_int_equal(slots_load(scene->slots, scene->house->durable, scene->config, note_gone, &gone, &err), STATUS_OK);
  assert_int_equal(gone, 0);
  joined_leave(scene->house, "blue.on.example.com", "r1");
  assert_int_equal(slots_load(scene->slots, scene->house->durable, scene->config, note_gone, &gone, &err), STATUS_OK);
  assert_int_equal(gone, 1);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(a_registration_and_the_end_of_its_lease_are_told),
      SCENE_TEST(a_member_is_no_news_before_its_lease_is_written),
      SCENE_TEST(what_a_member_says_of_itself_is_told_in_its_words),
      SCENE_TEST(states_stay_with_their_names_when_indices_move),
      SCENE_TEST(place_of_a_member_that_left_is_given_back),
      SCENE_TEST(latches_of_a_member_that_left_go_with_it),
      SCENE_TEST(registered_members_are_recalled_after_a_restart_and_a_reload),
      SCENE_TEST(who_was_registered_before_the_first_look_is_no_news),
      SCENE_TEST(a_vacancy_begins_anew_with_each_name),
      SCENE_TEST(an_empty_service_calls_its_command_at_most_once_in_its_interval),
      SCENE_TEST(a_restart_does_not_call_the_command_too_soon),
      SCENE_TEST(places_of_registered_members_are_kept_over_a_restart),
  };
  return cmocka_run_group_tests_name("follow registered members", tests, NULL, NULL);
}
