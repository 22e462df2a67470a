#include "zones/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "zones/tcp.h"
#include "zones/udp.h"

#define WORKER_EVENTS 64
#define WORKER_ROUNDS_MOST 16 /* rounds over busy UDP sockets before TCP gets its turn */

enum source_kind { SOURCE_UDP, SOURCE_TCP_LISTENER, SOURCE_WAKE };

struct source { /* what epoll's data points to, for all but TCP connections */
  enum source_kind kind;
  int fd;
  bool has_data;
};

struct worker {
  struct worker_options options;
  pthread_t thread;
  int epoll, wake;
  _Atomic bool is_stopping;
  struct source *sources; /* UDP sockets, listeners, wake */
  size_t source_count;
  struct udp *udp;
  struct tcp *tcp;
  struct answerer answerer;
};

static struct source *as_source(const struct worker *worker, void *data) {
  struct source *source = data;
  return source >= worker->sources && source < worker->sources + worker->source_count ? source : NULL;
}

static void count_turn(struct worker *worker) {
  _Atomic uint64_t *turns = &worker->answerer.board->turns;
  atomic_store_explicit(turns, atomic_load_explicit(turns, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* One round over the UDP sockets that have data; returns whether some may still have. */
static bool serve_udp(struct worker *worker, const struct book *book) {
  bool more = false;
  for (size_t i = 0; i < worker->options.count; i++) {
    struct source *source = &worker->sources[i];
    if (!source->has_data)
      continue;
    source->has_data = udp_serve(worker->udp, source->fd, &worker->answerer, book) == UDP_BATCH;
    more |= source->has_data;
  }
  count_turn(worker);
  return more;
}

static void serve_events(struct worker *worker, struct epoll_event *events, int count) {
  const struct book *book = rcu_dereference(*worker->options.book);
  int64_t now_ms = mono_now_ms();
  for (int i = 0; i < count; i++) {
    struct source *source = as_source(worker, events[i].data.ptr);
    if (!source)
      tcp_event(worker->tcp, events[i].data.ptr, now_ms, &worker->answerer, book);
    else if (source->kind == SOURCE_UDP)
      source->has_data = true;
    else if (source->kind == SOURCE_TCP_LISTENER)
      tcp_accept(worker->tcp, source->fd, now_ms, &worker->answerer);
  }
}

static void *run(void *context) {
  struct worker *worker = context;
  rcu_register_thread();
  bool is_busy = false;
  while (!atomic_load_explicit(&worker->is_stopping, memory_order_relaxed)) {
    struct epoll_event events[WORKER_EVENTS];
    int wait_ms = is_busy ? 0 : tcp_expire(worker->tcp, mono_now_ms(), &worker->answerer);
    if (!is_busy)
      rcu_thread_offline();
    int count = epoll_wait(worker->epoll, events, WORKER_EVENTS, wait_ms);
    if (!is_busy)
      rcu_thread_online();
    serve_events(worker, events, count);
    is_busy = true;
    for (int round = 0; round < WORKER_ROUNDS_MOST && is_busy; round++) {
      is_busy = serve_udp(worker, rcu_dereference(*worker->options.book));
      rcu_quiescent_state();
    }
  }
  rcu_unregister_thread();
  return NULL;
}

static bool watch(struct worker *worker, size_t index, enum source_kind kind, int fd) {
  worker->sources[index] = (struct source){.kind = kind, .fd = fd};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &worker->sources[index]};
  return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void free_worker(struct worker *worker) {
  tcp_free(worker->tcp);
  udp_free(worker->udp);
  rrl_free(worker->answerer.rrl);
  if (worker->epoll >= 0)
    close(worker->epoll);
  if (worker->wake >= 0)
    close(worker->wake);
  free(worker->sources);
  free(worker);
}

struct worker *worker_start(const struct worker_options *options, struct errbuf *err) {
  struct worker *worker = mem_alloc(sizeof *worker);
  worker->options = *options;
  worker->epoll = epoll_create1(EPOLL_CLOEXEC);
  worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  worker->source_count = 2 * options->count + 1;
  worker->sources = mem_array(worker->source_count, sizeof *worker->sources);
  bool ok = worker->epoll >= 0 && worker->wake >= 0;
  for (size_t i = 0; ok && i < options->count; i++)
    ok = watch(worker, i, SOURCE_UDP, options->udp[i]) &&
         watch(worker, options->count + i, SOURCE_TCP_LISTENER, options->tcp[i]);
  ok = ok && watch(worker, 2 * options->count, SOURCE_WAKE, worker->wake);
  if (!ok) {
    errbuf_set(err, STATUS_IO, "worker %u: %s", options->index, strerror(errno));
    free_worker(worker);
    return NULL;
  }
  worker->udp = udp_new(options->udp_payload);
  worker->tcp = tcp_new(worker->epoll, options->tcp_connections, options->tcp_per_client, options->tcp_idle_ms,
                        options->transfers);
  worker->answerer = (struct answerer){
      .board = &options->board->workers[options->index],
      .answers = options->board->answers[options->index],
      .rrl = rrl_new(options->rate_limit, options->worker_count, options->secret),
      .notified = options->notified,
      .worker = options->index,
      .udp_payload = options->udp_payload,
  };
  random_seed_system(&worker->answerer.random);
  int failure = pthread_create(&worker->thread, NULL, run, worker);
  if (failure) {
    errbuf_set(err, STATUS_IO, "worker %u: no thread: %s", options->index, strerror(failure));
    free_worker(worker);
    return NULL;
  }
  return worker;
}

void worker_stop(struct worker *worker) {
  if (!worker)
    return;
  atomic_store(&worker->is_stopping, true);
  uint64_t one = 1;
  ssize_t ignored = write(worker->wake, &one, sizeof one); /* cannot be full: written once */
  (void)ignored;
  pthread_join(worker->thread, NULL);
  free_worker(worker);
}
