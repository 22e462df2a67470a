#include "zones/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "zones/tcp.h"
#include "zones/udp.h"

#define WORKER_EVENTS 64
/* Ends a wait. By itself it is ignored, so one that comes from elsewhere does nothing. */
#define WAKE_SIGNAL SIGURG
#define WAKE_AGAIN_NS 5000000

struct worker {
  struct worker_options options;
  pthread_t thread;
  _Atomic bool is_stopping;
  struct answerer answerer;
  struct udp *udp; /* NULL: a TCP worker, which has the rest */
  int epoll;       /* a listener's data is its place among the listeners; all else are connections */
  struct tcp *tcp;
};

static void count_turn(struct worker *worker) {
  _Atomic uint64_t *turns = &worker->answerer.board->turns;
  atomic_store_explicit(turns, atomic_load_explicit(turns, memory_order_relaxed) + 1, memory_order_relaxed);
}

static bool is_stopping(struct worker *worker) {
  return atomic_load_explicit(&worker->is_stopping, memory_order_relaxed);
}

/* To its processors, as far as the process may use them; none at all would be worse than any. */
static void keep_to_processors(const struct worker_options *options) {
  cpu_set_t allowed, own;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return;
  CPU_ZERO(&own);
  for (uint32_t cpu = options->share; cpu < CPU_SETSIZE; cpu += options->sharers)
    if (CPU_ISSET(cpu, &allowed))
      CPU_SET(cpu, &own);
  if (CPU_COUNT(&own))
    pthread_setaffinity_np(pthread_self(), sizeof own, &own);
}

static void *run_udp(void *context) {
  struct worker *worker = context;
  if (worker->options.has_cpu_affinity)
    keep_to_processors(&worker->options);
  rcu_register_thread();
  while (!is_stopping(worker)) {
    rcu_thread_offline();
    int count = udp_receive(worker->udp);
    rcu_thread_online();
    if (count > 0)
      udp_answer(worker->udp, count, &worker->answerer, rcu_dereference(*worker->options.book));
    count_turn(worker);
  }
  rcu_unregister_thread();
  return NULL;
}

static const int *as_listener(const struct worker *worker, const void *data) {
  const int *listener = data, *first = worker->options.listeners;
  return listener >= first && listener < first + worker->options.listener_count ? listener : NULL;
}

static void serve_event(struct worker *worker, const struct epoll_event *event, int64_t now_ms,
                        const struct book *book) {
  const int *listener = as_listener(worker, event->data.ptr);
  if (listener)
    tcp_accept(worker->tcp, *listener, now_ms, &worker->answerer);
  else
    tcp_event(worker->tcp, event->data.ptr, now_ms, &worker->answerer, book);
}

static void *run_tcp(void *context) {
  struct worker *worker = context;
  rcu_register_thread();
  while (!is_stopping(worker)) {
    struct epoll_event events[WORKER_EVENTS];
    int wait_ms = tcp_expire(worker->tcp, mono_now_ms(), &worker->answerer);
    rcu_thread_offline();
    int count = epoll_wait(worker->epoll, events, WORKER_EVENTS, wait_ms);
    rcu_thread_online();
    const struct book *book = rcu_dereference(*worker->options.book);
    int64_t now_ms = mono_now_ms();
    for (int i = 0; i < count; i++)
      serve_event(worker, &events[i], now_ms, book);
    count_turn(worker);
  }
  rcu_unregister_thread();
  return NULL;
}

static bool watch_listeners(struct worker *worker) {
  bool ok = true;
  for (size_t i = 0; ok && i < worker->options.listener_count; i++) {
    const int *listener = &worker->options.listeners[i];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)(uintptr_t)listener};
    ok = epoll_ctl(worker->epoll, EPOLL_CTL_ADD, *listener, &event) == 0;
  }
  return ok;
}

static void free_worker(struct worker *worker) {
  tcp_free(worker->tcp);
  udp_free(worker->udp);
  rrl_free(worker->answerer.rrl);
  if (worker->epoll >= 0)
    close(worker->epoll);
  free(worker);
}

static void wake(int number) {
  (void)number; /* that it was caught is all */
}

static bool catch_wake_signal(void) {
  struct sigaction action = {.sa_handler = wake}; /* without SA_RESTART: the wait ends */
  return sigaction(WAKE_SIGNAL, &action, NULL) == 0;
}

static void open_udp(struct worker *worker) {
  const struct worker_options *options = &worker->options;
  worker->udp = udp_new(options->udp, options->udp_payload, options->has_udp_segmentation);
  worker->answerer.rrl = rrl_new(options->rate_limit, options->sharers, options->secret);
}

static bool open_tcp(struct worker *worker) {
  const struct worker_options *options = &worker->options;
  worker->epoll = epoll_create1(EPOLL_CLOEXEC);
  worker->tcp = tcp_new(worker->epoll, options->tcp_connections, options->tcp_per_client, options->tcp_idle_ms,
                        options->transfers);
  return worker->epoll >= 0 && watch_listeners(worker);
}

struct worker *worker_start(const struct worker_options *options, struct errbuf *err) {
  struct worker *worker = mem_alloc(sizeof *worker);
  worker->options = *options;
  worker->epoll = -1;
  worker->answerer = (struct answerer){
      .board = &options->board->workers[options->index],
      .answers = options->board->answers[options->index],
      .notified = options->notified,
      .worker = options->index,
      .udp_payload = options->udp_payload,
  };
  random_seed_system(&worker->answerer.random);
  bool ok = catch_wake_signal();
  if (options->udp >= 0)
    open_udp(worker);
  else
    ok = open_tcp(worker) && ok;
  int failure = ok ? pthread_create(&worker->thread, NULL, options->udp >= 0 ? run_udp : run_tcp, worker) : errno;
  if (failure) {
    errbuf_set(err, STATUS_IO, "worker %u: %s", options->index, strerror(failure));
    free_worker(worker);
    return NULL;
  }
  return worker;
}

void worker_stop(struct worker *worker) {
  if (!worker)
    return;
  atomic_store(&worker->is_stopping, true);
  struct timespec until;
  do { /* a signal that comes before the wait begins does not end it */
    pthread_kill(worker->thread, WAKE_SIGNAL);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAKE_AGAIN_NS;
    if (until.tv_nsec >= 1000000000) {
      until.tv_sec++;
      until.tv_nsec -= 1000000000;
    }
  } while (pthread_timedjoin_np(worker->thread, NULL, &until) == ETIMEDOUT);
  free_worker(worker);
}
