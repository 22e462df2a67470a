#include "tests/unit/admin/house.h"

#include <math.h>

#include <jansson.h>

#include "gslb/admin/follow.h"
#include "gslb/admin/metrics.h"
#include "gslb/admin/news.h"
#include "gslb/admin/view.h"
#include "gslb/model/metrics.h"

static const char load_text[] =
    "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
    "zones: [{name: example.com, file: example.com.zone}]\n"
    "sources:\n"
    "  - {name: check, type: agent_check, port: 9}\n"
    "loads:\n"
    "  - name: front\n"
    "    metrics:\n"
    "      - {name: cpu, weight: 3, threshold: 0.9, release: 0.8}\n"
    "      - {name: free, source: scrape, ceiling: 8, more_is_better: true, view: mean}\n"
    "services:\n"
    "  - name: www.example.com\n"
    "    load: front\n"
    "    members: [{name: one, addresses: [127.0.0.11]}, {name: two, addresses: [127.0.0.12]}]\n"
    "  - name: api.example.com\n"
    "    sources: [check]\n"
    "    members: [{name: one, addresses: [127.0.0.21]}]\n"
    "  - name: own.example.com\n"
    "    load: {metrics: [{name: cpu}]}\n"
    "    members: [{name: one, addresses: [127.0.0.31]}]\n";

static struct test_house *house;
static struct config *config;
static struct view *view;

static struct config *read_config(void) {
  struct problems problems = {0};
  struct config *read = config_parse("/tmp/gslb.yaml", load_text, strlen(load_text), &problems);
  if (!read)
    fail_msg("%s", problems_format(&problems));
  problems_release(&problems);
  return read;
}

static int setup(void **state) {
  (void)state;
  void *made;
  house_setup(&made);
  house = made;
  config = read_config();
  struct view_sources sources = {house->durable, house->live, house->board, {0}, NULL};
  view = view_new(read_config(), 1, &sources);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  void *made = house;
  view_release(view);
  config_free(config);
  return house_teardown(&made);
}

static void tell(const char *service, const char *member, enum store_db db, const struct metrics_record *record) {
  struct record_key key;
  size_t size;
  uint8_t *value = metrics_encode(record, &size);
  record_key_member(service, member, &key);
  house_put(house->live, db, &key, value, size, service);
  free(value);
}

static void tell_front(const char *member, double cpu, double mean_free, int64_t at_ms) {
  struct metrics_record record = {.at_ms = at_ms, .interval_ms = 3600000, .read = 7, .failed = 2, .count = 3};
  strcpy(record.reason, "connection refused");
  strcpy(record.values[0].name, "cpu");
  record.values[0].value = cpu;
  strcpy(record.values[1].name, "free");
  record.values[1] = (struct metric_value){.name = "free", .value = 1, .has_views = true, .mean = mean_free, .peak = 8};
  strcpy(record.values[2].name, "unused");
  record.values[2].value = 5;
  tell("www.example.com", member, STORE_DB_METRICS_SCRAPE, &record);
}

static double number(json_t *object, const char *key) {
  json_t *value = json_object_get(object, key);
  assert_true(json_is_number(value));
  return json_number_value(value);
}

static void near(double value, double expected) {
  if (fabs(value - expected) > 1e-9)
    fail_msg("%.12g, not %.12g", value, expected);
}

static json_t *read_load(const char *service, const char *member) {
  struct view_name name;
  assert_int_equal(view_find(view, service, member, &name, NULL), STATUS_OK);
  json_t *document = view_load(view, &name);
  assert_non_null(document);
  return document;
}

static void every_term_is_shown_with_its_share(void **state) {
  (void)state;
  int64_t now_ms = house_now_ms(&view_sources(view)->house);
  tell_front("one", 0.4, 2, now_ms);
  json_t *document = read_load("www.example.com", "one");
  json_t *load = json_object_get(document, "load"), *terms = json_object_get(load, "terms");
  near(number(load, "load"), (3 * 0.4 + 0.75) / 4);
  near(number(document, "headroom"), 1 - (3 * 0.4 + 0.75) / 4);
  assert_string_equal(json_string_value(json_object_get(load, "section")), "front");
  json_t *cpu = json_array_get(terms, 0), *free_term = json_array_get(terms, 1);
  assert_string_equal(json_string_value(json_object_get(cpu, "source")), "scrape");
  near(number(cpu, "value"), 0.4);
  near(number(cpu, "share"), 0.3);
  near(number(cpu, "threshold"), 0.9);
  assert_string_equal(json_string_value(json_object_get(free_term, "view")), "mean");
  near(number(free_term, "value"), 2);
  near(number(free_term, "ratio"), 0.75);
  near(number(free_term, "share"), 0.1875);
  json_decref(document);
  document = read_load("www.example.com", "two"); /* tells nothing: the group's mean */
  load = json_object_get(document, "load");
  near(number(load, "load"), (3 * 0.4 + 0.75) / 4);
  assert_true(json_is_null(json_object_get(json_array_get(json_object_get(load, "terms"), 0), "source")));
  assert_int_equal(json_array_size(json_object_get(document, "sources")), 0);
  json_decref(document);
}

static void section_of_the_service_itself_has_no_name(void **state) {
  (void)state;
  json_t *document = read_load("own.example.com", "one");
  json_t *load = json_object_get(document, "load");
  assert_true(json_is_object(load));
  assert_true(json_is_null(json_object_get(load, "section")));
  json_decref(document);
}

static void sources_are_shown_as_stored(void **state) {
  (void)state;
  tell_front("one", 0.4, 2, house_now_ms(&view_sources(view)->house));
  json_t *document = read_load("www.example.com", "one"), *source;
  source = json_array_get(json_object_get(document, "sources"), 0);
  assert_string_equal(json_string_value(json_object_get(source, "source")), "scrape");
  assert_string_equal(json_string_value(json_object_get(source, "reason")), "connection refused");
  near(number(source, "failed"), 2);
  near(number(source, "interval_s"), 3600);
  json_t *values = json_object_get(source, "values");
  assert_int_equal(json_array_size(values), 3);
  near(number(json_array_get(values, 1), "peak"), 8);
  assert_true(json_is_null(json_object_get(json_array_get(values, 0), "mean")));
  json_decref(document);
}

static void member_without_a_load_section_shows_its_sources(void **state) {
  (void)state;
  struct metrics_record record = {.at_ms = 1, .has_self = true, .self = HEALTH_DRAINING, .self_reason = "drain"};
  tell("api.example.com", "one", STORE_DB_METRICS_CHECK, &record);
  json_t *document = read_load("api.example.com", "one");
  assert_true(json_is_null(json_object_get(document, "load")));
  assert_string_equal(json_string_value(json_object_get(document, "state")), "draining");
  json_t *source = json_array_get(json_object_get(document, "sources"), 0);
  assert_string_equal(json_string_value(json_object_get(source, "self")), "draining");
  json_decref(document);
  json_t *member = view_member(view, (struct view_name){"api.example.com", "one"});
  assert_string_equal(json_string_value(json_object_get(member, "reason")), "drain (told by its agent-check)");
  json_decref(member);
}

static void metrics_tell_load_and_thresholds(void **state) {
  (void)state;
  tell_front("one", 0.95, 8, house_now_ms(&view_sources(view)->house));
  size_t size;
  char *text = metrics_format(view, &size);
  assert_non_null(strstr(text, "gslb_member_load{service=\"www.example.com\",member=\"one\"} 0.7125\n"));
  assert_non_null(strstr(text, "gslb_member_over{service=\"www.example.com\",member=\"one\"} 1\n"));
  assert_null(strstr(text, "gslb_member_over{service=\"api.example.com\""));
  free(text);
}

static void look(struct follow *follow, int64_t now_ms, struct news *news) {
  struct errbuf err;
  *news = (struct news){.now_ms = now_ms};
  assert_int_equal(follow_look(follow, NULL, news, &err), STATUS_OK);
}

static void store_news(struct news *news) {
  struct store_txn *txn;
  struct errbuf err;
  assert_int_equal(store_begin(house->durable, true, &txn, &err), STATUS_OK);
  assert_int_equal(news_apply(news, txn, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
  news_release(news);
}

static const struct event_record *load_event(const struct news *news) {
  const struct event_record *found = NULL;
  for (size_t i = 0; i < news->event_count; i++)
    if (strcmp(news->events[i].kind, "load") == 0) {
      assert_null(found);
      found = &news->events[i];
    }
  return found;
}

static void passed_thresholds_are_latched_and_told_once(void **state) {
  (void)state;
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  tell_front("one", 0.85, 8, HOUSE_NOW_MS);
  look(follow, HOUSE_NOW_MS, &news);
  assert_null(load_event(&news));
  store_news(&news);
  tell_front("one", 0.95, 8, HOUSE_NOW_MS);
  look(follow, HOUSE_NOW_MS, &news);
  const struct event_record *event = load_event(&news);
  assert_non_null(event);
  assert_string_equal(event->member, "one");
  assert_string_equal(event->from, "within");
  assert_string_equal(event->to, "over");
  assert_string_equal(event->reason, "cpu 0.95 is above 0.9 (last, scrape)");
  store_news(&news);
  tell_front("one", 0.85, 8, HOUSE_NOW_MS); /* not below release yet */
  look(follow, HOUSE_NOW_MS, &news);
  assert_null(load_event(&news));
  store_news(&news);
  follow_free(follow);

  follow = follow_new(config, house->durable, house->live, NULL); /* a restart forgets nothing */
  look(follow, HOUSE_NOW_MS, &news);
  assert_null(load_event(&news));
  store_news(&news);
  tell_front("one", 0.75, 8, HOUSE_NOW_MS);
  look(follow, HOUSE_NOW_MS, &news);
  event = load_event(&news);
  assert_non_null(event);
  assert_string_equal(event->to, "within");
  assert_string_equal(event->reason, "cpu 0.75 is below 0.8 (last, scrape)");
  store_news(&news);
  look(follow, HOUSE_NOW_MS, &news);
  assert_int_equal(news.event_count + news.row_count, 0);
  news_release(&news);
  follow_free(follow);
}

static void figure_that_is_too_old_passes_nothing(void **state) {
  (void)state;
  struct follow *follow = follow_new(config, house->durable, house->live, NULL);
  struct news news;
  tell_front("one", 0.95, 8, HOUSE_NOW_MS);
  look(follow, HOUSE_NOW_MS, &news);
  assert_non_null(load_event(&news));
  store_news(&news);
  look(follow, HOUSE_NOW_MS, &news);
  news_release(&news);
  assert_true(follow_due_ms(follow) == HOUSE_NOW_MS + 5400000); /* fades from one and a half hours on */
  look(follow, HOUSE_NOW_MS + 36000000, &news);
  const struct event_record *event = load_event(&news);
  assert_non_null(event);
  assert_string_equal(event->reason, "cpu: no figure any more");
  news_release(&news);
  follow_free(follow);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_term_is_shown_with_its_share),    TEST(section_of_the_service_itself_has_no_name),
      TEST(sources_are_shown_as_stored),           TEST(member_without_a_load_section_shows_its_sources),
      TEST(metrics_tell_load_and_thresholds),      TEST(passed_thresholds_are_latched_and_told_once),
      TEST(figure_that_is_too_old_passes_nothing),
  };
  return cmocka_run_group_tests_name("load of members", tests, NULL, NULL);
}
