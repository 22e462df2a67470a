#include "gslb/model/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct channel_message message;

static void hold_text(const char *text) {
  memset(&message, 0, sizeof message);
  message.kind = CHANNEL_CONFIG;
  strcpy(message.text, "/etc/gslb/gslb.yaml");
  message.length = strlen(message.text);
  message.fd_count = 1;
  message.fds[0] = memfd_create("configuration", MFD_CLOEXEC);
  assert_int_equal(write(message.fds[0], text, strlen(text)), strlen(text));
}

static void broken_configuration_is_told_with_its_place(void **state) {
  (void)state;
  struct errbuf err = {0};
  struct config *config = NULL;
  hold_text("server: [\n");
  assert_int_equal(child_parse_config(&message, &config, &err), STATUS_INVALID);
  assert_null(config);
  assert_non_null(strstr(err.text, "/etc/gslb/gslb.yaml:"));
  close(message.fds[0]);
}

static void message_without_descriptor_is_invalid(void **state) {
  (void)state;
  struct errbuf err = {0};
  struct config *config = NULL;
  memset(&message, 0, sizeof message);
  message.kind = CHANNEL_CONFIG;
  assert_int_equal(child_parse_config(&message, &config, &err), STATUS_INVALID);
  assert_null(config);
}

static void what_a_child_says_carries_its_generation(void **state) {
  (void)state;
  int ends[2];
  struct errbuf err;
  assert_int_equal(channel_pair(ends, &err), STATUS_OK);
  struct child child = {.channel = ends[0], .generation = 7};
  child_say(&child, CHANNEL_TAKEN);
  assert_int_equal(channel_receive(ends[1], &message), STATUS_OK);
  assert_int_equal(message.kind, CHANNEL_TAKEN);
  assert_true(message.generation == 7);
  close(ends[1]);
  child_say(&child, CHANNEL_READY);
  close(ends[0]);
}

static void a_descriptor_that_is_taken_is_no_longer_the_messages(void **state) {
  (void)state;
  message = (struct channel_message){.fd_count = 3, .fds = {10, 11, 12}};
  assert_int_equal(child_take_descriptor(&message, 1), 11);
  assert_int_equal(message.fd_count, 2);
  assert_int_equal(message.fds[0] + message.fds[1], 22);
  assert_int_equal(child_take_descriptor(&message, 2), -1);
  assert_int_equal(child_take_descriptor(&message, 0), 10);
  assert_int_equal(message.fds[0], 12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broken_configuration_is_told_with_its_place),
      cmocka_unit_test(message_without_descriptor_is_invalid),
      cmocka_unit_test(what_a_child_says_carries_its_generation),
      cmocka_unit_test(a_descriptor_that_is_taken_is_no_longer_the_messages),
  };
  return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
