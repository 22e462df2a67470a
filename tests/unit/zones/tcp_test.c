#include "zones/tcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "tests/unit/zones/small_book.h"
#include "zones/message/wire.h"

#define IDLE_MS 1000
#define QUERY_SIZE 33u
#define DEADLINE_MS 5000

static const char zone_text[] =
    "$TTL 300\n@ SOA ns1 admin 1 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n"
    "big TXT \"one hundred and sixty letters of text, one hundred and sixty letters of text, "
    "one hundred and sixty letters of text, one hundred and sixty letters of text.\"\n";
static const char services_text[] =
    "services:\n  - {name: www.example.com, members: [{name: a, addresses: [192.0.2.11]}]}\n";

struct scene { /* a struct tcp and its sockets, served when the test says so */
  struct small_book small;
  int epoll, listening;
  struct sockaddr_in at;
  struct tcp *tcp;
  int64_t now_ms; /* what tcp is told */
};

static void set_up(struct scene *scene, uint32_t connections, uint32_t per_client) {
  memset(scene, 0, sizeof *scene);
  small_book_make(&scene->small, services_text, zone_text);
  scene->epoll = epoll_create1(EPOLL_CLOEXEC);
  scene->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  scene->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof scene->at;
  assert_int_equal(bind(scene->listening, (struct sockaddr *)&scene->at, size), 0);
  assert_int_equal(listen(scene->listening, 64), 0);
  assert_int_equal(getsockname(scene->listening, (struct sockaddr *)&scene->at, &size), 0);
  scene->tcp = tcp_new(scene->epoll, connections, per_client, IDLE_MS, NULL);
  scene->now_ms = 1;
}

static void tear_down(struct scene *scene) {
  tcp_free(scene->tcp);
  close(scene->listening);
  close(scene->epoll);
  small_book_release(&scene->small);
}

static uint64_t counted(struct scene *scene, enum board_counter counter) {
  return atomic_load(&scene->small.board.counters[counter]);
}

/* Connects and has it accepted. */
static int connected(struct scene *scene, int receive_buffer) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer)
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&scene->at, sizeof scene->at), 0);
  struct pollfd waits = {.fd = scene->listening, .events = POLLIN};
  assert_int_equal(poll(&waits, 1, DEADLINE_MS), 1);
  tcp_accept(scene->tcp, scene->listening, scene->now_ms, &scene->small.answerer);
  return fd;
}

/* One round of epoll; returns how many connections it named. */
static int serve(struct scene *scene, int wait_ms) {
  struct epoll_event events[64];
  int count = epoll_wait(scene->epoll, events, 64, wait_ms);
  assert_true(count >= 0);
  for (int i = 0; i < count; i++)
    tcp_event(scene->tcp, events[i].data.ptr, scene->now_ms, &scene->small.answerer, scene->small.book);
  return count;
}

/* Queries for www.example.com A or big.example.com TXT, with ids that count up; heap. */
static uint8_t *queries(uint16_t first, size_t count, bool is_big, size_t *size) {
  static const uint8_t head[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  static const char tail[] = "\7example\3com\0\0\1\0\1";
  uint8_t one[64];
  memcpy(one, head, sizeof head);
  size_t at = sizeof head;
  memcpy(one + at, is_big ? "\3big" : "\3www", 4);
  memcpy(one + at + 4, tail, sizeof tail - 1);
  at += 4 + sizeof tail - 1;
  if (is_big)
    one[at - 3] = 16;
  one[1] = (uint8_t)(at - 2);
  uint8_t *all = mem_array(count, at);
  for (size_t i = 0; i < count; i++) {
    one[2] = (uint8_t)((first + i) >> 8);
    one[3] = (uint8_t)(first + i);
    memcpy(all + i * at, one, at);
  }
  assert_int_equal(at, QUERY_SIZE + 2);
  *size = count * at;
  return all;
}

static void send_all(int fd, const uint8_t *data, size_t size) {
  assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void ask(int fd, uint16_t first, size_t count, bool is_big) {
  size_t size;
  uint8_t *wire = queries(first, count, is_big, &size);
  send_all(fd, wire, size);
  free(wire);
}

struct inbox {
  uint8_t bytes[1 << 20];
  size_t used;
};

static void read_what_is_there(int fd, struct inbox *inbox) {
  ssize_t got = recv(fd, inbox->bytes + inbox->used, sizeof inbox->bytes - inbox->used, MSG_DONTWAIT);
  if (got > 0)
    inbox->used += (size_t)got;
}

/* How many whole replies were read; they are answers to ids from first on, in order. */
static size_t replies(const struct inbox *inbox, uint16_t first) {
  size_t count = 0;
  for (size_t at = 0; inbox->used - at >= 2; count++) {
    size_t size = wire_get_u16(inbox->bytes + at);
    if (inbox->used - at < 2 + size)
      break;
    assert_int_equal(wire_get_u16(inbox->bytes + at + 2), (uint16_t)(first + count));
    assert_int_equal(inbox->bytes[at + 5] & 15, 0);
    assert_int_equal(wire_get_u16(inbox->bytes + at + 8), 1);
    at += 2 + size;
  }
  return count;
}

static void pipelined_queries_are_read_and_answered_at_once(void **state) {
  (void)state;
  static struct inbox inbox;
  static struct scene scene;
  set_up(&scene, 10, 10);
  int fd = connected(&scene, 0);
  ask(fd, 7, 100, false);
  assert_int_equal(serve(&scene, DEADLINE_MS), 1); /* once is enough */
  inbox.used = 0;
  read_what_is_there(fd, &inbox);
  assert_int_equal(replies(&inbox, 7), 100);
  assert_int_equal(serve(&scene, 0), 0);
  assert_int_equal(counted(&scene, BOARD_QUERIES_TCP), 100);
  close(fd);
  tear_down(&scene);
}

static void query_in_pieces_is_answered_when_it_is_whole(void **state) {
  (void)state;
  static struct inbox inbox;
  static struct scene scene;
  set_up(&scene, 10, 10);
  int fd = connected(&scene, 0);
  size_t size;
  uint8_t *wire = queries(1, 3, false, &size);
  inbox.used = 0;
  for (size_t at = 0; at < size; at += 5) {
    send_all(fd, wire + at, size - at < 5 ? size - at : 5);
    assert_int_equal(serve(&scene, DEADLINE_MS), 1);
    read_what_is_there(fd, &inbox);
    size_t there = at + 5 < size ? at + 5 : size;
    assert_int_equal(replies(&inbox, 1), there / (QUERY_SIZE + 2));
  }
  free(wire);
  close(fd);
  tear_down(&scene);
}

static void peer_that_does_not_read_is_not_read_from_and_gets_all_in_the_end(void **state) {
  (void)state;
  static struct inbox inbox;
  static struct scene scene;
  set_up(&scene, 10, 10);
  int send_buffer = 8192; /* what is accepted inherits it */
  assert_int_equal(setsockopt(scene.listening, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer), 0);
  int fd = connected(&scene, 2304);
  size_t wanted = 3000, size, sent = 0;
  uint8_t *wire = queries(1, wanted, true, &size);
  int rounds = 0;
  do { /* until neither side takes anything */
    ssize_t done = send(fd, wire + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    sent += done > 0 ? (size_t)done : 0;
    assert_true(++rounds < 10000);
  } while (serve(&scene, 50) > 0);
  uint64_t before = counted(&scene, BOARD_QUERIES_TCP);
  assert_in_range(before, 1, wanted - 1);
  serve(&scene, 0);
  assert_int_equal(counted(&scene, BOARD_QUERIES_TCP), before);
  inbox.used = 0;
  int64_t end_ms = mono_now_ms() + DEADLINE_MS;
  while (replies(&inbox, 1) < wanted && mono_now_ms() < end_ms) {
    ssize_t done = send(fd, wire + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    sent += done > 0 ? (size_t)done : 0;
    read_what_is_there(fd, &inbox);
    serve(&scene, 1);
  }
  assert_int_equal(replies(&inbox, 1), wanted);
  assert_int_equal(counted(&scene, BOARD_QUERIES_TCP), wanted);
  free(wire);
  close(fd);
  tear_down(&scene);
}

static void replies_before_a_bad_length_are_sent_and_the_connection_ends(void **state) {
  (void)state;
  static struct inbox inbox;
  static struct scene scene;
  set_up(&scene, 10, 10);
  int fd = connected(&scene, 0);
  size_t size;
  uint8_t *wire = queries(1, 6, false, &size);
  wire[5 * (QUERY_SIZE + 2)] = 0xff; /* a query longer than any of ours */
  send_all(fd, wire, size);
  free(wire);
  assert_int_equal(serve(&scene, DEADLINE_MS), 1);
  inbox.used = 0;
  read_what_is_there(fd, &inbox);
  assert_int_equal(replies(&inbox, 1), 5);
  assert_int_equal(counted(&scene, BOARD_TCP_CLOSED), 1);
  close(fd);
  tear_down(&scene);
}

static void one_that_was_idle_longest_gives_way(void **state) {
  (void)state;
  static struct inbox inbox;
  static struct scene scene;
  set_up(&scene, 3, 10);
  int fds[4];
  for (int i = 0; i < 3; i++) {
    fds[i] = connected(&scene, 0);
    scene.now_ms++;
  }
  ask(fds[0], 1, 1, false);
  serve(&scene, DEADLINE_MS);
  inbox.used = 0;
  read_what_is_there(fds[0], &inbox);
  fds[3] = connected(&scene, 0);
  assert_int_equal(counted(&scene, BOARD_TCP_REFUSED), 1);
  uint8_t byte;
  assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
  const int open[] = {0, 2, 3};
  for (size_t i = 0; i < 3; i++) {
    ask(fds[open[i]], 1, 1, false);
    assert_int_equal(serve(&scene, DEADLINE_MS), 1);
    inbox.used = 0;
    read_what_is_there(fds[open[i]], &inbox);
    assert_int_equal(replies(&inbox, 1), 1);
  }
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  tear_down(&scene);
}

static void client_beyond_its_share_is_refused_until_one_of_its_own_closes(void **state) {
  (void)state;
  static struct scene scene;
  set_up(&scene, 10, 2);
  int first = connected(&scene, 0), second = connected(&scene, 0), third = connected(&scene, 0);
  assert_int_equal(counted(&scene, BOARD_TCP_OPENED), 2);
  assert_int_equal(counted(&scene, BOARD_TCP_REFUSED), 1);
  close(first);
  serve(&scene, DEADLINE_MS);
  int fourth = connected(&scene, 0);
  assert_int_equal(counted(&scene, BOARD_TCP_OPENED), 3);
  close(second);
  close(third);
  close(fourth);
  tear_down(&scene);
}

static void idle_connection_is_closed_in_time_and_one_that_asks_is_not(void **state) {
  (void)state;
  static struct scene scene;
  set_up(&scene, 10, 10);
  int silent = connected(&scene, 0), asking = connected(&scene, 0);
  assert_int_equal(tcp_expire(scene.tcp, scene.now_ms, &scene.small.answerer), IDLE_MS);
  scene.now_ms += IDLE_MS / 2;
  ask(asking, 1, 1, false);
  serve(&scene, DEADLINE_MS);
  scene.now_ms += IDLE_MS / 2;
  assert_int_equal(tcp_expire(scene.tcp, scene.now_ms, &scene.small.answerer), IDLE_MS / 2);
  assert_int_equal(counted(&scene, BOARD_TCP_TIMEOUT), 1);
  uint8_t byte;
  assert_int_equal(recv(silent, &byte, 1, 0), 0);
  scene.now_ms += IDLE_MS / 2;
  assert_int_equal(tcp_expire(scene.tcp, scene.now_ms, &scene.small.answerer), -1);
  close(silent);
  close(asking);
  tear_down(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pipelined_queries_are_read_and_answered_at_once),
      cmocka_unit_test(query_in_pieces_is_answered_when_it_is_whole),
      cmocka_unit_test(peer_that_does_not_read_is_not_read_from_and_gets_all_in_the_end),
      cmocka_unit_test(replies_before_a_bad_length_are_sent_and_the_connection_ends),
      cmocka_unit_test(one_that_was_idle_longest_gives_way),
      cmocka_unit_test(client_beyond_its_share_is_refused_until_one_of_its_own_closes),
      cmocka_unit_test(idle_connection_is_closed_in_time_and_one_that_asks_is_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
