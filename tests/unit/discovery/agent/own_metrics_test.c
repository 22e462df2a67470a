#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "discovery/agent/own_metrics.h"
#include "gslb/base/clock.h"

static void stop(void *context) {
  loop_stop(context);
}

/* What one source says at its first reading. */
static struct metric_set read_once(struct settings_metric source) {
  struct metric_set set = {0};
  struct loop *loop = loop_new();
  if (!source.interval_ms)
    source.interval_ms = 60000;
  if (!source.timeout_ms)
    source.timeout_ms = 5000;
  struct own_metrics *own = own_metrics_new(loop, &source, 1, stop, loop);
  loop_run(loop);
  own_metrics_read(own, mono_now_ms(), &set);
  own_metrics_free(own);
  loop_free(loop);
  return set;
}

static struct metric_set run(const char *script, int64_t timeout_ms) {
  const char *command[] = {"/bin/sh", "-c", script, NULL};
  return read_once((struct settings_metric){.source = SOURCE_COMMAND,
                                            .command = command,
                                            .command_count = 3,
                                            .timeout_ms = timeout_ms});
}

static void a_command_prints_figures(void **state) {
  (void)state;
  struct metric_set set = run("echo queue 12; echo eps=0.5", 0);
  assert_int_equal(set.count, 2);
  assert_true(*metric_set_find(&set, "queue") == 12);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_command_that_fails_says_nothing(void **state) {
  (void)state;
  assert_int_equal(run("echo queue 12; exit 3", 0).count, 0);
  assert_int_equal(run("echo queue twelve", 0).count, 0);
  const char *command[] = {"/nonexistent/program", NULL};
  assert_int_equal(read_once((struct settings_metric){.source = SOURCE_COMMAND, .command = command, .command_count = 1})
                       .count,
                   0);
}

static void a_command_that_takes_too_long_is_ended(void **state) {
  (void)state;
  int64_t begin = mono_now_ms();
  assert_int_equal(run("echo queue 12; exec cat /dev/zero > /dev/null", 50).count, 0);
  assert_true(mono_now_ms() - begin < 4000);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_command_that_says_too_much_is_ended(void **state) {
  (void)state;
  assert_int_equal(run("exec cat /dev/zero", 0).count, 0);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_file_holds_a_number(void **state) {
  (void)state;
  char path[] = "/tmp/gslb-agent-metric-XXXXXX";
  int fd = mkstemp(path);
  assert_int_equal(write(fd, "0.75\n", 5), 5);
  close(fd);
  struct settings_metric source = {.source = SOURCE_FILE, .path = path, .name = "application_utilization"};
  struct metric_set set = read_once(source);
  assert_true(*metric_set_find(&set, "application_utilization") == 0.75);
  unlink(path);
  assert_int_equal(read_once(source).count, 0);
}

static void a_unix_socket_writes_figures(void **state) {
  (void)state;
  char directory[] = "/tmp/gslb-agent-socket-XXXXXX", path[64];
  snprintf(path, sizeof path, "%s/s", mkdtemp(directory));
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, path);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 1), 0);
  pid_t pid = fork();
  if (pid == 0) {
    int connection = accept(listener, NULL, NULL);
    _exit(write(connection, "queue 9\n", 8) == 8 ? 0 : 1);
  }
  struct metric_set set = read_once((struct settings_metric){.source = SOURCE_SOCKET, .path = path});
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  assert_true(*metric_set_find(&set, "queue") == 9);
  close(listener);
  unlink(path);
  rmdir(directory);
}

static void old_figures_are_not_told(void **state) {
  (void)state;
  const char *command[] = {"/bin/echo", "queue 1", NULL};
  const struct settings_metric source = {.source = SOURCE_COMMAND,
                                         .command = command,
                                         .command_count = 2,
                                         .interval_ms = 1000,
                                         .timeout_ms = 900};
  struct loop *loop = loop_new();
  struct own_metrics *own = own_metrics_new(loop, &source, 1, stop, loop);
  loop_run(loop);
  struct metric_set set = {0};
  own_metrics_read(own, mono_now_ms() + 4000, &set);
  assert_int_equal(set.count, 0);
  own_metrics_read(own, mono_now_ms() + 2000, &set);
  assert_int_equal(set.count, 1);
  own_metrics_free(own);
  loop_free(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_command_prints_figures),
      cmocka_unit_test(a_command_that_fails_says_nothing),
      cmocka_unit_test(a_command_that_takes_too_long_is_ended),
      cmocka_unit_test(a_command_that_says_too_much_is_ended),
      cmocka_unit_test(a_file_holds_a_number),
      cmocka_unit_test(a_unix_socket_writes_figures),
      cmocka_unit_test(old_figures_are_not_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
