#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "discovery/agent/state.h"

static char directory[64];
static char path[128];

static int set_up(void **state) {
  (void)state;
  strcpy(directory, "/tmp/gslb-agent-state-XXXXXX");
  snprintf(path, sizeof path, "%s/agent.json", mkdtemp(directory));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  return rmdir(directory);
}

static void put(const char *text) {
  FILE *file = fopen(path, "w");
  fputs(text, file);
  fclose(file);
}

static void what_is_saved_is_loaded(void **state) {
  (void)state;
  struct agent_state saved = {.id = "web-1",
                              .self = {SELF_DRAIN, "new kernel"},
                              .jobs = {.done = 7, .busy_s = 1.5, .last_ended_ms = 1795267800123}};
  struct agent_state loaded = {0};
  assert_int_equal(agent_state_load(directory, &loaded, NULL), STATUS_NOTFOUND);
  assert_int_equal(agent_state_save(directory, &saved, NULL), STATUS_OK);
  assert_int_equal(agent_state_load(directory, &loaded, NULL), STATUS_OK);
  assert_string_equal(loaded.id, "web-1");
  assert_int_equal(loaded.self.state, SELF_DRAIN);
  assert_string_equal(loaded.self.reason, "new kernel");
  assert_int_equal(loaded.jobs.done, 7);
  assert_true(loaded.jobs.busy_s == 1.5);
  assert_true(loaded.jobs.last_ended_ms == 1795267800123);
  put("{\"id\":\"web-1\",\"state\":\"ill\"}");
  assert_int_equal(agent_state_load(directory, &loaded, NULL), STATUS_INVALID);
  put("{");
  assert_int_equal(agent_state_load(directory, &loaded, NULL), STATUS_INVALID);
}

static void a_state_file_has_a_word_and_a_reason(void **state) {
  (void)state;
  struct self self = {SELF_MAINT, "x"};
  assert_int_equal(self_read_file(path, &self, NULL), STATUS_OK);
  assert_int_equal(self.state, SELF_UP);
  put("drain  for the new kernel\nmaint\n");
  assert_int_equal(self_read_file(path, &self, NULL), STATUS_OK);
  assert_int_equal(self.state, SELF_DRAIN);
  assert_string_equal(self.reason, "for the new kernel");
  put("\n");
  assert_int_equal(self_read_file(path, &self, NULL), STATUS_OK);
  assert_int_equal(self.state, SELF_UP);
  put("broken\n");
  self.state = SELF_MAINT;
  assert_int_equal(self_read_file(path, &self, NULL), STATUS_INVALID);
  assert_int_equal(self.state, SELF_MAINT);
}

static void jobs_are_read_from_a_file(void **state) {
  (void)state;
  struct jobs jobs;
  assert_int_equal(jobs_read_file(path, &jobs, NULL), STATUS_NOTFOUND);
  put("{\"done\":12,\"busy_s\":3.25,\"last_ended_at\":\"2026-11-21T13:30:00.123Z\"}");
  assert_int_equal(jobs_read_file(path, &jobs, NULL), STATUS_OK);
  assert_int_equal(jobs.done, 12);
  assert_true(jobs.busy_s == 3.25);
  assert_true(jobs.last_ended_ms == 1795267800123);
  put("{\"busy_s\":3.25}");
  assert_int_equal(jobs_read_file(path, &jobs, NULL), STATUS_INVALID);
  put("{\"done\":-1}");
  assert_int_equal(jobs_read_file(path, &jobs, NULL), STATUS_INVALID);
}

static void ids_come_from_host_names(void **state) {
  (void)state;
  char id[REGISTRATION_ID_MOST + 1], other[REGISTRATION_ID_MOST + 1];
  agent_state_make_id("Web-1.example.com", id);
  assert_string_equal(id, "web-1");
  agent_state_make_id("-a_b-.x", id);
  assert_string_equal(id, "ab");
  agent_state_make_id("localhost", id);
  agent_state_make_id("", other);
  assert_int_equal(strlen(id), 18);
  assert_memory_equal(id, "r-", 2);
  assert_string_not_equal(id, other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_state_file_has_a_word_and_a_reason, set_up, tear_down),
      cmocka_unit_test_setup_teardown(jobs_are_read_from_a_file, set_up, tear_down),
      cmocka_unit_test(ids_come_from_host_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
