/* gslb/model/board.h
 * Pages shared by the processes: counters that dns writes and others read, the table of processes, and the bell that
 * tells readers of a commit. Created before the first fork. Every counter has one writer and is read with relaxed
 * atomics; a restarted writer goes on from where the last one stopped. */
#ifndef GSLB_MODEL_BOARD_H
#define GSLB_MODEL_BOARD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"

#define BOARD_WORKERS_MOST CONFIG_THREADS_MOST
#define BOARD_SLOTS 131072u /* members that can be counted; the pages are sparse */

enum board_counter {
  BOARD_QUERIES_UDP,
  BOARD_QUERIES_TCP,
  BOARD_QUERIES_IPV6,
  BOARD_ANSWERS_BALANCED,
  BOARD_NOERROR,
  BOARD_FORMERR,
  BOARD_SERVFAIL,
  BOARD_NXDOMAIN,
  BOARD_NOTIMP,
  BOARD_REFUSED,
  BOARD_NOTAUTH, /* TSIG that does not verify, NOTIFY and transfers of what is no zone of ours */
  BOARD_BADVERS,
  BOARD_TRUNCATED,
  BOARD_DROPPED_SHORT,    /* less than a header */
  BOARD_DROPPED_RESPONSE, /* QR was set */
  BOARD_SEND_FAILED,
  BOARD_LIMITED_DROPPED, /* by rate limiting */
  BOARD_LIMITED_SLIPPED,
  BOARD_TCP_OPENED,
  BOARD_TCP_CLOSED,
  BOARD_TCP_REFUSED, /* over the limit */
  BOARD_TCP_TIMEOUT,
  BOARD_COUNTERS
};
const char *board_counter_name(enum board_counter counter);

struct board_worker {
  _Alignas(64) _Atomic uint64_t turns; /* moves with each turn of the worker's loop */
  _Atomic uint64_t counters[BOARD_COUNTERS];
};

enum board_process { BOARD_SUPERVISOR, BOARD_DNS, BOARD_PROBE, BOARD_CONTROL, BOARD_EXEC, BOARD_PROCESSES };
const char *board_process_name(enum board_process process);

struct board_process_row {
  _Atomic int32_t pid; /* 0 while it does not run */
  _Atomic uint32_t restarts;
  _Atomic int64_t started_ms; /* house time */
};

enum board_gauge {                         /* one writer each: the process named */
                   BOARD_PROBE_RUNNING,    /* probe: probes in flight */
                   BOARD_PROBE_RESULTS,    /* probe: results so far */
                   BOARD_PROBE_LATE_US,    /* probe: the largest lateness of a start in the last minute */
                   BOARD_DNS_TABLES_BUILT, /* dns: answer tables built so far */
                   BOARD_DNS_GENERATION,   /* dns: configuration generation in use */
                   BOARD_CONTROL_GENERATION,
                   BOARD_PROBE_GENERATION,
                   BOARD_CHECKPOINT_MS,   /* control: house time of the last checkpoint */
                   BOARD_RELOADS,         /* supervisor: reloads taken over */
                   BOARD_RELOADS_REFUSED, /* supervisor */
                   BOARD_GAUGES
};

#define BOARD_COOKIE_SECRETS 2u

struct board_cookies { /* secrets that dns made up; kept here so that its restart does not change them */
  int64_t made_ms;     /* house time of the newest; 0: none yet */
  uint32_t count;
  uint8_t secrets[BOARD_COOKIE_SECRETS][16]; /* the newest first */
};

struct board {
  uint32_t version, size_of_head; /* a reader of another build sees that it does not fit */
  int64_t house_offset_ms;
  struct board_process_row processes[BOARD_PROCESSES];
  _Atomic int64_t gauges[BOARD_GAUGES];
  _Atomic uint32_t bell;
  struct board_cookies cookies;  /* dns' builder alone */
  _Atomic uint32_t worker_count; /* rows in use, or in use before: the rest is never touched, and costs no memory */
  struct board_worker workers[BOARD_WORKERS_MOST];
  _Atomic uint64_t answers[BOARD_WORKERS_MOST][BOARD_SLOTS]; /* per worker and member slot */
};

enum board_ear { BOARD_EAR_DNS, BOARD_EAR_CONTROL, BOARD_EAR_PROBE, BOARD_EARS };

struct board_bell {
  int ears[BOARD_EARS]; /* eventfds, non-blocking */
};

enum status board_create(struct board **board, struct board_bell *bell, int *fd, struct errbuf *err);
/* Maps a fresh memfd of zeroes (its descriptor in *fd) and makes the eventfds; all are inherited by fork. */

void board_ring(struct board *board, const struct board_bell *bell);
/* After a commit: moves the bell and wakes every ear. About 2 µs. */
void board_hear(const struct board_bell *bell, enum board_ear ear);
/* Empties the ear's eventfd, before looking at the store. */

static inline void board_count(struct board_worker *worker, enum board_counter counter) {
  /* one writer, so a plain load and store suffice and cost no locked instruction */
  atomic_store_explicit(&worker->counters[counter],
                        atomic_load_explicit(&worker->counters[counter], memory_order_relaxed) + 1,
                        memory_order_relaxed);
}

void board_use_workers(struct board *board, uint32_t count);
/* Before the first of so many workers counts. */
uint64_t board_total(const struct board *board, enum board_counter counter);
/* Sum over the workers. */
uint64_t board_answers(const struct board *board, uint32_t slot);
/* Sum over the workers; 0 for a slot outside the board. */

#endif
