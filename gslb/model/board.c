#include "gslb/model/board.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define BOARD_VERSION 1u

const char *board_counter_name(enum board_counter counter) {
  static const char *const names[BOARD_COUNTERS] = {
      [BOARD_QUERIES_UDP] = "udp",
      [BOARD_QUERIES_TCP] = "tcp",
      [BOARD_QUERIES_IPV6] = "ipv6",
      [BOARD_ANSWERS_BALANCED] = "balanced",
      [BOARD_NOERROR] = "noerror",
      [BOARD_FORMERR] = "formerr",
      [BOARD_SERVFAIL] = "servfail",
      [BOARD_NXDOMAIN] = "nxdomain",
      [BOARD_NOTIMP] = "notimp",
      [BOARD_REFUSED] = "refused",
      [BOARD_NOTAUTH] = "notauth",
      [BOARD_BADVERS] = "badvers",
      [BOARD_TRUNCATED] = "truncated",
      [BOARD_DROPPED_SHORT] = "dropped_short",
      [BOARD_DROPPED_RESPONSE] = "dropped_response",
      [BOARD_SEND_FAILED] = "send_failed",
      [BOARD_LIMITED_DROPPED] = "limited_dropped",
      [BOARD_LIMITED_SLIPPED] = "limited_slipped",
      [BOARD_TCP_OPENED] = "tcp_opened",
      [BOARD_TCP_CLOSED] = "tcp_closed",
      [BOARD_TCP_REFUSED] = "tcp_refused",
      [BOARD_TCP_TIMEOUT] = "tcp_timeout",
  };
  assert((size_t)counter < BOARD_COUNTERS);
  return names[counter];
}

const char *board_process_name(enum board_process process) {
  static const char *const names[BOARD_PROCESSES] = {
      [BOARD_SUPERVISOR] = "supervisor", [BOARD_DNS] = "dns",   [BOARD_PROBE] = "probe",
      [BOARD_CONTROL] = "control",       [BOARD_EXEC] = "exec",
  };
  assert((size_t)process < BOARD_PROCESSES);
  return names[process];
}

static int memory_new(struct errbuf *err) {
  int fd = memfd_create("gslb-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) {
    errbuf_set(err, STATUS_IO, "board: memfd: %s", strerror(errno));
    return -1;
  }
  /* a size that cannot change spares the readers a SIGBUS */
  if (ftruncate(fd, sizeof(struct board)) != 0 ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    errbuf_set(err, STATUS_IO, "board: size of %zu bytes: %s", sizeof(struct board), strerror(errno));
    close(fd);
    return -1;
  }
  return fd;
}

enum status board_create(struct board **board, struct board_bell *bell, int *fd, struct errbuf *err) {
  enum status status = STATUS_IO;
  struct board_bell made;
  for (size_t i = 0; i < BOARD_EARS; i++)
    made.ears[i] = -1;
  struct board *mapped = MAP_FAILED;
  int memory = memory_new(err);
  if (memory < 0)
    goto out;
  mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory, 0);
  if (mapped == MAP_FAILED) {
    errbuf_set(err, STATUS_IO, "board: map of %zu bytes: %s", sizeof *mapped, strerror(errno));
    goto out;
  }
  for (size_t i = 0; i < BOARD_EARS; i++) {
    made.ears[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (made.ears[i] < 0) {
      errbuf_set(err, STATUS_IO, "board: eventfd: %s", strerror(errno));
      goto out;
    }
  }
  mapped->version = BOARD_VERSION;
  mapped->size_of_head = offsetof(struct board, answers);
  status = STATUS_OK;
out:
  if (status == STATUS_OK) {
    *board = mapped;
    *bell = made;
    *fd = memory;
    return status;
  }
  for (size_t i = 0; i < BOARD_EARS; i++)
    if (made.ears[i] >= 0)
      close(made.ears[i]);
  if (mapped != MAP_FAILED)
    munmap(mapped, sizeof *mapped);
  if (memory >= 0)
    close(memory);
  return status;
}

void board_ring(struct board *board, const struct board_bell *bell) {
  atomic_fetch_add_explicit(&board->bell, 1, memory_order_release);
  for (size_t i = 0; i < BOARD_EARS; i++) {
    uint64_t one = 1;
    /* the only failure is a counter at its end, and that ear rings already */
    ssize_t written = write(bell->ears[i], &one, sizeof one);
    (void)written;
  }
}

void board_hear(const struct board_bell *bell, enum board_ear ear) {
  uint64_t rung;
  ssize_t got = read(bell->ears[ear], &rung, sizeof rung);
  (void)got;
}

static uint32_t workers_used(const struct board *board) {
  uint32_t count = atomic_load_explicit(&board->worker_count, memory_order_relaxed);
  return count < BOARD_WORKERS_MOST ? count : BOARD_WORKERS_MOST;
}

void board_use_workers(struct board *board, uint32_t count) {
  assert(count <= BOARD_WORKERS_MOST);
  if (count > atomic_load(&board->worker_count)) /* what rows that are no longer used counted stays in the sums */
    atomic_store(&board->worker_count, count);
}

uint64_t board_total(const struct board *board, enum board_counter counter) {
  uint64_t total = 0;
  uint32_t workers = workers_used(board);
  for (uint32_t i = 0; i < workers; i++)
    total += atomic_load_explicit(&board->workers[i].counters[counter], memory_order_relaxed);
  return total;
}

uint64_t board_answers(const struct board *board, uint32_t slot) {
  if (slot >= BOARD_SLOTS)
    return 0;
  uint64_t total = 0;
  uint32_t workers = workers_used(board);
  for (uint32_t i = 0; i < workers; i++)
    total += atomic_load_explicit(&board->answers[i][slot], memory_order_relaxed);
  return total;
}
