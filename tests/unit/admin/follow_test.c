#include "tests/unit/admin/house.h"

#include "gslb/admin/follow.h"
#include "gslb/admin/news.h"
#include "gslb/admin/slots.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/facts.h"

static void look(struct follow *follow, struct slots *slots, int64_t now_ms, struct news *news) {
  struct errbuf err;
  *news = (struct news){.now_ms = now_ms};
  assert_int_equal(follow_look(follow, slots, news, &err), STATUS_OK);
}

static void store_news(struct test_house *house, struct news *news) {
  struct store_txn *txn;
  struct errbuf err;
  assert_int_equal(store_begin(house->durable, true, &txn, &err), STATUS_OK);
  assert_int_equal(news_apply(news, txn, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
  news_release(news);
}

static const struct event_record *find_event(const struct news *news, const char *kind, const char *member) {
  for (size_t i = 0; i < news->event_count; i++)
    if (strcmp(news->events[i].kind, kind) == 0 && strcmp(news->events[i].member, member) == 0)
      return &news->events[i];
  return NULL;
}

static size_t count_rows(const struct news *news, enum store_db db) {
  size_t count = 0;
  for (size_t i = 0; i < news->row_count; i++)
    count += news->rows[i].db == db;
  return count;
}

static void every_member_gets_a_slot_once(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config();
  struct slots *slots = slots_new();
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(count_rows(&news, STORE_DB_SLOTS), 3);
  store_news(house, &news);
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(count_rows(&news, STORE_DB_SLOTS), 0);
  news_release(&news);
  follow_free(follow);
  slots_free(slots);
  config_free(config);
}

static void a_change_is_told_once_with_its_cause(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config();
  struct slots *slots = slots_new();
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count, 0);
  store_news(house, &news);

  house_probe(house, "www.example.com", "two", "127.0.0.12", HEALTH_DOWN, "connection refused");
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count, 1);
  const struct event_record *event = find_event(&news, "health", "two");
  assert_non_null(event);
  assert_string_equal(event->service, "www.example.com");
  assert_string_equal(event->from, "unknown");
  assert_string_equal(event->to, "down");
  assert_string_equal(event->reason, "port: connection refused");
  store_news(house, &news);

  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count + news.row_count, 0);
  news_release(&news);
  follow_free(follow);
  slots_free(slots);
  config_free(config);
}

static void the_past_is_recalled_after_a_restart(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config();
  struct slots *slots = slots_new();
  house_probe(house, "www.example.com", "two", "127.0.0.12", HEALTH_UP, "connected");
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_non_null(find_event(&news, "health", "two"));
  assert_non_null(find_event(&news, "service", ""));
  store_news(house, &news);
  follow_free(follow);

  follow = follow_new(config, house->durable, house->live, NULL);
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count, 0);
  news_release(&news);
  follow_free(follow);
  slots_free(slots);
  config_free(config);
}

static void a_new_configuration_keeps_what_was_known(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config(), *next = house_config();
  struct slots *slots = slots_new();
  house_probe(house, "www.example.com", "two", "127.0.0.12", HEALTH_UP, "connected");
  struct follow *before = follow_new(config, NULL, house->live, NULL);
  struct news news;
  look(before, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count, 2);
  news_release(&news);
  struct follow *follow = follow_new(next, NULL, house->live, before);
  follow_free(before);
  config_free(config);
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count, 0);
  news_release(&news);
  follow_free(follow);
  slots_free(slots);
  config_free(next);
}

static void the_last_good_set_is_latched_and_kept_when_all_fall(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config();
  struct slots *slots = slots_new();
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  house_probe(house, "www.example.com", "one", "127.0.0.11", HEALTH_DOWN, "refused");
  house_probe(house, "www.example.com", "one", "::1", HEALTH_DOWN, "refused");
  house_probe(house, "www.example.com", "two", "127.0.0.12", HEALTH_UP, "connected");
  struct news news;
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(count_rows(&news, STORE_DB_LATCHES), 1);
  store_news(house, &news);

  house_probe(house, "www.example.com", "two", "127.0.0.12", HEALTH_DOWN, "refused");
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(count_rows(&news, STORE_DB_LATCHES), 0);
  assert_string_equal(find_event(&news, "service", "")->to, "down-last");
  news_release(&news);
  follow_free(follow);
  slots_free(slots);
  config_free(config);
}

static void a_member_without_monitors_is_no_news(void **state) {
  struct test_house *house = *state;
  struct problems problems = {0};
  const char text[] = "server: {identity: a, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
                      "zones: [{name: example.com, file: example.com.zone}]\n"
                      "services: [{name: plain.example.com, members: [{name: only, addresses: [127.0.0.31]}]}]\n";
  struct config *config = config_parse("/tmp/gslb.yaml", text, strlen(text), &problems);
  assert_non_null(config);
  struct slots *slots = slots_new();
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count, 0);
  store_news(house, &news);

  house_override(house, "plain.example.com", "only", OVERRIDE_DOWN, 0);
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_string_equal(find_event(&news, "health", "only")->from, "up");
  assert_string_equal(find_event(&news, "service", "")->from, "normal");
  news_release(&news);
  follow_free(follow);
  slots_free(slots);
  config_free(config);
}

static void an_override_ends_by_time_alone(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config();
  struct slots *slots = slots_new();
  house_probe(house, "api.example.com", "one", "127.0.0.21", HEALTH_UP, "connected");
  house_override(house, "api.example.com", "one", OVERRIDE_DOWN, HOUSE_NOW_MS + 500);
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_string_equal(find_event(&news, "health", "one")->to, "down");
  assert_string_equal(find_event(&news, "health", "one")->reason, "operator ann: disk");
  assert_int_equal(follow_due_ms(follow), HOUSE_NOW_MS + 500);
  store_news(house, &news);

  look(follow, slots, HOUSE_NOW_MS + 499, &news);
  assert_int_equal(news.event_count, 0);
  news_release(&news);
  look(follow, slots, HOUSE_NOW_MS + 500, &news);
  assert_string_equal(find_event(&news, "health", "one")->to, "up");
  assert_string_equal(find_event(&news, "override", "one")->to, "none");
  assert_int_equal(count_rows(&news, STORE_DB_ADMIN), 1);
  store_news(house, &news);
  look(follow, slots, HOUSE_NOW_MS + 501, &news);
  assert_int_equal(news.row_count, 0);
  news_release(&news);
  follow_free(follow);
  slots_free(slots);
  config_free(config);
}

static void an_override_set_anew_is_not_ended(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config();
  struct slots *slots = slots_new();
  house_override(house, "api.example.com", "one", OVERRIDE_DOWN, HOUSE_NOW_MS - 1);
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  look(follow, slots, HOUSE_NOW_MS, &news);
  assert_int_equal(count_rows(&news, STORE_DB_ADMIN), 1);
  house_override(house, "api.example.com", "one", OVERRIDE_DRAIN, 0); /* before the news are stored */
  store_news(house, &news);

  struct facts *facts = facts_new(config, house->durable, house->live);
  struct errbuf err;
  assert_int_equal(facts_refresh(facts, NULL, NULL, &err), STATUS_OK);
  assert_int_equal(facts_service(facts, 1)->members[0].override->kind, OVERRIDE_DRAIN);
  facts_free(facts);
  follow_free(follow);
  slots_free(slots);
  config_free(config);
}

static bool count_event(void *context, uint64_t id, const struct event_record *event) {
  uint64_t *seen = context;
  (void)event;
  if (seen[0]++ == 0)
    seen[1] = id;
  return true;
}

static void only_the_newest_events_are_kept(void **state) {
  struct test_house *house = *state;
  struct store_txn *txn;
  struct errbuf err;
  assert_int_equal(store_begin(house->durable, true, &txn, &err), STATUS_OK);
  struct event_record event = {.at_ms = HOUSE_NOW_MS, .kind = "health"};
  for (unsigned i = 0; i < CHRONICLE_EVENTS_MOST + 7; i++)
    assert_int_equal(chronicle_write_event(txn, &event, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
  uint64_t seen[2] = {0};
  assert_int_equal(chronicle_read_events(house->durable, count_event, seen, &err), STATUS_OK);
  assert_int_equal(seen[0], CHRONICLE_EVENTS_MOST);
  assert_int_equal(seen[1], CHRONICLE_EVENTS_MOST + 7);
}

static void note_gone(void *context, const struct record_key *key) {
  struct record_key *gone = context;
  *gone = *key;
}

static void a_place_of_a_member_that_is_gone_is_taken_last(void **state) {
  struct test_house *house = *state;
  struct config *config = house_config();
  uint8_t value[RECORD_SIZE_MOST];
  struct record_key key, left, gone = {.size = 0};
  size_t size = slot_encode(&(struct slot_record){.slot = 4}, value);
  record_key_member("www.example.com", "two", &key);
  house_put(house->durable, STORE_DB_SLOTS, &key, value, size, "www.example.com");
  size = slot_encode(&(struct slot_record){.slot = 6}, value);
  record_key_member("www.example.com", "left", &left);
  house_put(house->durable, STORE_DB_SLOTS, &left, value, size, "www.example.com");

  struct slots *slots = slots_new();
  struct errbuf err;
  assert_int_equal(slots_load(slots, house->durable, config, note_gone, &gone, &err), STATUS_OK);
  assert_int_equal(gone.size, left.size);
  assert_memory_equal(gone.bytes, left.bytes, left.size);
  for (uint32_t slot = 7; slot < BOARD_SLOTS; slot++)
    assert_int_equal(slots_take(slots), slot);
  static const uint32_t rest[] = {0, 1, 2, 3, 5, 6};
  for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
    assert_int_equal(slots_take(slots), rest[i]);
  assert_int_equal(slots_take(slots), FACTS_NO_SLOT);
  slots_free(slots);
  config_free(config);
}

#define HOUSE_TEST(name) cmocka_unit_test_setup_teardown(name, house_setup, house_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      HOUSE_TEST(every_member_gets_a_slot_once),
      HOUSE_TEST(a_change_is_told_once_with_its_cause),
      HOUSE_TEST(the_past_is_recalled_after_a_restart),
      HOUSE_TEST(a_new_configuration_keeps_what_was_known),
      HOUSE_TEST(the_last_good_set_is_latched_and_kept_when_all_fall),
      HOUSE_TEST(a_member_without_monitors_is_no_news),
      HOUSE_TEST(an_override_ends_by_time_alone),
      HOUSE_TEST(an_override_set_anew_is_not_ended),
      HOUSE_TEST(only_the_newest_events_are_kept),
      HOUSE_TEST(a_place_of_a_member_that_is_gone_is_taken_last),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
