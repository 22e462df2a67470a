#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/main/sockets.h"

static char directory[64], path[96], other_path[96];

static int set_up(void **state) {
  (void)state;
  snprintf(directory, sizeof directory, "/tmp/gslb-sockets-XXXXXX");
  if (!mkdtemp(directory))
    return -1;
  snprintf(path, sizeof path, "%s/control.sock", directory);
  snprintf(other_path, sizeof other_path, "%s/other.sock", directory);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  unlink(other_path);
  return rmdir(directory);
}

static struct addr loopback(const char *text) {
  struct addr address;
  assert_int_equal(addr_parse(text, &address), STATUS_OK);
  return address; /* port 0: the kernel picks a free one for each socket */
}

static struct config config_of(struct addr *listen, size_t count, uint32_t workers) {
  struct config config = {0};
  config.server.listen = listen;
  config.server.listen_count = count;
  config.server.workers = workers;
  config.control.socket = path;
  return config;
}

static struct sockets open_fresh(const struct config *config, const struct sockets *current) {
  struct sockets sockets = SOCKETS_NONE;
  struct errbuf err;
  assert_int_equal(sockets_open(config, getuid(), getgid(), current, &sockets, &err), STATUS_OK);
  return sockets;
}

static bool is_open(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0;
}

static void opens_one_of_each_a_worker_and_address(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1"), loopback("::1")};
  struct config config = config_of(listen, 2, 3);
  struct sockets sockets = open_fresh(&config, NULL);
  for (size_t i = 0; i < 6; i++) {
    int type = 0, domain = 0;
    socklen_t size = sizeof type;
    getsockopt(sockets.udp[i], SOL_SOCKET, SO_TYPE, &type, &size);
    assert_int_equal(type, SOCK_DGRAM);
    getsockopt(sockets.udp[i], SOL_SOCKET, SO_DOMAIN, &domain, &size);
    assert_int_equal(domain, i % 2 ? AF_INET6 : AF_INET);
    getsockopt(sockets.tcp[i], SOL_SOCKET, SO_ACCEPTCONN, &type, &size);
    assert_int_equal(type, 1);
  }
  assert_int_equal(sockets.http_tcp, -1);
  sockets_release(&sockets, NULL);
}

static void unix_socket_is_for_owner_and_group_and_goes_with_release(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1")};
  struct config config = config_of(listen, 1, 1);
  struct sockets sockets = open_fresh(&config, NULL);
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0660);
  sockets_release(&sockets, NULL);
  assert_int_equal(stat(path, &info), -1);
}

static void unix_socket_that_answers_is_left_alone(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1")};
  struct config config = config_of(listen, 1, 1);
  struct sockets sockets = open_fresh(&config, NULL), second = SOCKETS_NONE;
  struct errbuf err;
  assert_int_equal(sockets_open(&config, getuid(), getgid(), NULL, &second, &err), STATUS_CONFLICT);
  assert_non_null(strstr(err.text, path));
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  sockets_release(&sockets, NULL);
}

static void unix_socket_left_behind_is_replaced(void **state) {
  (void)state;
  int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
  assert_int_equal(bind(dead, (const struct sockaddr *)&name, sizeof name), 0);
  close(dead);
  struct addr listen[] = {loopback("127.0.0.1")};
  struct config config = config_of(listen, 1, 1);
  struct sockets sockets = open_fresh(&config, NULL);
  int client = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(connect(client, (const struct sockaddr *)&name, sizeof name), 0);
  close(client);
  sockets_release(&sockets, NULL);
}

static void file_that_is_no_socket_is_left_alone(void **state) {
  (void)state;
  FILE *file = fopen(path, "w");
  fclose(file);
  struct addr listen[] = {loopback("127.0.0.1")};
  struct config config = config_of(listen, 1, 1);
  struct sockets sockets = SOCKETS_NONE;
  struct errbuf err;
  assert_int_equal(sockets_open(&config, getuid(), getgid(), NULL, &sockets, &err), STATUS_CONFLICT);
  assert_int_equal(access(path, F_OK), 0);
}

static void sockets_that_stay_are_shared_and_those_that_go_are_closed(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1"), loopback("127.0.0.2"), loopback("127.0.0.3")};
  struct config config = config_of(listen, 2, 2);
  struct sockets first = open_fresh(&config, NULL);
  int gone = first.udp[0], stays = first.udp[1], gone_worker = first.udp[3];

  struct config changed = config_of(listen + 1, 2, 1);
  changed.control.socket = other_path;
  struct sockets second = open_fresh(&changed, &first);
  assert_int_equal(second.udp[0], stays);
  assert_false(sockets_serve_same_names(&first, &second));
  assert_false(sockets_serve_same_control(&first, &second));
  sockets_release(&first, &second);
  assert_true(is_open(stays));
  assert_false(is_open(gone));
  assert_false(is_open(gone_worker));
  assert_int_equal(access(path, F_OK), -1);
  assert_int_equal(access(other_path, F_OK), 0);
  sockets_release(&second, NULL);
}

static void same_configuration_shares_everything(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1"), loopback("::1")};
  struct config config = config_of(listen, 2, 2);
  struct sockets first = open_fresh(&config, NULL);
  struct sockets second = open_fresh(&config, &first);
  assert_true(sockets_serve_same_names(&first, &second));
  assert_true(sockets_serve_same_control(&first, &second));
  sockets_release(&first, &second);
  assert_true(is_open(second.udp[3]) && is_open(second.tcp[3]) && is_open(second.http_unix));
  assert_int_equal(access(path, F_OK), 0);
  sockets_release(&second, NULL);
}

static void the_trap_socket_stays_while_its_address_does(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1")};
  struct config config = config_of(listen, 1, 1);
  config.trap_listen = loopback("127.0.0.1");
  struct sockets first = open_fresh(&config, NULL), second = open_fresh(&config, &first);
  int stays = second.trap;
  assert_int_equal(stays, first.trap);
  sockets_release(&first, &second);
  assert_true(is_open(stays));
  config.trap_listen = loopback("127.0.0.2");
  struct sockets third = open_fresh(&config, &second);
  sockets_release(&second, &third);
  assert_false(is_open(stays) && third.trap != stays);
  config.trap_listen = (struct addr){0};
  struct sockets fourth = open_fresh(&config, &third);
  assert_int_equal(fourth.trap, -1);
  sockets_release(&third, &fourth);
  sockets_release(&fourth, NULL);
}

static void a_trap_address_in_use_is_named(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1")};
  struct config config = config_of(listen, 1, 1);
  struct sockaddr_storage name;
  socklen_t length = addr_to_sockaddr(listen, &name);
  int other = socket(AF_INET, SOCK_DGRAM, 0);
  assert_int_equal(bind(other, (const struct sockaddr *)&name, length), 0);
  assert_int_equal(getsockname(other, (struct sockaddr *)&name, &length), 0);
  addr_from_sockaddr((const struct sockaddr *)&name, &config.trap_listen);
  struct sockets sockets = SOCKETS_NONE;
  struct errbuf err;
  assert_int_equal(sockets_open(&config, getuid(), getgid(), NULL, &sockets, &err), STATUS_IO);
  assert_non_null(strstr(err.text, "traps.listen: UDP 127.0.0.1@"));
  assert_int_equal(access(path, F_OK), -1);
  close(other);
}

static void failure_names_the_address_and_closes_only_what_is_new(void **state) {
  (void)state;
  struct addr listen[] = {loopback("127.0.0.1"), loopback("192.0.2.1")}; /* the second is not ours to bind */
  struct config config = config_of(listen, 1, 1);
  struct sockets first = open_fresh(&config, NULL), second = SOCKETS_NONE;
  struct config changed = config_of(listen, 2, 1);
  struct errbuf err;
  assert_int_equal(sockets_open(&changed, getuid(), getgid(), &first, &second, &err), STATUS_IO);
  assert_non_null(strstr(err.text, "192.0.2.1"));
  assert_true(is_open(first.udp[0]) && is_open(first.tcp[0]) && is_open(first.http_unix));
  assert_int_equal(access(path, F_OK), 0);
  sockets_release(&first, NULL);
}

static unsigned count_queued(int fd) {
  char byte;
  unsigned count = 0;
  while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
    count++;
  return count;
}

static void send_from_many_ports(const struct addr *to) {
  struct sockaddr_storage name;
  socklen_t length = addr_to_sockaddr(to, &name);
  for (unsigned i = 0; i < 64; i++) {
    int client = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(sendto(client, "q", 1, 0, (const struct sockaddr *)&name, length), 1);
    close(client);
  }
}

static void retired_socket_keeps_its_queue_and_gets_nothing_more(void **state) {
  (void)state;
  /* an address of its own: on the usual one somebody's connection may have the TCP port that is free for UDP */
  char text[ADDR_TEXT_SIZE];
  snprintf(text, sizeof text, "127.78.%u.%u", (unsigned)getpid() >> 8 & 255u, (unsigned)getpid() & 255u);
  struct addr any = loopback(text), listen[1];
  struct config config = config_of(&any, 1, 1);
  struct sockets picked = open_fresh(&config, NULL); /* finds a free port */
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  assert_int_equal(getsockname(picked.udp[0], (struct sockaddr *)&name, &length), 0);
  assert_int_equal(addr_from_sockaddr((const struct sockaddr *)&name, &listen[0]), STATUS_OK);
  sockets_release(&picked, NULL);

  struct config two = config_of(listen, 1, 2), one = config_of(listen, 1, 1);
  struct sockets first = open_fresh(&two, NULL);
  struct sockets second = open_fresh(&one, &first);
  send_from_many_ports(&listen[0]);
  assert_true(sockets_retire(&first, &second));
  send_from_many_ports(&listen[0]);
  unsigned retired = count_queued(first.udp[1]), stays = count_queued(second.udp[0]);
  assert_int_equal(retired + stays, 128);
  assert_true(retired > 0 && retired <= 64);
  send_from_many_ports(&listen[0]);
  assert_int_equal(count_queued(first.udp[1]), 0);
  assert_false(sockets_retire(&second, &second));
  sockets_release(&first, &second);
  sockets_release(&second, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(opens_one_of_each_a_worker_and_address, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unix_socket_is_for_owner_and_group_and_goes_with_release, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unix_socket_that_answers_is_left_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unix_socket_left_behind_is_replaced, set_up, tear_down),
      cmocka_unit_test_setup_teardown(file_that_is_no_socket_is_left_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(sockets_that_stay_are_shared_and_those_that_go_are_closed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(same_configuration_shares_everything, set_up, tear_down),
      cmocka_unit_test_setup_teardown(retired_socket_keeps_its_queue_and_gets_nothing_more, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_trap_socket_stays_while_its_address_does, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_trap_address_in_use_is_named, set_up, tear_down),
      cmocka_unit_test_setup_teardown(failure_names_the_address_and_closes_only_what_is_new, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
