/* tests/unit/zones/secondary/primary.h
 * A primary of the tests' own, built on ldns: a thread that answers SOA, AXFR and IXFR queries on a free port of
 * 127.0.0.1 with set records, signed or not, and with set faults. Its answers are set while it is asked for nothing. */
#ifndef GSLB_TESTS_UNIT_ZONES_SECONDARY_PRIMARY_H
#define GSLB_TESTS_UNIT_ZONES_SECONDARY_PRIMARY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/addr.h"

#define PRIMARY_MESSAGES_MOST 16

struct primary_answer {
  const char *messages[PRIMARY_MESSAGES_MOST]; /* the answer section of each, a record a line */
  uint8_t rcode;
  bool is_absent; /* silence */
  bool has_wrong_id;
  bool has_wrong_question;
  bool is_truncated;    /* TC over UDP */
  bool breaks_off;      /* the connection ends within the last message */
  bool is_endless;      /* the last message comes again and again, until the other side has enough */
  bool is_unsigned_end; /* with a key: the last message is not signed */
};

struct primary {
  struct primary_answer soa, axfr, ixfr;
  const char *key_name, *key_secret; /* hmac-sha256; NULL: answers are not signed */
  struct addr addr;
  _Atomic unsigned soa_count, axfr_count, ixfr_count; /* queries */
  _Atomic bool has_verified;                          /* the last query was signed with the key */
  int udp, tcp, stop;
  pthread_t thread;
};

void primary_start(struct primary *primary);
void primary_stop(struct primary *primary);

#endif
