#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "gslb/net/snmp_listener.h"
#include "tests/unit/net/peer.h"

#define LINK_DOWN "1.3.6.1.6.3.1.1.5.3"

static const struct snmp_identity identities[] = {
    {.community = "told"},
    {.is_v3 = true,
     .user = "teller",
     .digest = SNMP_DIGEST_SHA256,
     .auth_secret = "authentic-secret",
     .is_private = true,
     .privacy_secret = "private-secret"},
};

struct scene {
  struct loop *loop;
  struct snmp_client *client;
  struct snmp_listener *listener;
  struct loop_timer *timer;
  struct addr addr;
  char port[48];
  bool is_known;
  unsigned heard, informs;
  char event[OBJECT_ID_TEXT_SIZE];
  pid_t sender;
  int exit_status;
};

static bool knows(void *context, const struct addr *from) {
  struct scene *scene = context;
  assert_int_equal(from->port, 0);
  assert_true(addr_is_loopback(from));
  return scene->is_known;
}

static void heard(void *context, const struct snmp_notice *notice) {
  struct scene *scene = context;
  scene->heard++;
  scene->informs += notice->is_inform;
  object_id_format(&notice->event, scene->event);
}

static void open_listener(struct scene *scene) {
  struct errbuf err;
  struct snmp_audience audience = {knows, heard, scene};
  int fd = peer_bound(SOCK_DGRAM, &scene->addr);
  scene->listener = snmp_listener_new(scene->client, &scene->addr, fd, identities, 2, &audience, &err);
  assert_non_null(scene->listener);
  snprintf(scene->port, sizeof scene->port, "127.0.0.1:%u", scene->addr.port);
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  scene->client = snmp_client_new(scene->loop);
  scene->is_known = true;
  open_listener(scene);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  snmp_listener_free(scene->listener);
  snmp_client_free(scene->client);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

/* Until the sender ended and its datagrams are read. */
static void look(void *context) {
  struct scene *scene = context;
  int status;
  if (scene->sender > 0 && waitpid(scene->sender, &status, WNOHANG) == scene->sender) {
    scene->sender = 0;
    scene->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    loop_timer_after(scene->timer, 50);
  } else if (scene->sender > 0) {
    loop_timer_after(scene->timer, 5);
  } else {
    loop_stop(scene->loop);
  }
}

/* program, then its arguments before the address; the event follows it. */
static void tell(struct scene *scene, const char *const *arguments) {
  const char *line[40] = {NULL};
  size_t count = 0;
  if (access("/usr/bin/snmptrap", X_OK) != 0)
    skip();
  while (*arguments)
    line[count++] = *arguments++;
  line[count++] = scene->port;
  line[count++] = "";
  line[count++] = LINK_DOWN;
  scene->heard = scene->informs = 0;
  scene->sender = fork();
  if (scene->sender == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("SNMP_PERSISTENT_DIR", "/dev/null/none", 1);
    setenv("SNMPCONFPATH", "/dev/null/none", 1);
    setenv("MIBS", "", 1);
    if (freopen("/dev/null", "w", stderr))
      execv(line[0], (char *const *)line);
    _exit(127);
  }
  scene->timer = loop_timer_new(scene->loop, look, scene);
  loop_timer_after(scene->timer, 5);
  loop_run(scene->loop);
  loop_timer_free(scene->timer);
}

#define TRAP "/usr/bin/snmptrap"
#define INFORM "/usr/bin/snmpinform"
#define SECRETS "-a", "SHA-256", "-A", "authentic-secret", "-x", "AES", "-X", "private-secret"
#define ONCE "-r", "0", "-t", "0.3"

static void trap_with_the_community_is_heard(void **state) {
  struct scene *scene = *state;
  tell(scene, (const char *const[]){TRAP, "-v2c", "-c", "told", NULL});
  assert_int_equal(scene->heard, 1);
  assert_int_equal(scene->informs, 0);
  assert_string_equal(scene->event, LINK_DOWN);
  assert_int_equal(snmp_listener_counts(scene->listener).heard, 1);
}

static void inform_is_answered(void **state) {
  struct scene *scene = *state;
  tell(scene, (const char *const[]){INFORM, "-v2c", "-c", "told", "-r", "0", "-t", "3", NULL});
  assert_int_equal(scene->informs, 1);
  assert_int_equal(scene->exit_status, 0);
}

static void other_communities_and_addresses_are_dropped(void **state) {
  struct scene *scene = *state;
  tell(scene, (const char *const[]){INFORM, "-v2c", "-c", "guess", ONCE, NULL});
  assert_int_equal(scene->heard, 0);
  assert_int_not_equal(scene->exit_status, 0);
  scene->is_known = false;
  tell(scene, (const char *const[]){INFORM, "-v2c", "-c", "told", ONCE, NULL});
  assert_int_equal(scene->heard, 0);
  assert_int_not_equal(scene->exit_status, 0);
  assert_true(snmp_listener_counts(scene->listener).dropped >= 2);
}

static void v3_trap_of_an_engine_never_met_is_heard(void **state) {
  struct scene *scene = *state;
  tell(scene, (const char *const[]){TRAP, "-v3", "-e", "0x80001f8880aabbccdd01", "-u", "teller", "-l", "authPriv",
                                    SECRETS, NULL});
  assert_int_equal(scene->heard, 1);
  assert_string_equal(scene->event, LINK_DOWN);
}

static void v3_inform_is_answered(void **state) {
  struct scene *scene = *state;
  tell(scene,
       (const char *const[]){INFORM, "-v3", "-u", "teller", "-l", "authPriv", SECRETS, "-r", "0", "-t", "3", NULL});
  assert_int_equal(scene->informs, 1);
  assert_int_equal(scene->exit_status, 0);
}

static void v3_without_the_secrets_is_dropped(void **state) {
  struct scene *scene = *state;
  tell(scene,
       (const char *const[]){TRAP, "-v3", "-e", "0x80001f8880aabbccdd02", "-u", "teller", "-l", "noAuthNoPriv", NULL});
  assert_int_equal(scene->heard, 0);
  tell(scene, (const char *const[]){TRAP, "-v3", "-e", "0x80001f8880aabbccdd02", "-u", "teller", "-l", "authNoPriv",
                                    "-a", "SHA-256", "-A", "authentic-secret", NULL});
  assert_int_equal(scene->heard, 0);
  tell(scene, (const char *const[]){TRAP, "-v3", "-e", "0x80001f8880aabbccdd02", "-u", "teller", "-l", "authPriv", "-a",
                                    "SHA-256", "-A", "authentic-guess", "-x", "AES", "-X", "private-secret", NULL});
  assert_int_equal(scene->heard, 0);
  tell(scene, (const char *const[]){TRAP, "-v3", "-e", "0x80001f8880aabbccdd02", "-u", "stranger", "-l", "authPriv",
                                    SECRETS, NULL});
  assert_int_equal(scene->heard, 0);
}

static void rubbish_and_requests_are_dropped(void **state) {
  static const char *const texts[] = {"", "0", "0\x82\xff\xff\x02\x01\x03", "GET / HTTP/1.0\r\n\r\n",
                                      "0\x0b\x02\x01\x03\x30\x80\x04\x84\xff\xff\xff\xff"};
  struct scene *scene = *state;
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(&scene->addr, &sockaddr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    ssize_t sent = sendto(fd, texts[i], strlen(texts[i]), 0, (struct sockaddr *)&sockaddr, length);
    assert_int_equal(sent, strlen(texts[i]));
  }
  close(fd);
  tell(scene, (const char *const[]){TRAP, "-v2c", "-c", "told", NULL});
  assert_int_equal(scene->heard, 1);
  assert_int_equal(snmp_listener_counts(scene->listener).dropped, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(trap_with_the_community_is_heard, set_up, tear_down),
      cmocka_unit_test_setup_teardown(inform_is_answered, set_up, tear_down),
      cmocka_unit_test_setup_teardown(other_communities_and_addresses_are_dropped, set_up, tear_down),
      cmocka_unit_test_setup_teardown(v3_trap_of_an_engine_never_met_is_heard, set_up, tear_down),
      cmocka_unit_test_setup_teardown(v3_inform_is_answered, set_up, tear_down),
      cmocka_unit_test_setup_teardown(v3_without_the_secrets_is_dropped, set_up, tear_down),
      cmocka_unit_test_setup_teardown(rubbish_and_requests_are_dropped, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
