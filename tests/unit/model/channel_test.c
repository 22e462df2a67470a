#include "gslb/model/channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
  int ends[2];
  struct channel_message out;
  struct channel_message in;
};

static int setup(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  struct errbuf err;
  *state = fixture;
  return channel_pair(fixture->ends, &err) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state) {
  struct fixture *fixture = *state;
  for (int i = 0; i < 2; i++)
    if (fixture->ends[i] >= 0)
      close(fixture->ends[i]);
  free(fixture);
  return 0;
}

static size_t open_descriptors(void) {
  DIR *entries = opendir("/proc/self/fd");
  size_t count = 0;
  while (readdir(entries))
    count++;
  closedir(entries);
  return count;
}

static void message_arrives_whole(void **state) {
  struct fixture *fixture = *state;
  fixture->out.kind = CHANNEL_RELOADED;
  fixture->out.status = STATUS_INVALID;
  fixture->out.generation = 1ull << 40;
  memcpy(fixture->out.text, "a\0b", 3);
  fixture->out.length = 3;
  assert_int_equal(channel_send(fixture->ends[0], &fixture->out), STATUS_OK);
  memset(fixture->in.text, 'x', 8);
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_OK);
  assert_int_equal(fixture->in.kind, CHANNEL_RELOADED);
  assert_int_equal(fixture->in.status, STATUS_INVALID);
  assert_true(fixture->in.generation == 1ull << 40);
  assert_int_equal(fixture->in.length, 3);
  assert_memory_equal(fixture->in.text, "a\0b", 4);
  assert_int_equal(fixture->in.fd_count, 0);
}

static void longest_text_arrives(void **state) {
  struct fixture *fixture = *state;
  fixture->out.kind = CHANNEL_COMMAND;
  fixture->out.length = CHANNEL_TEXT_MOST;
  memset(fixture->out.text, 'y', CHANNEL_TEXT_MOST);
  assert_int_equal(channel_send(fixture->ends[1], &fixture->out), STATUS_OK);
  assert_int_equal(channel_receive(fixture->ends[0], &fixture->in), STATUS_OK);
  assert_int_equal(fixture->in.length, CHANNEL_TEXT_MOST);
  assert_int_equal(strlen(fixture->in.text), CHANNEL_TEXT_MOST);
}

static void descriptors_arrive_usable_and_close_on_exec(void **state) {
  struct fixture *fixture = *state;
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  fixture->out.kind = CHANNEL_CONFIG;
  fixture->out.fd_count = 2;
  fixture->out.fds[0] = pipes[0];
  fixture->out.fds[1] = pipes[1];
  assert_int_equal(channel_send(fixture->ends[0], &fixture->out), STATUS_OK);
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_OK);
  close(pipes[0]);
  close(pipes[1]);
  assert_int_equal(fixture->in.fd_count, 2);
  assert_true(fcntl(fixture->in.fds[0], F_GETFD) & FD_CLOEXEC);
  char got = 0;
  assert_int_equal(write(fixture->in.fds[1], "z", 1), 1);
  assert_int_equal(read(fixture->in.fds[0], &got, 1), 1);
  assert_int_equal(got, 'z');
  close(fixture->in.fds[0]);
  close(fixture->in.fds[1]);
}

static void end_of_the_other_side_is_nodata(void **state) {
  struct fixture *fixture = *state;
  fixture->out.kind = CHANNEL_STOP;
  assert_int_equal(channel_send(fixture->ends[0], &fixture->out), STATUS_OK);
  close(fixture->ends[0]);
  fixture->ends[0] = -1;
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_OK);
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_NODATA);
  assert_int_equal(channel_send(fixture->ends[1], &fixture->out), STATUS_IO);
}

static void full_queue_is_told_without_waiting(void **state) {
  struct fixture *fixture = *state;
  fixture->out.length = CHANNEL_TEXT_MOST;
  enum status status = STATUS_OK;
  for (int i = 0; i < 1000 && status == STATUS_OK; i++)
    status = channel_send(fixture->ends[0], &fixture->out);
  assert_int_equal(status, STATUS_LIMIT);
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_OK);
  assert_int_equal(channel_send(fixture->ends[0], &fixture->out), STATUS_OK);
}

static void foreign_packet_is_dropped_and_the_next_one_read(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(send(fixture->ends[0], "hello", 5, 0), 5);
  char zeroes[100] = {0};
  assert_int_equal(send(fixture->ends[0], zeroes, sizeof zeroes, 0), sizeof zeroes);
  fixture->out.kind = CHANNEL_TAKEN;
  assert_int_equal(channel_send(fixture->ends[0], &fixture->out), STATUS_OK);
  fixture->in.generation = 77;
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_INVALID);
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_INVALID);
  assert_true(fixture->in.generation == 77);
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_OK);
  assert_int_equal(fixture->in.kind, CHANNEL_TAKEN);
}

static void send_descriptors(int end, int count) {
  char body[24] = {0};
  struct iovec part = {body, sizeof body};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(16 * sizeof(int))];
  } control = {0};
  struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
  packet.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
  struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
  for (int i = 0; i < count; i++)
    memcpy(CMSG_DATA(rights) + (size_t)i * sizeof(int), &end, sizeof end);
  assert_int_equal(sendmsg(end, &packet, 0), sizeof body);
}

static void descriptors_of_a_foreign_packet_are_closed(void **state) {
  struct fixture *fixture = *state;
  size_t before = open_descriptors();
  static const int counts[] = {1, 4, 5, 8, 9, 16};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    send_descriptors(fixture->ends[0], counts[i]);
    assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_INVALID);
    assert_int_equal(open_descriptors(), before);
  }
}

static void nonblocking_receiver_is_told_that_nothing_is_there(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fcntl(fixture->ends[1], F_SETFL, O_NONBLOCK), 0);
  assert_int_equal(channel_receive(fixture->ends[1], &fixture->in), STATUS_TIMEOUT);
}

#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CHANNEL_TEST(message_arrives_whole),
      CHANNEL_TEST(longest_text_arrives),
      CHANNEL_TEST(descriptors_arrive_usable_and_close_on_exec),
      CHANNEL_TEST(end_of_the_other_side_is_nodata),
      CHANNEL_TEST(full_queue_is_told_without_waiting),
      CHANNEL_TEST(foreign_packet_is_dropped_and_the_next_one_read),
      CHANNEL_TEST(descriptors_of_a_foreign_packet_are_closed),
      CHANNEL_TEST(nonblocking_receiver_is_told_that_nothing_is_there),
  };
  return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
