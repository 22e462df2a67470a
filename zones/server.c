#include "zones/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "zones/builder.h"
#include "zones/worker.h"

#define SERVER_TRANSFERS 2u /* at once */
#define SERVER_TRANSFERS_WAITING 32u
#define SERVER_BUILDER_NICE 10

struct server {
  struct child *child;
  struct builder *builder;
  uint32_t worker_count;   /* one for each UDP socket, and server.workers for TCP; fixed for this process, since other
                            * sockets mean another process */
  struct worker **workers; /* in the order that gslb/main/watch knows */
  struct transfers *transfers;
};

static bool start_transfers(struct server *server, struct errbuf *err) {
  struct transfers_options options = {
      .book = builder_book(server->builder),
      .differences = builder_differences(server->builder),
      .threads = SERVER_TRANSFERS,
      .waiting_most = SERVER_TRANSFERS_WAITING,
      .write_ms = 10000,
      .total_ms = 600000,
  };
  server->transfers = transfers_new(&options, err);
  return server->transfers != NULL;
}

static bool start_worker(struct server *server, struct worker_options *options, uint32_t index, struct errbuf *err) {
  options->index = index;
  server->workers[index] = worker_start(options, err);
  return server->workers[index] != NULL;
}

static bool start_workers(struct server *server, struct errbuf *err) {
  const struct child *child = server->child;
  const struct config_server *config = &child->config->server;
  struct worker_options options = {
      .udp_payload = (uint16_t)config->udp_payload,
      .has_udp_segmentation = config->has_udp_segmentation,
      .tcp_connections = config->tcp_connections,
      .tcp_per_client = config->tcp_per_client,
      .tcp_idle_ms = config->tcp_idle_ms,
      .transfers = server->transfers,
      .rate_limit = &config->rate_limit,
      .sharers = config->workers,
      .has_cpu_affinity = config->has_cpu_affinity,
      .notified = child->notified,
      .board = child->board,
      .book = builder_book(server->builder),
  };
  random_secret(&options.secret, sizeof options.secret);
  board_use_workers(child->board, server->worker_count);
  uint32_t sockets = config->workers * (uint32_t)config->listen_count;
  bool ok = true;
  for (uint32_t i = 0; ok && i < sockets; i++) {
    options.udp = child->udp[i];
    options.share = i / (uint32_t)config->listen_count;
    ok = start_worker(server, &options, i, err);
  }
  options.udp = -1;
  options.listener_count = config->listen_count;
  for (uint32_t i = 0; ok && i < config->workers; i++) {
    options.listeners = child->tcp + i * config->listen_count;
    ok = start_worker(server, &options, sockets + i, err);
  }
  return ok;
}

static void take_config(struct server *server, const struct channel_message *message) {
  struct child *child = server->child;
  struct errbuf err = {""};
  struct config *fresh;
  enum status status = child_parse_config(message, &fresh, &err);
  if (status == STATUS_OK && message->fd_count < 2)
    status = errbuf_set(&err, STATUS_INVALID, "no name image came with it");
  else if (status == STATUS_OK) {
    status = builder_switch(server->builder, fresh, message->fds[1], server->worker_count, &err);
    if (status != STATUS_OK)
      config_free(fresh);
  }
  if (status != STATUS_OK) {
    /* the supervisor waits for the word that does not come, and starts this process anew */
    log_error("configuration %llu cannot be used: %s", (unsigned long long)message->generation, err.text);
    return;
  }
  child->config = fresh;
  child->generation = message->generation;
  atomic_store(&child->board->gauges[BOARD_DNS_GENERATION], (int64_t)child->generation);
  child_set_log(child->config, BOARD_DNS);
  child_say(child, CHANNEL_TAKEN);
}

/* False: time to end. */
static bool serve_channel(struct server *server) {
  static struct channel_message message; /* too large for the stack */
  enum status status = channel_receive(server->child->channel, &message);
  if (status == STATUS_INVALID)
    return true;
  if (status != STATUS_OK || message.kind == CHANNEL_STOP)
    return false;
  if (message.kind == CHANNEL_CONFIG)
    take_config(server, &message);
  for (size_t i = 0; i < message.fd_count; i++)
    close(message.fds[i]);
  return true;
}

/* The builder shares processors with the workers: what it does for many changes may wait for a batch of queries, and no
 * batch for it. It still gets a tenth of a processor that others fill. Of this thread alone (Linux): the workers run.
 */
static void give_way(void) {
  if (setpriority(PRIO_PROCESS, (id_t)gettid(), SERVER_BUILDER_NICE) != 0)
    log_warning("building tables does not give way to answering: %s", strerror(errno));
}

static void serve(struct server *server) {
  struct child *child = server->child;
  struct pollfd waits[2] = {
      {.fd = child->channel, .events = POLLIN},
      {.fd = child->bell.ears[BOARD_EAR_DNS], .events = POLLIN},
  };
  for (;;) {
    int64_t wait_ms = builder_refresh(server->builder);
    rcu_thread_offline();
    int ready = poll(waits, 2, (int)wait_ms);
    rcu_thread_online();
    if (ready < 0 && errno != EINTR) {
      log_error("poll: %s", strerror(errno));
      return;
    }
    if (ready > 0 && waits[1].revents)
      board_hear(&child->bell, BOARD_EAR_DNS);
    if (ready > 0 && waits[0].revents && !serve_channel(server))
      return;
  }
}

int dns_run(struct child *child) {
  struct errbuf err = {""};
  const struct config_server *config = &child->config->server;
  struct server server = {.child = child, .worker_count = config->workers * ((uint32_t)config->listen_count + 1)};
  server.workers = mem_array(server.worker_count, sizeof *server.workers);
  server.builder = builder_new(child->board, &child->house);
  rcu_register_thread();
  int exit_status = EXIT_FAILURE;
  if (builder_switch(server.builder, child->config, child->image, server.worker_count, &err) != STATUS_OK) {
    log_error("%s", err.text);
  } else if (!start_transfers(&server, &err) || !start_workers(&server, &err)) {
    log_error("%s", err.text);
  } else {
    atomic_store(&child->board->gauges[BOARD_DNS_GENERATION], (int64_t)child->generation);
    child_say(child, CHANNEL_READY);
    give_way();
    serve(&server);
    exit_status = EXIT_SUCCESS;
  }
  rcu_thread_offline();
  for (uint32_t i = 0; i < server.worker_count; i++)
    worker_stop(server.workers[i]);
  transfers_free(server.transfers);
  rcu_thread_online();
  builder_free(server.builder);
  child->config = NULL; /* the builder owned it */
  rcu_unregister_thread();
  free(server.workers);
  return exit_status;
}
