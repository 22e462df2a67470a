#include "zones/transfer/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "zones/transfer/transfer_answer.h"

#define LINGER_MS 2000 /* for the peer to close, after all is sent */
#define LATE_READS_MOST 16u

struct job {
  STAILQ_ENTRY(job) next;
  int fd;
  struct addr peer;
  size_t size;
  uint8_t query[];
};

STAILQ_HEAD(job_queue, job);

struct transfers {
  struct transfers_options options;
  struct transfers_counts counts;
  pthread_mutex_t lock;
  pthread_cond_t has_job;
  struct job_queue waiting;
  uint32_t waiting_count;
  bool is_stopping;
  int stop; /* eventfd: readable once it is time to end */
  pthread_t *threads;
  uint32_t thread_count;
};

static void close_job(struct job *job) {
  close(job->fd);
  free(job);
}

/* The next connection; NULL: time to end. */
static struct job *wait_for_job(struct transfers *transfers) {
  struct job *job = NULL;
  pthread_mutex_lock(&transfers->lock);
  while (!transfers->is_stopping && STAILQ_EMPTY(&transfers->waiting))
    pthread_cond_wait(&transfers->has_job, &transfers->lock);
  if (!transfers->is_stopping) {
    job = STAILQ_FIRST(&transfers->waiting);
    STAILQ_REMOVE_HEAD(&transfers->waiting, next);
    transfers->waiting_count--;
  }
  pthread_mutex_unlock(&transfers->lock);
  return job;
}

/* Whether the connection became ready within the time, before anybody said stop. */
static bool wait_for(const struct transfers *transfers, int fd, short events, int64_t wait_ms) {
  struct pollfd waits[2] = {{.fd = fd, .events = events}, {.fd = transfers->stop, .events = POLLIN}};
  int64_t deadline_ms = mono_now_ms() + wait_ms;
  while (wait_ms > 0) {
    int ready = poll(waits, 2, (int)wait_ms);
    if (ready > 0)
      return !waits[1].revents;
    if (ready == 0 || errno != EINTR)
      return false;
    wait_ms = deadline_ms - mono_now_ms();
  }
  return false;
}

static bool send_message(const struct transfers *transfers, int fd, const struct transfer_message *message,
                         int64_t deadline_ms) {
  uint8_t length[2];
  wire_set_u16(length, (uint16_t)message->size);
  size_t total = sizeof length + message->size, sent = 0;
  while (sent < total) {
    struct iovec parts[2] = {{.iov_base = length + sent, .iov_len = sent < sizeof length ? sizeof length - sent : 0},
                             {.iov_base = (void *)(uintptr_t)message->bytes, .iov_len = message->size}};
    if (sent >= sizeof length) {
      parts[0].iov_base = length;
      parts[1].iov_base = (void *)(uintptr_t)(message->bytes + (sent - sizeof length));
      parts[1].iov_len = total - sent;
    }
    const struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t done = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done > 0) {
      sent += (size_t)done;
      continue;
    }
    if (done < 0 && errno != EAGAIN && errno != EINTR)
      return false;
    int64_t left_ms = deadline_ms - mono_now_ms();
    if (left_ms > transfers->options.write_ms)
      left_ms = transfers->options.write_ms;
    if (!wait_for(transfers, fd, POLLOUT, left_ms))
      return false;
  }
  return true;
}

static bool send_all(const struct transfers *transfers, int fd, struct transfer_answer *answer) {
  /* nobody is waited for who may have nothing */
  int64_t deadline_ms = mono_now_ms() + (answer->kind == TRANSFER_REFUSED ? 0 : transfers->options.total_ms);
  for (struct transfer_message *message = answer->messages.first; message; message = message->next)
    if (!transfer_answer_sign(answer, message, (uint64_t)time(NULL)) ||
        !send_message(transfers, fd, message, deadline_ms))
      return false;
  return true;
}

/* Says that no more comes, and reads what the peer may still have sent: to close over unread bytes would be a reset,
 * which may overtake what is on the way. */
static void linger(const struct transfers *transfers, int fd, int64_t wait_ms) {
  uint8_t ignored[4096];
  unsigned reads_late = 0;
  int64_t deadline_ms = mono_now_ms() + wait_ms;
  shutdown(fd, SHUT_WR);
  for (;;) {
    ssize_t got = recv(fd, ignored, sizeof ignored, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
      return;
    int64_t left_ms = deadline_ms - mono_now_ms();
    if (got < 0 && !wait_for(transfers, fd, POLLIN, left_ms))
      return;
    if (left_ms <= 0 && ++reads_late > LATE_READS_MOST)
      return;
  }
}

static void tell(struct transfers *transfers, const struct transfer_answer *answer, const struct job *job,
                 bool is_sent) {
  static const char *const names[] = {[TRANSFER_REFUSED] = "refused",
                                      [TRANSFER_WHOLE] = "sent whole",
                                      [TRANSFER_STEPS] = "sent as differences",
                                      [TRANSFER_CURRENT] = "is current"};
  _Atomic uint64_t *const counts[] = {[TRANSFER_REFUSED] = &transfers->counts.refused,
                                      [TRANSFER_WHOLE] = &transfers->counts.whole,
                                      [TRANSFER_STEPS] = &transfers->counts.steps,
                                      [TRANSFER_CURRENT] = &transfers->counts.current};
  char zone[NAME_TEXT_SIZE] = "", peer[ADDR_TEXT_SIZE];
  if (answer->name.size)
    name_to_text(answer->name.wire, zone);
  addr_format_port(&job->peer, peer);
  atomic_fetch_add_explicit(is_sent ? counts[answer->kind] : &transfers->counts.failed, 1, memory_order_relaxed);
  if (answer->kind == TRANSFER_REFUSED)
    log_debug("transfer of %s to %s: refused with rcode %u", zone, peer, answer->rcode);
  else if (is_sent)
    log_info("transfer of %s to %s: serial %u %s, %llu records", zone, peer, answer->serial, names[answer->kind],
             (unsigned long long)answer->messages.record_count);
  else
    log_warning("transfer of %s to %s: broken off", zone, peer);
}

/* The calling thread is offline for RCU but while the answer is made. */
static void serve(struct transfers *transfers, struct transfer_answer *answer, const struct job *job) {
  rcu_thread_online();
  const struct book *book = rcu_dereference(*transfers->options.book);
  bool is_made = transfer_answer_make(answer, book, transfers->options.differences, job->query, job->size, &job->peer,
                                      (uint64_t)time(NULL));
  rcu_thread_offline();
  if (!is_made)
    return;
  bool is_sent = send_all(transfers, job->fd, answer);
  tell(transfers, answer, job, is_sent);
  int64_t linger_ms = answer->kind == TRANSFER_REFUSED ? 0 : LINGER_MS;
  transfer_answer_release(answer);
  if (is_sent)
    linger(transfers, job->fd, linger_ms);
}

static void *run(void *context) {
  struct transfers *transfers = context;
  struct transfer_answer *answer = mem_alloc(sizeof *answer);
  rcu_register_thread();
  rcu_thread_offline();
  struct job *job;
  while ((job = wait_for_job(transfers)) != NULL) {
    serve(transfers, answer, job);
    close_job(job);
  }
  rcu_thread_online();
  rcu_unregister_thread();
  free(answer);
  return NULL;
}

struct transfers *transfers_new(const struct transfers_options *options, struct errbuf *err) {
  struct transfers *transfers = mem_alloc(sizeof *transfers);
  transfers->options = *options;
  pthread_mutex_init(&transfers->lock, NULL);
  pthread_cond_init(&transfers->has_job, NULL);
  STAILQ_INIT(&transfers->waiting);
  transfers->threads = mem_array(options->threads, sizeof *transfers->threads);
  transfers->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int failure = transfers->stop < 0 ? errno : 0;
  for (uint32_t i = 0; !failure && i < options->threads; i++) {
    failure = pthread_create(&transfers->threads[i], NULL, run, transfers);
    transfers->thread_count += !failure;
  }
  if (!failure)
    return transfers;
  errbuf_set(err, STATUS_IO, "zone transfers: %s", strerror(failure));
  transfers_free(transfers);
  return NULL;
}

void transfers_free(struct transfers *transfers) {
  if (!transfers)
    return;
  pthread_mutex_lock(&transfers->lock);
  transfers->is_stopping = true;
  pthread_cond_broadcast(&transfers->has_job);
  pthread_mutex_unlock(&transfers->lock);
  if (transfers->stop >= 0)
    eventfd_write(transfers->stop, 1);
  for (uint32_t i = 0; i < transfers->thread_count; i++)
    pthread_join(transfers->threads[i], NULL);
  while (!STAILQ_EMPTY(&transfers->waiting)) {
    struct job *job = STAILQ_FIRST(&transfers->waiting);
    STAILQ_REMOVE_HEAD(&transfers->waiting, next);
    close_job(job);
  }
  if (transfers->stop >= 0)
    close(transfers->stop);
  pthread_cond_destroy(&transfers->has_job);
  pthread_mutex_destroy(&transfers->lock);
  free(transfers->threads);
  free(transfers);
}

static bool enqueue(struct transfers *transfers, struct job *job) {
  pthread_mutex_lock(&transfers->lock);
  bool is_taken = !transfers->is_stopping && transfers->waiting_count < transfers->options.waiting_most;
  if (is_taken) {
    STAILQ_INSERT_TAIL(&transfers->waiting, job, next);
    transfers->waiting_count++;
    pthread_cond_signal(&transfers->has_job);
  }
  pthread_mutex_unlock(&transfers->lock);
  return is_taken;
}

bool transfers_take(struct transfers *transfers, int fd, const uint8_t *query, size_t size, const struct addr *peer) {
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own >= 0) {
    struct job *job = mem_alloc(sizeof *job + size);
    job->fd = own;
    job->peer = *peer;
    job->size = size;
    memcpy(job->query, query, size);
    if (enqueue(transfers, job))
      return true;
    close_job(job);
  }
  atomic_fetch_add_explicit(&transfers->counts.busy, 1, memory_order_relaxed);
  return false;
}

const struct transfers_counts *transfers_counts(const struct transfers *transfers) {
  return &transfers->counts;
}
