#include "tests/unit/admin/house.h"

#include "gslb/admin/historian.h"
#include "gslb/admin/history_plan.h"
#include "gslb/admin/history_sample.h"
#include "gslb/admin/view.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/history.h"
#include "gslb/model/metrics.h"
#include "gslb/model/registration.h"

#define HOUR (HOUSE_NOW_MS / HISTORY_HOUR_MS)
#define MINUTE (HOUR * 60)
#define AT(minute, ms) ((MINUTE + (minute)) * HISTORY_MINUTE_MS + (ms))

struct scene {
  struct test_house *house;
  struct house time;
  struct views views;
  struct committer *committer;
  struct history_plan *plan;
  struct errbuf err;
};

static struct view *make_view(struct scene *scene, bool has_history) {
  struct view_sources sources = {scene->house->durable, scene->house->live, scene->house->board, scene->time, NULL};
  struct config *config = house_config();
  config->has_history = has_history;
  return view_new(config, 1, &sources);
}

static void begin_plan(struct scene *scene) {
  struct history_plan_links links = {.views = &scene->views, .committer = scene->committer};
  scene->plan = history_plan_new(&links);
}

static int scene_setup(void **state) {
  void *house;
  house_setup(&house);
  struct scene *scene = mem_alloc(sizeof *scene);
  scene->house = house;
  scene->time = house_start(0);
  views_init(&scene->views, make_view(scene, true));
  assert_int_equal(commit_start(scene->house->durable, &scene->time, NULL, NULL, &scene->committer, &scene->err),
                   STATUS_OK);
  begin_plan(scene);
  *state = scene;
  return 0;
}

static int scene_teardown(void **state) {
  struct scene *scene = *state;
  void *house = scene->house;
  history_plan_free(scene->plan);
  commit_stop(scene->committer);
  commit_free(scene->committer);
  views_release(&scene->views);
  free(scene);
  return house_teardown(&house);
}

static void put_record(struct scene *scene, enum store_db db, const char *member, int64_t at_ms, const char *metric,
                       double value) {
  struct metrics_record *record = mem_alloc(sizeof *record);
  struct record_key key;
  record->at_ms = at_ms;
  record->interval_ms = 10000;
  record->count = 1;
  snprintf(record->values[0].name, sizeof record->values[0].name, "%s", metric);
  record->values[0].value = value;
  record_key_member("www.example.com", member, &key);
  size_t size;
  uint8_t *bytes = metrics_encode(record, &size);
  house_put(scene->house->live, db, &key, bytes, size, "www.example.com");
  free(bytes);
  free(record);
}

static void put_figure(struct scene *scene, const char *member, int64_t at_ms, double value) {
  put_record(scene, STORE_DB_METRICS_PROBE, member, at_ms, "response_time_ms", value);
}

static enum status do_nothing(void *context, struct store_txn *txn, struct errbuf *err) {
  (void)context;
  (void)txn;
  (void)err;
  return STATUS_NODATA;
}

/* Turns until the minute's work is done, from so far into it on. The committer takes one after the other. */
static void turn_minute(struct scene *scene, int minute, int64_t from_ms) {
  int64_t at_ms = AT(minute, from_ms);
  for (int turns = 0; at_ms < AT(minute + 1, 0); turns++) {
    int64_t next_ms = history_plan_turn(scene->plan, at_ms);
    assert_true(turns < 1000 && next_ms > at_ms);
    commit_and_wait(scene->committer, do_nothing, NULL, &scene->err);
    int64_t again_ms = history_plan_turn(scene->plan, at_ms + 1); /* takes the piece back */
    next_ms = again_ms < next_ms ? again_ms : next_ms;
    at_ms = next_ms > at_ms + 1 ? next_ms : at_ms + 1;
  }
}

static size_t list(struct scene *scene, const char *member, struct history_series **series) {
  size_t count;
  assert_int_equal(history_list(scene->house->durable, "www.example.com", member, series, &count, &scene->err),
                   STATUS_OK);
  return count;
}

/* What is kept of response_time_ms of the member from minute on. */
static struct history_cell read_at(struct scene *scene, const char *member, enum history_resolution resolution,
                                   int minute) {
  struct history_series *series, *found = NULL;
  size_t count = list(scene, member, &series);
  for (size_t i = 0; i < count; i++)
    if (strcmp(series[i].metric, "response_time_ms") == 0)
      found = &series[i];
  struct history_cell cell = {0};
  int64_t slot_ms = history_slot_ms(resolution);
  struct history_range range = {AT(minute, 0), AT(minute, 0) + slot_ms, slot_ms, resolution};
  if (found)
    assert_int_equal(history_read(scene->house->durable, found, &range, &cell, &scene->err), STATUS_OK);
  free(series);
  return cell;
}

struct rows {
  size_t members, minutes, hours;
};

static bool count_row(void *context, struct store_bytes key, struct store_bytes value) {
  struct rows *rows = context;
  struct history_place place;
  (void)value;
  if (history_is_member(key))
    rows->members++;
  else if (history_parse_key(key, &place))
    *(place.resolution == HISTORY_MINUTE ? &rows->minutes : &rows->hours) += 1;
  return true;
}

static struct rows count_rows(struct scene *scene) {
  struct rows rows = {0};
  struct store_txn *txn;
  assert_int_equal(store_begin(scene->house->durable, false, &txn, &scene->err), STATUS_OK);
  assert_int_equal(store_scan(txn, STORE_DB_HISTORY, (struct store_bytes){0}, count_row, &rows), STATUS_OK);
  store_abort(txn);
  return rows;
}

static bool copy_event(void *context, uint64_t id, const struct event_record *event) {
  (void)id;
  *(struct event_record *)context = *event;
  return false;
}

static struct event_record last_event(struct scene *scene) {
  struct event_record event = {0};
  commit_and_wait(scene->committer, do_nothing, NULL, &scene->err);
  assert_int_equal(chronicle_read_events(scene->house->durable, copy_event, &event, &scene->err), STATUS_OK);
  return event;
}

static void a_minute_is_sampled_at_its_end_and_written_in_the_next(void **state) {
  struct scene *scene = *state;
  put_figure(scene, "one", AT(0, 50000), 12.5);
  turn_minute(scene, 0, 0);
  assert_int_equal(count_rows(scene).minutes, 0);
  turn_minute(scene, 1, 0);
  assert_true(read_at(scene, "one", HISTORY_MINUTE, 0).mean == 12.5);
  assert_int_equal(read_at(scene, "one", HISTORY_MINUTE, 1).count, 0);
  assert_int_equal(count_rows(scene).members, 1);
}

static void every_source_has_series_of_its_own(void **state) {
  struct scene *scene = *state;
  put_record(scene, STORE_DB_METRICS_SNMP, "one", AT(0, 0), "cpu", 1);
  put_record(scene, STORE_DB_METRICS_SCRAPE, "one", AT(0, 0), "cpu", 2);
  put_record(scene, STORE_DB_METRICS_CHECK, "two", AT(0, 0), "weight_percent", 50);
  turn_minute(scene, 0, 59000);
  turn_minute(scene, 1, 0);
  struct history_series *series;
  assert_int_equal(list(scene, "one", &series), 2);
  assert_string_equal(series[0].source, "snmp");
  assert_string_equal(series[1].source, "scrape");
  free(series);
  assert_int_equal(list(scene, "two", &series), 1);
  free(series);
}

static void figures_of_an_agent_are_those_of_its_members(void **state) {
  struct scene *scene = *state;
  struct metrics_record *record = mem_alloc(sizeof *record);
  struct record_key key = {.size = 6};
  record->at_ms = AT(0, 0);
  record->count = 1;
  strcpy(record->values[0].name, "cpu_utilization");
  record->values[0].value = 0.75;
  size_t size;
  uint8_t *bytes = metrics_encode(record, &size);
  memcpy(key.bytes, "app-r1", 6);
  house_put(scene->house->live, STORE_DB_METRICS_AGENT, &key, bytes, size, "www.example.com");
  free(bytes);
  free(record);
  struct member_record member = {.weight = 1, .address_count = 1};
  assert_int_equal(addr_parse("127.0.0.77", &member.addresses[0]), STATUS_OK);
  bytes = member_encode(&member, &size);
  record_key_member("www.example.com", "app-r1", &key);
  house_put(scene->house->durable, STORE_DB_MEMBERS, &key, bytes, size, "www.example.com");
  free(bytes);
  turn_minute(scene, 0, 59000);
  turn_minute(scene, 1, 0);
  struct history_series *series;
  assert_int_equal(list(scene, "app-r1", &series), 1);
  assert_string_equal(series->source, "agent");
  assert_string_equal(series->metric, "cpu_utilization");
  free(series);
}

static void answers_are_counted_by_the_minute(void **state) {
  struct scene *scene = *state;
  struct record_key key;
  uint8_t value[RECORD_SIZE_MOST];
  record_key_member("www.example.com", "one", &key);
  house_put(scene->house->durable, STORE_DB_SLOTS, &key, value, slot_encode(&(struct slot_record){5}, value),
            "www.example.com");
  atomic_store(&scene->house->board->answers[0][5], 100);
  turn_minute(scene, 0, 59000);
  turn_minute(scene, 1, 0);
  atomic_store(&scene->house->board->answers[0][5], 160);
  turn_minute(scene, 2, 0);
  struct history_series *series;
  struct history_cell cell;
  struct history_range range = {AT(1, 0), AT(2, 0), HISTORY_MINUTE_MS, HISTORY_MINUTE};
  assert_int_equal(list(scene, "one", &series), 1);
  assert_string_equal(series->metric, HISTORY_ANSWERS);
  assert_int_equal(history_read(scene->house->durable, series, &range, &cell, &scene->err), STATUS_OK);
  assert_true(cell.mean == 60);
  free(series);
}

static void a_source_that_fell_silent_leaves_a_gap(void **state) {
  (void)state;
  struct metrics_record *record = mem_alloc(sizeof *record);
  record->at_ms = 1000000;
  assert_true(history_sample_is_fresh(record, 1090000));
  assert_false(history_sample_is_fresh(record, 1090001));
  record->interval_ms = 3600000;
  assert_true(history_sample_is_fresh(record, 1000000 + 3 * 3600000 - 1));
  assert_false(history_sample_is_fresh(record, 1000000 + 3 * 3600000));
  free(record);
}

static void turn_hour(struct scene *scene) {
  for (int minute = 0; minute <= 60; minute++) {
    put_figure(scene, "one", AT(minute, 0), minute);
    turn_minute(scene, minute, 0);
  }
}

static void an_hour_is_folded_when_it_is_over(void **state) {
  struct scene *scene = *state;
  turn_hour(scene);
  assert_int_equal(count_rows(scene).hours, 1);
  struct history_cell hour = read_at(scene, "one", HISTORY_HOUR, 0);
  assert_int_equal(hour.count, 60);
  assert_true(hour.min == 1 && hour.max == 60 && hour.mean == 30.5);
}

static void the_open_slot_goes_on_over_a_restart(void **state) {
  struct scene *scene = *state;
  for (int minute = 0; minute < 30; minute++) {
    put_figure(scene, "one", AT(minute, 0), minute);
    turn_minute(scene, minute, 0);
  }
  history_plan_free(scene->plan);
  begin_plan(scene);
  for (int minute = 30; minute <= 60; minute++) {
    put_figure(scene, "one", AT(minute, 0), minute);
    turn_minute(scene, minute, 0);
  }
  struct history_cell hour = read_at(scene, "one", HISTORY_HOUR, 0);
  assert_int_equal(hour.count, 59); /* but for the minute under way */
  assert_true(hour.min == 1 && hour.max == 60);
  assert_int_equal(count_rows(scene).members, 1);
}

static void an_hour_that_ended_while_nobody_was_there_is_folded_later(void **state) {
  struct scene *scene = *state;
  for (int minute = 0; minute < 30; minute++) {
    put_figure(scene, "one", AT(minute, 0), minute);
    turn_minute(scene, minute, 0);
  }
  history_plan_free(scene->plan);
  begin_plan(scene);
  turn_minute(scene, 200, 0);
  turn_minute(scene, 201, 0);
  assert_int_equal(count_rows(scene).hours, 1);
  assert_int_equal(read_at(scene, "one", HISTORY_HOUR, 0).count, 29);
}

static void old_minutes_go_and_their_hours_stay(void **state) {
  struct scene *scene = *state;
  turn_hour(scene);
  assert_int_equal(count_rows(scene).minutes, 60);
  turn_minute(scene, 24 * 60 + 90, 0);
  turn_minute(scene, 24 * 60 + 91, 0);
  assert_int_equal(count_rows(scene).minutes, 60 - 31);
  turn_minute(scene, 61 * 24 * 60, 0);
  turn_minute(scene, 61 * 24 * 60 + 1, 0);
  assert_int_equal(count_rows(scene).minutes, 0);
  assert_int_equal(count_rows(scene).hours, 0);
}

static void without_history_nothing_is_written(void **state) {
  struct scene *scene = *state;
  views_replace(&scene->views, make_view(scene, false));
  put_figure(scene, "one", AT(0, 0), 1);
  turn_minute(scene, 0, 59000);
  turn_minute(scene, 1, 0);
  struct rows rows = count_rows(scene);
  assert_int_equal(rows.members + rows.minutes + rows.hours, 0);
}

/* A disk that takes its time: the committer waits in a write until it is let go. */
struct barrier {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  bool is_reached, is_open;
};

static enum status wait_there(void *context, struct store_txn *txn, struct errbuf *err) {
  struct barrier *barrier = context;
  (void)txn;
  (void)err;
  pthread_mutex_lock(&barrier->lock);
  barrier->is_reached = true;
  pthread_cond_broadcast(&barrier->moved);
  while (!barrier->is_open)
    pthread_cond_wait(&barrier->moved, &barrier->lock);
  pthread_mutex_unlock(&barrier->lock);
  return STATUS_NODATA;
}

static void forget(void *context, enum status status, const struct errbuf *err) {
  (void)context;
  (void)status;
  (void)err;
}

static void a_slow_disk_makes_it_skip_and_not_wait(void **state) {
  struct scene *scene = *state;
  struct barrier barrier = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
  turn_minute(scene, 0, 59000);
  assert_int_equal(commit_queue(scene->committer, wait_there, forget, &barrier, &scene->err), STATUS_OK);
  pthread_mutex_lock(&barrier.lock);
  while (!barrier.is_reached)
    pthread_cond_wait(&barrier.moved, &barrier.lock);
  pthread_mutex_unlock(&barrier.lock);
  for (int minute = 1; minute <= 5; minute++) {
    put_figure(scene, "one", AT(minute, 0), minute);
    for (int second = 0; second < 60; second++)
      history_plan_turn(scene->plan, AT(minute, second * 1000));
  }
  pthread_mutex_lock(&barrier.lock);
  barrier.is_open = true;
  pthread_cond_broadcast(&barrier.moved);
  pthread_mutex_unlock(&barrier.lock);
  struct event_record event = last_event(scene);
  assert_string_equal(event.kind, "history");
  assert_string_equal(event.to, "skipped");
  put_figure(scene, "one", AT(6, 0), 6);
  turn_minute(scene, 6, 0);
  assert_int_equal(read_at(scene, "one", HISTORY_MINUTE, 3).count, 0);
  assert_true(read_at(scene, "one", HISTORY_MINUTE, 5).mean == 6);
  event = last_event(scene);
  assert_string_equal(event.to, "written");
  assert_string_equal(event.reason, "minutes that were skipped: 4");
}

static void a_store_that_is_away_makes_it_skip(void **state) {
  struct scene *scene = *state;
  struct store *live = scene->house->live;
  struct view_sources sources = {scene->house->durable, NULL, scene->house->board, scene->time, NULL};
  struct config *config = house_config();
  config->has_history = true;
  views_replace(&scene->views, view_new(config, 1, &sources));
  turn_minute(scene, 0, 59000);
  turn_minute(scene, 1, 0);
  assert_string_equal(last_event(scene).to, "skipped");
  assert_ptr_equal(live, scene->house->live);
}

static void what_was_sampled_is_written_before_the_end(void **state) {
  struct scene *scene = *state;
  put_figure(scene, "one", AT(0, 0), 3);
  history_plan_turn(scene->plan, AT(0, 59000));
  history_plan_turn(scene->plan, AT(1, 0));
  history_plan_finish(scene->plan);
  assert_true(read_at(scene, "one", HISTORY_MINUTE, 0).mean == 3);
}

static void many_series_are_written_in_small_pieces(void **state) {
  struct scene *scene = *state;
  struct store_txn *txn;
  struct metrics_record *record = mem_alloc(sizeof *record);
  record->at_ms = AT(1, 0);
  record->count = 10;
  for (uint32_t i = 0; i < record->count; i++) {
    snprintf(record->values[i].name, sizeof record->values[i].name, "figure_%u", i);
    record->values[i].value = i + 0.1;
  }
  size_t size;
  uint8_t *bytes = metrics_encode(record, &size);
  assert_int_equal(store_begin(scene->house->live, true, &txn, &scene->err), STATUS_OK);
  for (int member = 0; member < 1000; member++) {
    struct record_key key;
    char name[32];
    snprintf(name, sizeof name, "m%d", member);
    record_key_member("www.example.com", name, &key);
    assert_int_equal(store_put(txn, STORE_DB_METRICS_PROBE, (struct store_bytes){key.bytes, key.size},
                               (struct store_bytes){bytes, size}, &scene->err),
                     STATUS_OK);
  }
  assert_int_equal(store_commit(txn, &scene->err), STATUS_OK);
  free(bytes);
  free(record);
  turn_minute(scene, 0, 59000);
  turn_minute(scene, 1, 0);
  struct rows rows = count_rows(scene);
  assert_int_equal(rows.members, 1000);
  assert_int_equal(rows.minutes, 20);
  turn_minute(scene, 2, 0);
  assert_int_equal(count_rows(scene).minutes, 40);
}

static void the_thread_starts_and_ends(void **state) {
  struct scene *scene = *state;
  struct historian_links links = {&scene->views, scene->committer, &scene->time};
  struct historian *historian;
  assert_int_equal(historian_start(&links, &historian, &scene->err), STATUS_OK);
  historian_stop(historian);
  historian_stop(NULL);
}

#define PLAN_TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      PLAN_TEST(a_minute_is_sampled_at_its_end_and_written_in_the_next),
      PLAN_TEST(every_source_has_series_of_its_own),
      PLAN_TEST(figures_of_an_agent_are_those_of_its_members),
      PLAN_TEST(answers_are_counted_by_the_minute),
      PLAN_TEST(a_source_that_fell_silent_leaves_a_gap),
      PLAN_TEST(an_hour_is_folded_when_it_is_over),
      PLAN_TEST(the_open_slot_goes_on_over_a_restart),
      PLAN_TEST(an_hour_that_ended_while_nobody_was_there_is_folded_later),
      PLAN_TEST(old_minutes_go_and_their_hours_stay),
      PLAN_TEST(without_history_nothing_is_written),
      PLAN_TEST(a_slow_disk_makes_it_skip_and_not_wait),
      PLAN_TEST(a_store_that_is_away_makes_it_skip),
      PLAN_TEST(what_was_sampled_is_written_before_the_end),
      PLAN_TEST(many_series_are_written_in_small_pieces),
      PLAN_TEST(the_thread_starts_and_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
