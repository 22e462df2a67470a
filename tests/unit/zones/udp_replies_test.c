#include "zones/udp_replies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PAYLOAD 4096u
#define DEADLINE_MS 5000
#define CLIENTS 2

struct client {
  int fd;
  struct sockaddr_in at;
  struct msghdr query; /* as received from it */
};

struct scene {
  int server;
  struct sockaddr_in at;
  struct client clients[CLIENTS];
  struct udp_replies *replies;
};

static int bound_socket(struct sockaddr_in *at) {
  socklen_t size = sizeof *at;
  *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)at, size), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)at, &size), 0);
  return fd;
}

static void begin(struct scene *scene, bool may_segment) {
  memset(scene, 0, sizeof *scene);
  scene->server = bound_socket(&scene->at);
  for (int i = 0; i < CLIENTS; i++) {
    struct client *client = &scene->clients[i];
    client->fd = bound_socket(&client->at);
    client->query = (struct msghdr){.msg_name = &client->at, .msg_namelen = sizeof client->at};
  }
  scene->replies = udp_replies_new(scene->server, PAYLOAD, may_segment);
}

static void end(struct scene *scene) {
  udp_replies_free(scene->replies);
  for (int i = 0; i < CLIENTS; i++)
    close(scene->clients[i].fd);
  close(scene->server);
}

/* A reply of size bytes, all of them the mark. */
static void add(struct scene *scene, int client, size_t size, uint8_t mark) {
  memset(udp_replies_room(scene->replies), mark, size);
  udp_replies_add(scene->replies, &scene->clients[client].query, size);
}

/* From now on the client sees which datagrams came as a train. */
static void see_trains(const struct client *client) {
  int on = 1;
  assert_int_equal(setsockopt(client->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on), 0);
}

/* The next one that came: its size, and in *mark what it is filled with. */
static size_t receive(const struct client *client, uint8_t *mark) {
  static uint8_t bytes[65536];
  struct pollfd wait = {.fd = client->fd, .events = POLLIN};
  assert_int_equal(poll(&wait, 1, DEADLINE_MS), 1);
  ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);
  assert_true(size > 0);
  *mark = bytes[size - 1];
  return (size_t)size;
}

static void expect(const struct client *client, size_t size, uint8_t mark) {
  uint8_t found;
  assert_int_equal(receive(client, &found), size);
  assert_int_equal(found, mark);
}

static void expect_nothing(const struct client *client) {
  struct pollfd wait = {.fd = client->fd, .events = POLLIN};
  assert_int_equal(poll(&wait, 1, 0), 0);
}

static void each_reply_arrives_by_itself_in_order(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  for (uint8_t i = 0; i < UDP_REPLIES_MOST; i++)
    add(&scene, i % CLIENTS, 100, i);
  assert_int_equal(udp_replies_send(scene.replies), 0);
  for (uint8_t i = 0; i < UDP_REPLIES_MOST; i++)
    expect(&scene.clients[i % CLIENTS], 100, i);
  for (int i = 0; i < CLIENTS; i++)
    expect_nothing(&scene.clients[i]);
  end(&scene);
}

static void those_of_one_size_to_one_port_are_a_train(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  see_trains(&scene.clients[0]);
  for (uint8_t i = 0; i < 5; i++) {
    add(&scene, 0, 100, 1);
    add(&scene, 0, 300, 2);
    add(&scene, 1, 100, 3);
  }
  assert_int_equal(udp_replies_send(scene.replies), 0);
  expect(&scene.clients[0], 500, 1);
  expect(&scene.clients[0], 1500, 2);
  expect_nothing(&scene.clients[0]);
  for (int i = 0; i < 5; i++)
    expect(&scene.clients[1], 100, 3);
  end(&scene);
}

static void no_train_goes_on_into_the_next_batch(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  see_trains(&scene.clients[0]);
  for (uint8_t batch = 1; batch <= 3; batch++) {
    add(&scene, 0, 100, batch);
    add(&scene, 0, 100, batch);
    assert_int_equal(udp_replies_send(scene.replies), 0);
  }
  for (uint8_t batch = 1; batch <= 3; batch++)
    expect(&scene.clients[0], 200, batch);
  end(&scene);
}

static void after_a_batch_without_trains_they_are_soon_found_again(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  see_trains(&scene.clients[0]);
  for (uint8_t i = 0; i < UDP_REPLIES_MOST; i++)
    add(&scene, 0, 100u + i, i);
  assert_int_equal(udp_replies_send(scene.replies), 0);
  for (uint8_t i = 0; i < UDP_REPLIES_MOST; i++)
    expect(&scene.clients[0], 100u + i, i);
  size_t size = 0;
  for (int batch = 0; batch < 32 && size != 200; batch++) {
    uint8_t mark;
    add(&scene, 0, 100, 1);
    add(&scene, 0, 100, 1);
    assert_int_equal(udp_replies_send(scene.replies), 0);
    size = receive(&scene.clients[0], &mark);
    if (size == 100)
      expect(&scene.clients[0], 100, 1);
  }
  assert_int_equal(size, 200);
  end(&scene);
}

static void large_replies_are_no_train(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  see_trains(&scene.clients[0]);
  for (uint8_t i = 0; i < 3; i++)
    add(&scene, 0, 1233, i);
  assert_int_equal(udp_replies_send(scene.replies), 0);
  for (uint8_t i = 0; i < 3; i++)
    expect(&scene.clients[0], 1233, i);
  end(&scene);
}

static void a_train_stays_below_what_one_send_takes(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  for (uint8_t i = 0; i < UDP_REPLIES_MOST; i++)
    add(&scene, 0, 1232, i);
  assert_int_equal(udp_replies_send(scene.replies), 0);
  for (uint8_t i = 0; i < UDP_REPLIES_MOST; i++)
    expect(&scene.clients[0], 1232, i);
  end(&scene);
}

static void without_leave_there_are_no_trains(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, false);
  see_trains(&scene.clients[0]);
  add(&scene, 0, 100, 1);
  add(&scene, 0, 100, 2);
  assert_int_equal(udp_replies_send(scene.replies), 0);
  expect(&scene.clients[0], 100, 1);
  expect(&scene.clients[0], 100, 2);
  end(&scene);
}

static void where_the_kernel_refuses_a_train_each_leaves_by_itself(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  int on = 1; /* trains need checksums */
  assert_int_equal(setsockopt(scene.server, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  see_trains(&scene.clients[0]);
  for (int batch = 0; batch < 2; batch++) {
    add(&scene, 1, 90, 7);
    for (uint8_t i = 0; i < 4; i++)
      add(&scene, 0, 100, i);
    add(&scene, 1, 110, 8);
    assert_int_equal(udp_replies_send(scene.replies), 0);
    for (uint8_t i = 0; i < 4; i++)
      expect(&scene.clients[0], 100, i);
    expect(&scene.clients[1], 90, 7);
    expect(&scene.clients[1], 110, 8);
  }
  end(&scene);
}

static void what_cannot_be_sent_is_told_and_stops_nothing(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  struct sockaddr_in nowhere = scene.clients[0].at;
  nowhere.sin_port = 0;
  struct msghdr query = {.msg_name = &nowhere, .msg_namelen = sizeof nowhere};
  add(&scene, 0, 100, 1);
  for (int i = 0; i < 3; i++)
    udp_replies_add(scene.replies, &query, 100);
  add(&scene, 1, 100, 2);
  assert_int_equal(udp_replies_send(scene.replies), 3);
  expect(&scene.clients[0], 100, 1);
  expect(&scene.clients[1], 100, 2);
  end(&scene);
}

/* Of a socket that listens on all addresses: control data name the one that the query came to. */
static void a_train_leaves_from_the_address_that_was_asked(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene, true);
  struct client *client = &scene.clients[0];
  see_trains(client);
  uint8_t control[2][CMSG_SPACE(sizeof(struct in_pktinfo))] __attribute__((aligned(8))) = {0};
  struct msghdr queries[2];
  for (int i = 0; i < 2; i++) {
    queries[i] = client->query;
    queries[i].msg_control = control[i];
    queries[i].msg_controllen = sizeof control[i];
    struct cmsghdr *part = CMSG_FIRSTHDR(&queries[i]);
    *part = (struct cmsghdr){.cmsg_level = IPPROTO_IP,
                             .cmsg_type = IP_PKTINFO,
                             .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo))};
    struct in_pktinfo info = {.ipi_spec_dst = {htonl(INADDR_LOOPBACK + 1 + (uint32_t)i)}};
    memcpy(CMSG_DATA(part), &info, sizeof info);
  }
  close(scene.server);
  udp_replies_free(scene.replies);
  scene.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  scene.replies = udp_replies_new(scene.server, PAYLOAD, true);
  for (int i = 0; i < 4; i++) {
    memset(udp_replies_room(scene.replies), i / 2, 50);
    udp_replies_add(scene.replies, &queries[i / 2], 50);
  }
  assert_int_equal(udp_replies_send(scene.replies), 0);
  for (uint32_t i = 0; i < 2; i++) {
    uint8_t bytes[256];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, DEADLINE_MS), 1);
    assert_int_equal(recvfrom(client->fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size), 100);
    assert_int_equal(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK + 1 + i);
    assert_int_equal(bytes[0], i);
  }
  end(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_reply_arrives_by_itself_in_order),
      cmocka_unit_test(those_of_one_size_to_one_port_are_a_train),
      cmocka_unit_test(no_train_goes_on_into_the_next_batch),
      cmocka_unit_test(after_a_batch_without_trains_they_are_soon_found_again),
      cmocka_unit_test(large_replies_are_no_train),
      cmocka_unit_test(a_train_stays_below_what_one_send_takes),
      cmocka_unit_test(without_leave_there_are_no_trains),
      cmocka_unit_test(where_the_kernel_refuses_a_train_each_leaves_by_itself),
      cmocka_unit_test(what_cannot_be_sent_is_told_and_stops_nothing),
      cmocka_unit_test(a_train_leaves_from_the_address_that_was_asked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
