#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/main/exec.h"
#include "gslb/main/exec_command.h"

#define PATIENCE_MS 10000

static size_t count_of(char **environment) {
  size_t count = 0;
  while (environment[count])
    count++;
  return count;
}

static void environment_begins_with_a_fixed_path(void **state) {
  (void)state;
  char **environment = exec_environment("", 0);
  assert_int_equal(count_of(environment), 1);
  assert_int_equal(strncmp(environment[0], "PATH=/usr/local/sbin:", 21), 0);
  free(environment);
}

static void environment_holds_the_strings_of_the_message(void **state) {
  (void)state;
  static const char text[] = "GSLB_SERVICE=www.example.com\0GSLB_REASON=time-out = late\0GSLB_FROM=";
  char **environment = exec_environment(text, sizeof text);
  assert_int_equal(count_of(environment), 4);
  assert_string_equal(environment[1], "GSLB_SERVICE=www.example.com");
  assert_string_equal(environment[2], "GSLB_REASON=time-out = late");
  assert_string_equal(environment[3], "GSLB_FROM=");
  free(environment);
}

static void environment_leaves_out_what_could_steer_the_loader_or_is_no_variable(void **state) {
  (void)state;
  static const char text[] = "LD_PRELOAD=/tmp/x.so\0PATH=/tmp\0GSLB_=1\0GSLB_small=1\0GSLB_A\0GSLB_a B=1\0\0GSLB_OK=1";
  char **environment = exec_environment(text, sizeof text);
  assert_int_equal(count_of(environment), 2);
  assert_string_equal(environment[1], "GSLB_OK=1");
  free(environment);
}

static void environment_leaves_out_a_string_without_its_end(void **state) {
  (void)state;
  static const char text[] = {'G', 'S', 'L', 'B', '_', 'A', '=', '1', '\0', 'G', 'S', 'L', 'B', '_', 'B', '=', '2'};
  char **environment = exec_environment(text, sizeof text);
  assert_int_equal(count_of(environment), 2);
  assert_string_equal(environment[1], "GSLB_A=1");
  free(environment);
}

static const char *last_of(const char *output) {
  static struct exec_line line;
  line = (struct exec_line){0};
  for (size_t i = 0; i < strlen(output); i++) /* in the smallest pieces */
    exec_line_add(&line, output + i, 1);
  return exec_line_last(&line);
}

static void last_line_is_the_last_that_says_something(void **state) {
  (void)state;
  assert_string_equal(last_of(""), "");
  assert_string_equal(last_of("one\ntwo\n"), "two");
  assert_string_equal(last_of("one\ntwo"), "two");
  assert_string_equal(last_of("one\r\ntwo\r\n\r\n  \n"), "two");
  assert_string_equal(last_of("\033[31mred\n"), "?[31mred");
}

static void long_line_is_cut(void **state) {
  (void)state;
  char output[1000];
  memset(output, 'x', sizeof output - 1);
  output[sizeof output - 1] = '\0';
  assert_int_equal(strlen(last_of(output)), EXEC_LINE_MOST);
}

/* The exec process as a child of the test, which is its supervisor and control. */

struct scene {
  pid_t pid;
  int supervisor, control, probe;
  struct channel_message message;
};

static const char *const fails[] = {"/bin/sh", "-c", "echo begun; echo \"$GSLB_SERVICE has no $GSLB_WHAT\" >&2; exit 3",
                                    NULL};
static const char *const works[] = {"/bin/sh", "-c", "echo done; sleep 5 & exit 0", NULL};
static const char *const missing[] = {"/nonexistent/command", NULL};

static struct config *make_config(void) {
  static const char text[] =
      "server: {identity: lb1.example.net, state: /tmp, listen: [\"127.0.0.1@5300\"]}\n"
      "zones: [{name: example.com, file: example.com.zone}]\n"
      "services:\n"
      "  - {name: fails.example.com, when_down: empty, accept: {tokens: [app]}}\n"
      "  - {name: missing.example.com, when_down: empty, accept: {tokens: [app]}}\n"
      "  - {name: none.example.com, when_down: empty, accept: {tokens: [app]}}\n"
      "  - {name: \"*.apps.example.com\", when_down: empty, accept: {tokens: [app], services: 4}}\n";
  struct problems problems = {0};
  struct config *config = config_parse("test.yaml", text, strlen(text), &problems);
  if (!config)
    fail_msg("%s", problems_format(&problems));
  static const char *const commands[][4] = {{"/bin/sh", "-c", "echo $GSLB_ADDRESS; exit 0", NULL},
                                            {"/bin/sh", "-c", "echo bad; exit 2", NULL},
                                            {"/bin/sh", "-c", "sleep 100 & sleep 100", NULL}};
  static struct config_monitor monitors[3];
  static const char *const names[] = {"good", "bad", "slow"};
  for (size_t i = 0; i < 3; i++)
    monitors[i] = (struct config_monitor){.type = MONITOR_EXEC,
                                          .name = names[i],
                                          .timeout_ms = i == 2 ? 100 : 5000,
                                          .command = commands[i]};
  config->monitors = monitors;
  config->monitor_count = 3;
  config->services[config_find_service(config, "fails.example.com")].on_empty = fails;
  config->services[config_find_service(config, "missing.example.com")].on_empty = missing;
  config->services[config_find_service(config, "*.apps.example.com")].on_empty = works;
  return config;
}

static int set_up(void **state) {
  struct scene *scene = mem_alloc(sizeof *scene);
  int supervisor[2], control[2], probe[2];
  log_setup("test", LOG_LEVEL_ERROR, false);
  assert_int_equal(channel_pair(supervisor, NULL), STATUS_OK);
  assert_int_equal(channel_pair(control, NULL), STATUS_OK);
  assert_int_equal(channel_pair(probe, NULL), STATUS_OK);
  struct config *config = make_config();
  fflush(NULL);
  scene->pid = fork();
  assert_true(scene->pid >= 0);
  if (scene->pid == 0) {
    struct child child = {.config = config,
                          .generation = 1,
                          .channel = supervisor[1],
                          .exec = control[1],
                          .commands = probe[1]};
    close(supervisor[0]);
    close(control[0]);
    close(probe[0]);
    free(scene);
    exit(exec_run(&child));
  }
  config_free(config);
  close(supervisor[1]);
  close(control[1]);
  close(probe[1]);
  scene->probe = probe[0];
  scene->supervisor = supervisor[0];
  scene->control = control[0];
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  int status;
  close(scene->supervisor);
  close(scene->control);
  close(scene->probe);
  waitpid(scene->pid, &status, 0);
  free(scene);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void ask(struct scene *scene, const char *hook, const char *service) {
  scene->message = (struct channel_message){.kind = CHANNEL_COMMAND};
  scene->message.length = (size_t)snprintf(scene->message.text, sizeof scene->message.text,
                                           "%s%cGSLB_SERVICE=%s%cGSLB_WHAT=member%c", hook, 0, service, 0, 0);
  assert_int_equal(channel_send(scene->control, &scene->message), STATUS_OK);
}

static const char *await_result(struct scene *scene, const char *service) {
  struct pollfd ready = {.fd = scene->control, .events = POLLIN};
  assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
  assert_int_equal(channel_receive(scene->control, &scene->message), STATUS_OK);
  assert_int_equal(scene->message.kind, CHANNEL_RESULT);
  assert_string_equal(scene->message.text, service);
  return scene->message.text + strlen(scene->message.text) + 1;
}

static void result_of_on_empty_has_the_exit_status_and_the_last_line(void **state) {
  struct scene *scene = *state;
  ask(scene, "on_empty", "fails.example.com");
  assert_string_equal(await_result(scene, "fails.example.com"), "exit status 3: fails.example.com has no member");
  assert_int_equal(scene->message.status, STATUS_IO);
}

static void created_service_has_the_command_of_its_pattern(void **state) {
  struct scene *scene = *state;
  ask(scene, "on_empty", "one.apps.example.com");
  /* what it left in the background holds the pipe open, and is not waited for */
  assert_string_equal(await_result(scene, "one.apps.example.com"), "exit status 0: done");
  assert_int_equal(scene->message.status, STATUS_OK);
}

static void command_that_cannot_be_run_has_a_result_too(void **state) {
  struct scene *scene = *state;
  ask(scene, "on_empty", "missing.example.com");
  assert_string_equal(await_result(scene, "missing.example.com"), "cannot be run: No such file or directory");
  ask(scene, "on_empty", "none.example.com");
  assert_string_equal(await_result(scene, "none.example.com"), "no command is configured");
  assert_int_equal(scene->message.status, STATUS_NOTFOUND);
}

static void on_change_and_unknown_hooks_have_no_result(void **state) {
  struct scene *scene = *state;
  ask(scene, "on_change", "fails.example.com");
  ask(scene, "on_whim", "fails.example.com");
  ask(scene, "on_empty", "none.example.com");
  await_result(scene, "none.example.com");
}

static const char *run_monitor(struct scene *scene, const char *name, uint64_t id, enum status expected) {
  struct pollfd ready = {.fd = scene->probe, .events = POLLIN};
  scene->message = (struct channel_message){.kind = CHANNEL_RUN, .generation = id};
  scene->message.length = (size_t)snprintf(scene->message.text, sizeof scene->message.text,
                                           "%s%cGSLB_ADDRESS=192.0.2.1%cLD_PRELOAD=x%c", name, 0, 0, 0);
  assert_int_equal(channel_send(scene->probe, &scene->message), STATUS_OK);
  assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
  assert_int_equal(channel_receive(scene->probe, &scene->message), STATUS_OK);
  assert_int_equal(scene->message.kind, CHANNEL_RAN);
  assert_int_equal(scene->message.generation, id);
  assert_int_equal(scene->message.status, expected);
  return scene->message.text + strlen(scene->message.text) + 1;
}

static void monitor_has_its_exit_status_and_last_line(void **state) {
  struct scene *scene = *state;
  assert_string_equal(run_monitor(scene, "good", 7, STATUS_OK), "192.0.2.1");
  assert_string_equal(run_monitor(scene, "bad", 8, STATUS_INVALID), "bad");
  assert_string_equal(scene->message.text, "exit status 2");
  run_monitor(scene, "unknown", 9, STATUS_NOTFOUND);
}

static void monitor_is_killed_with_its_group_at_its_time_out(void **state) {
  struct scene *scene = *state;
  run_monitor(scene, "slow", 1, STATUS_TIMEOUT);
  assert_string_equal(scene->message.text, "killed after 100 ms");
}

#define EXEC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(environment_begins_with_a_fixed_path),
      cmocka_unit_test(environment_holds_the_strings_of_the_message),
      cmocka_unit_test(environment_leaves_out_what_could_steer_the_loader_or_is_no_variable),
      cmocka_unit_test(environment_leaves_out_a_string_without_its_end),
      cmocka_unit_test(last_line_is_the_last_that_says_something),
      cmocka_unit_test(long_line_is_cut),
      EXEC_TEST(result_of_on_empty_has_the_exit_status_and_the_last_line),
      EXEC_TEST(created_service_has_the_command_of_its_pattern),
      EXEC_TEST(command_that_cannot_be_run_has_a_result_too),
      EXEC_TEST(on_change_and_unknown_hooks_have_no_result),
      EXEC_TEST(monitor_has_its_exit_status_and_last_line),
      EXEC_TEST(monitor_is_killed_with_its_group_at_its_time_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
