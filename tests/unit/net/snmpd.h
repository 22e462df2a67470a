/* tests/unit/net/snmpd.h
 * A real snmpd on a free port of 127.0.0.1 with its own configuration and directory; it ends with the test. */
#ifndef GSLB_TESTS_UNIT_NET_SNMPD_H
#define GSLB_TESTS_UNIT_NET_SNMPD_H

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gslb/base/addr.h"
#include "gslb/base/clock.h"
#include "gslb/net/snmp.h"
#include "tests/unit/net/peer.h"

#define SNMPD_PROGRAM "/usr/sbin/snmpd"

struct snmpd {
  struct addr addr;
  char directory[64];
  pid_t pid;
};

static const struct snmp_identity snmpd_v2c = {.community = "measure"};
static const struct snmp_identity snmpd_v3 = {
    .is_v3 = true,
    .user = "probe",
    .digest = SNMP_DIGEST_SHA256,
    .auth_secret = "authentic-secret",
    .is_private = true,
    .privacy_secret = "private-secret",
};
static const struct snmp_identity snmpd_v3_open = {.is_v3 = true,
                                                   .user = "reader",
                                                   .digest = SNMP_DIGEST_SHA1,
                                                   .auth_secret = "another-secret"};

static const char snmpd_users[] = "rocommunity measure\n"
                                  "createUser probe SHA-256 authentic-secret AES private-secret\n"
                                  "createUser reader SHA another-secret\n"
                                  "createUser strong SHA-512 authentic-secret AES private-secret\n"
                                  "rouser probe priv\n"
                                  "rouser strong priv\n"
                                  "rouser reader auth\n"
                                  "agentaddress udp:";

static inline bool snmpd_is_installed(void) {
  return access(SNMPD_PROGRAM, X_OK) == 0;
}

struct snmpd_wait {
  struct loop *loop;
  bool is_over, is_answered;
};

static inline void snmpd_answered(void *context, const struct snmp_answer *answer) {
  struct snmpd_wait *wait = context;
  wait->is_over = true;
  wait->is_answered = answer->outcome == NET_ANSWERED;
  loop_stop(wait->loop);
}

static inline void snmpd_waited(void *context) {
  loop_stop(context);
}

static inline bool snmpd_is_ready(const struct snmpd *snmpd, struct loop *loop, struct snmp_client *client) {
  struct object_id up_time;
  struct snmpd_wait wait = {.loop = loop};
  object_id_parse("1.3.6.1.2.1.1.3.0", &up_time);
  struct snmp_request request = {.device = snmpd->addr,
                                 .access = &snmpd_v2c,
                                 .timeout_ms = 200,
                                 .objects = &up_time,
                                 .object_count = 1};
  snmp_ask(client, &request, snmpd_answered, &wait);
  while (!wait.is_over)
    loop_run(loop);
  return wait.is_answered;
}

/* lines: more of snmpd.conf. At the address of before, if there was one. Returns when it answers. */
static inline void snmpd_start(struct snmpd *snmpd, struct loop *loop, struct snmp_client *client, const char *lines) {
  char path[128], port[32];
  snprintf(snmpd->directory, sizeof snmpd->directory, "/tmp/gslb-snmpd-XXXXXX");
  assert(mkdtemp(snmpd->directory));
  if (!snmpd->addr.port)
    snmpd->addr = peer_nobody(SOCK_DGRAM);
  snprintf(path, sizeof path, "%s/snmpd.conf", snmpd->directory);
  snprintf(port, sizeof port, "127.0.0.1:%u", snmpd->addr.port);
  FILE *file = fopen(path, "w");
  assert(file);
  fprintf(file, "%s%s\n%s", snmpd_users, port, lines);
  fclose(file);
  snmpd->pid = fork();
  if (snmpd->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("SNMP_PERSISTENT_DIR", snmpd->directory, 1);
    setenv("MIBS", "", 1);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execl(SNMPD_PROGRAM, SNMPD_PROGRAM, "-f", "-r", "-C", "-c", path, "-Ln", "-I", "-smux", (char *)NULL);
    _exit(127);
  }
  int64_t end_ms = mono_now_ms() + 30000;
  struct loop_timer *timer = loop_timer_new(loop, snmpd_waited, loop);
  while (!snmpd_is_ready(snmpd, loop, client)) {
    assert(mono_now_ms() < end_ms);
    loop_timer_after(timer, 20);
    loop_run(loop);
  }
  loop_timer_free(timer);
}

static inline void snmpd_stop(struct snmpd *snmpd) {
  char command[128];
  if (snmpd->pid > 0) {
    kill(snmpd->pid, SIGKILL);
    waitpid(snmpd->pid, NULL, 0);
  }
  snmpd->pid = 0;
  snprintf(command, sizeof command, "rm -rf '%s'", snmpd->directory);
  int result = snmpd->directory[0] ? system(command) : 0;
  (void)result;
}

#endif
