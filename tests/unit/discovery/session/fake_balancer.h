/* tests/unit/discovery/session/fake_balancer.h
 * A balancer for tests of what registers with one: takes registrations and reports on a free port of 127.0.0.1, writes
 * down what it was asked, and answers as the test says. Its handler runs on the server's threads; the lock guards all
 * but what is set before fake_start. */
#ifndef GSLB_TESTS_UNIT_DISCOVERY_SESSION_FAKE_BALANCER_H
#define GSLB_TESTS_UNIT_DISCOVERY_SESSION_FAKE_BALANCER_H

#include <pthread.h>

#include "gslb/base/addr.h"
#include "gslb/base/clock.h"
#include "gslb/net/http_server.h"

#define FAKE_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

struct fake_request {
  unsigned turn; /* counts over all fakes of a test */
  int64_t at_ms; /* mono */
  char what;     /* R register, S status, D deregister */
  uint64_t sequence;
  bool has_figures, has_token;
};

struct fake {
  struct http_server *server;
  int fd;
  struct addr addr;
  char url[64];
  double lease_s, renew_in_s;
  pthread_mutex_t lock;
  unsigned register_status, report_status, deregister_status; /* 0: a good one */
  unsigned retry_after_s;
  unsigned times;      /* how often report_status is said; 0: always */
  char balancers[256]; /* JSON array, "" for none */
  char directive[512]; /* JSON, "" for none */
  struct fake_request requests[512];
  size_t count;
};

void fake_start(struct fake *fake);
void fake_stop(struct fake *fake);
void fake_name(struct fake *fake, const struct fake *other);
void fake_tell_leave(struct fake *fake, const struct fake *other);
/* Tells what registered to go, naming another or nobody. */
size_t fake_count(struct fake *fake, char what);
struct fake_request fake_request_of(struct fake *fake, char what, size_t n);
/* The n-th request of a kind, from 0; a zeroed one when there is none. */

#endif
