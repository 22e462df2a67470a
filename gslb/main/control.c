#include "gslb/main/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gslb/admin/historian.h"
#include "gslb/admin/keeper.h"
#include "gslb/admin/measure.h"
#include "gslb/admin/routes.h"
#include "gslb/admin/view.h"
#include "gslb/admin/zone_view.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/main/reception.h"
#include "gslb/main/reloads.h"
#include "gslb/main/zone_exchange.h"
#include "gslb/model/commit.h"
#include "gslb/model/store.h"
#include "gslb/net/http_server.h"

#define STORES_AGAIN_MS 10000
#define TCP_AGAIN_MS 5000
#define WAIT_MOST_MS 60000
#define TELL_AGAIN_MS 20

#define LEAVE_LOOK_MS 50

static const struct http_limits unix_limits = {.threads = 2, .connections = 200, .idle_s = 30};

struct control {
  struct child *child;
  struct view_sources sources;
  struct views views;
  struct committer *committer;
  struct keeper *keeper;
  struct historian *historian;
  struct reloads *reloads;
  struct zone_exchange *exchange;
  struct reception *reception;
  bool has_to_tell;        /* secondaries, once dns serves this generation */
  struct zone_links zones; /* filled before anybody asks */
  struct routes routes;
  struct http_server *tcp;
  struct http_server *local;
  int64_t tcp_again_ms;    /* mono; INT64_MAX: it serves, or is not wanted */
  int64_t stores_again_ms; /* mono; INT64_MAX: both are open */
  struct channel_message message;
  bool is_leaving; /* all of gslbd stops; this process serves on while resources move away */
  bool is_stopping;
  int exit_status;
};

static void open_stores(struct control *control) {
  const struct config_server *server = &control->child->config->server;
  struct errbuf err;
  if (store_open(server->state, STORE_DURABLE, STORE_WRITE, &control->sources.durable, &err) != STATUS_OK)
    log_error("durable store: %s; nothing can be changed until it opens", err.text);
  if (store_open(server->run, STORE_LIVE, STORE_WRITE, &control->sources.live, &err) != STATUS_OK)
    log_error("live store: %s; states are not known until it opens", err.text);
  bool is_whole = control->sources.durable && control->sources.live;
  control->stores_again_ms = is_whole ? INT64_MAX : mono_now_ms() + STORES_AGAIN_MS;
}

/* A process that runs without a store ends when the store can be opened, and the next one has it from the start. */
static void try_stores(struct control *control) {
  const struct config_server *server = &view_config(control->views.current)->server;
  struct store *store = NULL;
  enum status status =
      control->sources.durable ? STATUS_OK : store_open(server->state, STORE_DURABLE, STORE_WRITE, &store, NULL);
  store_close(store);
  store = NULL;
  if (status == STATUS_OK && !control->sources.live)
    status = store_open(server->run, STORE_LIVE, STORE_WRITE, &store, NULL);
  store_close(store);
  control->stores_again_ms = mono_now_ms() + STORES_AGAIN_MS;
  if (status != STATUS_OK)
    return;
  log_info("the stores can be opened again: starting afresh");
  control->is_stopping = true;
  control->exit_status = EXIT_FAILURE;
}

static void ring(void *context) {
  struct control *control = context;
  board_ring(control->child->board, &control->child->bell);
}

static void heard(void *context) {
  struct control *control = context;
  reception_heard(control->reception);
}

static void stored(void *context, const struct event_record *event) {
  struct control *control = context;
  reception_event(control->reception, event);
}

static void show_generation(const struct control *control) {
  atomic_store_explicit(&control->child->board->gauges[BOARD_CONTROL_GENERATION], (int64_t)control->child->generation,
                        memory_order_relaxed);
}

/* Takes over config. */
static struct view *make_view(const struct control *control, struct config *config, int image) {
  struct view *view = view_new(config, control->child->generation, &control->sources);
  struct errbuf err;
  if (view_map_image(view, image, &err) != STATUS_OK)
    log_error("%s; zones are not shown, and their secondaries are not told of new serials", err.text);
  return view;
}

/* A certificate that cannot be used costs the TCP listener alone: names, the unix socket and what is registered go on
 * without it, and it is tried again. */
static enum status start_tcp(struct control *control, struct errbuf *err) {
  const struct config_control *config = &view_config(control->views.current)->control;
  struct http_tls files = {config->tls.certificate, config->tls.key, config->tls.client_ca};
  control->tcp_again_ms = INT64_MAX;
  struct http_limits limits = {.threads = 2,
                               .connections = config->limits.connections,
                               .per_client = config->limits.connections_per_client,
                               .idle_s = 30};
  if (control->child->http_tcp < 0)
    return STATUS_OK;
  enum status status = http_server_start(control->child->http_tcp, &limits, config->tls.is_given ? &files : NULL,
                                         routes_handle, &control->routes, &control->tcp, err);
  if (status == STATUS_OK || !config->tls.is_given)
    return status;
  control->tcp_again_ms = mono_now_ms() + TCP_AGAIN_MS;
  log_error("%s; nobody is served over TCP until that is in order", err->text);
  return STATUS_OK;
}

static enum status start_servers(struct control *control, struct errbuf *err) {
  struct child *child = control->child;
  enum status status = STATUS_OK;
  if (child->http_unix >= 0)
    status =
        http_server_start(child->http_unix, &unix_limits, NULL, routes_handle, &control->routes, &control->local, err);
  return status == STATUS_OK ? start_tcp(control, err) : status;
}

static void renew_certificates(struct control *control, const struct config_tls *tls) {
  struct http_tls files = {tls->certificate, tls->key, tls->client_ca};
  struct errbuf err;
  if (!tls->is_given)
    return;
  if (!control->tcp)
    (void)start_tcp(control, &err);
  else if (http_server_renew_tls(control->tcp, &files, &err) != STATUS_OK)
    log_error("%s; the certificate in use stays", err.text);
}

static enum status start_threads(struct control *control, struct errbuf *err) {
  struct child *child = control->child;
  enum status status = commit_start(control->sources.durable, &child->house, ring, control, &control->committer, err);
  if (status)
    return status;
  control->reloads = reloads_new(child->channel, control->committer, &child->house);
  control->exchange = zone_exchange_start(child, control->reloads, err);
  if (!control->exchange)
    return STATUS_IO;
  control->zones = zone_exchange_links(control->exchange);
  zone_exchange_configure(control->exchange, view_config(control->views.current));
  control->has_to_tell = true;
  struct reception_links reception = {.child = child,
                                      .views = &control->views,
                                      .committer = control->committer,
                                      .durable = control->sources.durable,
                                      .live = control->sources.live};
  status = reception_start(&reception, &control->reception, err);
  if (status != STATUS_OK)
    return status;
  control->routes = (struct routes){.views = &control->views,
                                    .committer = control->committer,
                                    .reload = reloads_ask,
                                    .reload_context = control->reloads,
                                    .supervisor = child->channel};
  reception_routes(control->reception, &control->routes);
  struct keeper_links links = {.views = &control->views,
                               .committer = control->committer,
                               .board = child->board,
                               .bell = &child->bell,
                               .house = &child->house,
                               .exec = child->exec,
                               .heard = heard,
                               .event = stored,
                               .context = control};
  status = keeper_start(&links, &control->keeper, err);
  if (status != STATUS_OK)
    return status;
  struct historian_links history = {.views = &control->views, .committer = control->committer, .house = &child->house};
  status = historian_start(&history, &control->historian, err);
  return status == STATUS_OK ? start_servers(control, err) : status;
}

static void take_config(struct control *control) {
  struct child *child = control->child;
  struct config *config;
  struct errbuf err;
  if (child_parse_config(&control->message, &config, &err) != STATUS_OK) {
    log_error("the new configuration is not understood: %s", err.text);
    return;
  }
  child->generation = control->message.generation;
  child_set_log(config, BOARD_CONTROL);
  struct view *view = make_view(control, config, control->message.fd_count > 1 ? control->message.fds[1] : -1);
  zone_exchange_configure(control->exchange, config);
  control->has_to_tell = true;
  views_replace(&control->views, view);
  reception_configure(control->reception, control->message.fds[0]);
  renew_certificates(control, &view_config(view)->control.tls);
  keeper_wake(control->keeper);
  show_generation(control);
  child_say(child, CHANNEL_TAKEN);
}

static void hear_supervisor(struct control *control) {
  struct channel_message *message = &control->message;
  enum status status = channel_receive(control->child->channel, message);
  if (status == STATUS_INVALID || status == STATUS_TIMEOUT)
    return;
  if (status) {
    control->is_stopping = true;
    return;
  }
  switch (message->kind) {
  case CHANNEL_CONFIG:
    take_config(control);
    break;
  case CHANNEL_RELOADED:
    reloads_answer(control->reloads, message);
    break;
  case CHANNEL_REFUSED:
    measure_note_refusal(message, control->committer, house_now_ms(&control->child->house));
    break;
  case CHANNEL_LEAVE:
    control->is_leaving = true;
    reception_leave(control->reception);
    break;
  case CHANNEL_STOP:
    control->is_stopping = true;
    break;
  default:
    log_warning("message %d from the supervisor is not for control", (int)message->kind);
  }
  for (size_t i = 0; i < message->fd_count; i++)
    close(message->fds[i]);
}

/* Returns when to look again. */
static int64_t tell_secondaries(struct control *control, int64_t now_ms) {
  const struct child *child = control->child;
  if (!control->has_to_tell)
    return INT64_MAX;
  if ((uint64_t)atomic_load(&child->board->gauges[BOARD_DNS_GENERATION]) < child->generation)
    return now_ms + TELL_AGAIN_MS;
  control->has_to_tell = false;
  struct view *view = control->views.current;
  if (view_image(view))
    zone_exchange_tell(control->exchange, view_config(view), view_image(view));
  return INT64_MAX;
}

/* Returns when to look again whether resources are still to be served before the end. */
static int64_t linger(struct control *control, int64_t now_ms) {
  if (!control->is_leaving)
    return INT64_MAX;
  int64_t left_ms = reception_linger_ms(control->reception);
  if (left_ms <= 0 && !control->is_stopping) {
    control->is_stopping = true;
    child_say(control->child, CHANNEL_LEFT);
  }
  return now_ms + (left_ms < LEAVE_LOOK_MS ? left_ms : LEAVE_LOOK_MS);
}

static void serve(struct control *control) {
  while (!control->is_stopping) {
    int64_t now_ms = mono_now_ms();
    if (control->stores_again_ms <= now_ms)
      try_stores(control);
    int64_t next_ms = reloads_expire(control->reloads, now_ms);
    if (control->stores_again_ms < next_ms)
      next_ms = control->stores_again_ms;
    if (control->tcp_again_ms <= now_ms)
      (void)start_tcp(control, &(struct errbuf){""});
    if (control->tcp_again_ms < next_ms)
      next_ms = control->tcp_again_ms;
    int64_t tell_ms = tell_secondaries(control, now_ms);
    if (tell_ms < next_ms)
      next_ms = tell_ms;
    int64_t linger_ms = linger(control, now_ms);
    if (linger_ms < next_ms)
      next_ms = linger_ms;
    int64_t wait_ms = next_ms - now_ms > WAIT_MOST_MS ? WAIT_MOST_MS : next_ms - now_ms;
    struct pollfd ready[2] = {{.fd = control->child->channel, .events = POLLIN},
                              {.fd = control->child->notified, .events = POLLIN}};
    if (control->is_stopping)
      break;
    if (poll(ready, 2, wait_ms < 0 ? 0 : (int)wait_ms) <= 0)
      continue;
    if (ready[1].revents & POLLIN)
      zone_exchange_hear(control->exchange);
    if (ready[0].revents)
      hear_supervisor(control);
  }
}

/* A connection that is kept open may still bring calls until its server is stopped, and a server can only be stopped
 * when every held call is answered: so those who answer stop first, and are freed last. */
static void stop_threads(struct control *control) {
  http_server_quiesce(control->tcp);
  http_server_quiesce(control->local);
  keeper_stop(control->keeper); /* it tells the reception what it hears */
  historian_stop(control->historian);
  reception_stop(control->reception, control->is_leaving);
  commit_stop(control->committer);
  reloads_stop(control->reloads);
  http_server_stop(control->tcp);
  http_server_stop(control->local);
  zone_exchange_stop(control->exchange); /* calls may ask it to the last */
  reloads_free(control->reloads);
  reception_free(control->reception);
  commit_free(control->committer);
}

int control_run(struct child *child) {
  signal(SIGPIPE, SIG_IGN);
  struct control *control = mem_alloc(sizeof *control);
  control->child = child;
  control->sources = (struct view_sources){.board = child->board, .house = child->house, .zones = &control->zones};
  open_stores(control);
  views_init(&control->views, make_view(control, child->config, child->image));
  child->config = NULL; /* the view has it */
  struct errbuf err;
  if (start_threads(control, &err) == STATUS_OK) {
    show_generation(control);
    child_say(child, CHANNEL_READY);
    serve(control);
  } else {
    log_error("%s", err.text);
    control->exit_status = EXIT_FAILURE;
  }
  stop_threads(control);
  views_release(&control->views);
  store_close(control->sources.durable);
  store_close(control->sources.live);
  int exit_status = control->exit_status;
  free(control);
  return exit_status;
}
