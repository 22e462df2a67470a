#include "gslb/net/http_server.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <microhttpd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/net/http_credentials.h"
#include "gslb/net/http_guard.h"
#include "gslb/net/http_stream.h"

#define CONNECTION_MEMORY (32u * 1024u) /* request line, headers and read buffer of one connection */
#define DISCARD_MOST (8u * HTTP_BODY_MOST)
#define STREAM_BLOCK 4096u
#define LINGER_S 2

struct http_server {
  struct MHD_Daemon *daemon;
  int fd;
  bool is_quiet, is_unix;
  http_handle *handle;
  void *context;
  struct http_guard *guard;
  pthread_t watcher;
  pthread_mutex_t lock;
  pthread_cond_t calm;     /* under_way or held came down to 0 */
  pthread_cond_t stopping; /* is_stopping became true; on the monotonic clock */
  unsigned under_way;      /* requests begun and not completed */
  unsigned held;
  bool is_stopping;
  struct exchange *streams;             /* exchanges that have one */
  struct http_credentials *credentials; /* of new connections; NULL: plain */
};

struct visitor {                /* a connection */
  struct guard_visitor guarded; /* first, so that a guarded one is its visitor */
  struct http_peer peer;
  struct http_credentials *credentials;
  struct gnutls_session_int *session;
  bool is_identified;
  bool is_refused; /* its certificate does not verify */
};

struct exchange {
  struct http_call call; /* first, so that a call is its exchange */
  struct http_server *server;
  struct visitor *visitor;
  struct MHD_Connection *connection;
  char *body;
  size_t capacity;
  size_t received;
  bool is_handled;
  bool is_held;
  struct MHD_Response *response;
  unsigned status;
  struct http_stream *stream;
  struct exchange *next, **link; /* in the server's streams */
};

static enum http_method method_from(const char *word) {
  static const char *const words[] = {MHD_HTTP_METHOD_GET,  MHD_HTTP_METHOD_HEAD,  MHD_HTTP_METHOD_PUT,
                                      MHD_HTTP_METHOD_POST, MHD_HTTP_METHOD_PATCH, MHD_HTTP_METHOD_DELETE};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(word, words[i]) == 0)
      return (enum http_method)i;
  return HTTP_OTHER;
}

static void read_peer(struct MHD_Connection *connection, int fd, bool is_unix, struct http_peer *peer) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  if (is_unix) {
    /* without credentials the peer stays "not unix", which may only read */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
      *peer = (struct http_peer){.is_unix = true, .uid = credentials.uid, .pid = credentials.pid};
    return;
  }
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info && info->client_addr)
    (void)addr_from_sockaddr(info->client_addr, &peer->addr);
}

static void visitor_enter(struct http_server *server, struct MHD_Connection *connection, void **kept) {
  struct visitor *visitor = mem_alloc(sizeof *visitor);
  int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  read_peer(connection, fd, server->is_unix, &visitor->peer);
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  if (info && info->tls_session) {
    visitor->session = info->tls_session;
    visitor->peer.is_tls = true;
    pthread_mutex_lock(&server->lock);
    visitor->credentials = http_credentials_share(server->credentials);
    pthread_mutex_unlock(&server->lock);
    http_credentials_offer(visitor->credentials, visitor->session);
  }
  *kept = visitor;
  http_guard_enter(server->guard, &visitor->guarded, fd, &visitor->peer.addr, mono_now_ms());
}

static void on_connection(void *context, struct MHD_Connection *connection, void **kept,
                          enum MHD_ConnectionNotificationCode code) {
  struct http_server *server = context;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    visitor_enter(server, connection, kept);
    return;
  }
  struct visitor *visitor = *kept;
  *kept = NULL;
  http_guard_leave(server->guard, &visitor->guarded);
  http_credentials_release(visitor->credentials);
  free(visitor);
}

static void step(struct exchange *exchange, enum guard_step to) {
  http_guard_step(exchange->server->guard, &exchange->visitor->guarded, to, mono_now_ms());
}

static struct exchange *exchange_begin(struct http_server *server, struct MHD_Connection *connection, const char *path,
                                       const char *method) {
  struct exchange *exchange = mem_alloc(sizeof *exchange);
  struct visitor *visitor = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
  if (visitor->session && !visitor->is_identified) {
    visitor->is_identified = true;
    visitor->is_refused =
        !http_credentials_identify(visitor->session, visitor->peer.certificate, sizeof visitor->peer.certificate);
  }
  exchange->server = server;
  exchange->visitor = visitor;
  exchange->connection = connection;
  exchange->call.method = method_from(method);
  exchange->call.path = path;
  exchange->call.body = "";
  exchange->call.peer = visitor->peer;
  pthread_mutex_lock(&server->lock);
  server->under_way++;
  pthread_mutex_unlock(&server->lock);
  step(exchange, GUARD_RECEIVING);
  return exchange;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
  struct http_server *server = context;
  struct exchange *exchange = *state;
  (void)connection;
  (void)code;
  if (!exchange)
    return;
  *state = NULL;
  step(exchange, GUARD_RESTING);
  if (exchange->stream) {
    pthread_mutex_lock(&server->lock);
    *exchange->link = exchange->next;
    if (exchange->next)
      exchange->next->link = exchange->link;
    pthread_mutex_unlock(&server->lock);
    http_stream_end(exchange->stream);
  }
  if (exchange->response)
    MHD_destroy_response(exchange->response);
  free(exchange->body);
  free(exchange);
  pthread_mutex_lock(&server->lock);
  if (--server->under_way == 0)
    pthread_cond_broadcast(&server->calm);
  pthread_mutex_unlock(&server->lock);
}

static enum MHD_Result queue_response(struct exchange *exchange) {
  if (!exchange->stream)
    step(exchange, GUARD_ANSWERING);
  return MHD_queue_response(exchange->connection, exchange->status, exchange->response);
}

static void refuse(struct exchange *exchange, unsigned status, const char *problem) {
  static const char *const last[] = {MHD_HTTP_HEADER_CONNECTION, "close", NULL};
  http_respond(&exchange->call, &(struct http_response){.status = status,
                                                        .content_type = "application/problem+json",
                                                        .body = problem,
                                                        .size = strlen(problem),
                                                        .headers = last});
}

static void refuse_size(struct exchange *exchange) {
  refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE,
         "{\"type\":\"about:blank\",\"title\":\"Content Too Large\",\"status\":413,"
         "\"detail\":\"the body is larger than 64 KiB\"}\n");
}

/* One of two readers in a row may go by the length and the other by the chunks (RFC 9112 section 6.1). */
static void refuse_framing(struct exchange *exchange) {
  refuse(exchange, MHD_HTTP_BAD_REQUEST,
         "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
         "\"detail\":\"the request has both Content-Length and Transfer-Encoding\"}\n");
}

static void refuse_certificate(struct exchange *exchange) {
  refuse(exchange, MHD_HTTP_FORBIDDEN,
         "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,"
         "\"detail\":\"the client certificate does not verify, or names no client\"}\n");
}

static void keep_body(struct exchange *exchange, const char *data, size_t size) {
  exchange->received += size;
  if (exchange->received > HTTP_BODY_MOST)
    return;
  exchange->body = mem_grow(exchange->body, &exchange->capacity, exchange->received + 1, 1);
  memcpy(exchange->body + exchange->received - size, data, size);
  exchange->body[exchange->received] = '\0';
  exchange->call.body = exchange->body;
  exchange->call.body_size = exchange->received;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state) {
  struct http_server *server = context;
  struct exchange *exchange = *state;
  (void)version;
  if (!exchange) {
    exchange = exchange_begin(server, connection, path, method);
    *state = exchange;
    const char *length = http_call_header(&exchange->call, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (exchange->visitor->is_refused)
      refuse_certificate(exchange);
    else if (length && http_call_header(&exchange->call, MHD_HTTP_HEADER_TRANSFER_ENCODING))
      refuse_framing(exchange);
    else if (length && strtoull(length, NULL, 10) > HTTP_BODY_MOST)
      refuse_size(exchange);
    return exchange->response ? queue_response(exchange) : MHD_YES;
  }
  if (*size > 0) {
    keep_body(exchange, data, *size);
    *size = 0;
    /* a response cannot be queued in the middle of an upload, so a body without an end costs the connection */
    return exchange->received > DISCARD_MOST ? MHD_NO : MHD_YES;
  }
  if (exchange->is_handled)
    return exchange->response ? queue_response(exchange) : MHD_NO;

  exchange->is_handled = true;
  step(exchange, GUARD_HANDLED);
  if (exchange->received > HTTP_BODY_MOST)
    refuse_size(exchange);
  else
    server->handle(server->context, &exchange->call);
  /* once held, the response belongs to another thread until the connection is resumed and comes here again */
  if (exchange->is_held)
    return MHD_YES;
  assert(exchange->response);
  return queue_response(exchange);
}

void http_hold(struct http_call *call) {
  struct exchange *exchange = (struct exchange *)call;
  assert(!exchange->is_held && !exchange->response);
  exchange->is_held = true;
  pthread_mutex_lock(&exchange->server->lock);
  exchange->server->held++;
  pthread_mutex_unlock(&exchange->server->lock);
  MHD_suspend_connection(exchange->connection);
}

/* The response stands: a held request goes on with it. */
static void resume(struct exchange *exchange) {
  if (!exchange->is_held)
    return;
  struct http_server *server = exchange->server;
  MHD_resume_connection(exchange->connection);
  pthread_mutex_lock(&server->lock);
  if (--server->held == 0)
    pthread_cond_broadcast(&server->calm);
  pthread_mutex_unlock(&server->lock);
}

static void set_response(struct exchange *exchange, unsigned status, struct MHD_Response *response,
                         const char *content_type) {
  if (!response)
    abort(); /* out of memory, as in gslb/base/memory */
  exchange->response = response;
  exchange->status = status;
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  if (content_type)
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
}

void http_respond(struct http_call *call, const struct http_response *response) {
  struct exchange *exchange = (struct exchange *)call;
  assert(!exchange->response);
  struct MHD_Response *made =
      response->heap_body ? MHD_create_response_from_buffer(response->size, response->heap_body, MHD_RESPMEM_MUST_FREE)
                          : MHD_create_response_from_buffer(response->body ? response->size : 0,
                                                            (void *)(uintptr_t)response->body, MHD_RESPMEM_PERSISTENT);
  set_response(exchange, response->status, made, response->content_type);
  for (const char *const *header = response->headers; header && header[0]; header += 2)
    MHD_add_response_header(exchange->response, header[0], header[1]);
  resume(exchange);
}

struct http_stream *http_stream_open(struct http_call *call, const char *content_type, http_gone *gone, void *context) {
  struct exchange *exchange = (struct exchange *)call;
  struct http_server *server = exchange->server;
  assert(!exchange->response);
  struct http_stream_place place = {exchange->connection, server->guard, &exchange->visitor->guarded};
  struct http_stream *stream = http_stream_new(&place, gone, context);
  set_response(exchange, MHD_HTTP_OK,
               MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, http_stream_read, stream, NULL),
               content_type);
  MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  pthread_mutex_lock(&server->lock);
  exchange->stream = stream;
  exchange->next = server->streams;
  exchange->link = &server->streams;
  if (exchange->next)
    exchange->next->link = &exchange->next;
  server->streams = exchange;
  bool is_late = server->is_stopping;
  pthread_mutex_unlock(&server->lock);
  if (is_late)
    http_stream_break(stream);
  resume(exchange);
  return stream;
}

const char *http_call_query(const struct http_call *call, const char *name) {
  const struct exchange *exchange = (const struct exchange *)call;
  const char *value = NULL;
  size_t size = 0;
  if (MHD_lookup_connection_value_n(exchange->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, &size) !=
      MHD_YES)
    return NULL;
  return value ? value : "";
}

const char *http_call_header(const struct http_call *call, const char *name) {
  const struct exchange *exchange = (const struct exchange *)call;
  return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

/* A zero byte would end a text for who reads it, and hide what stands behind: %00 becomes a control character. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text) {
  (void)context, (void)connection;
  size_t size = MHD_http_unescape(text);
  for (char *zero = memchr(text, '\0', size); zero; zero = memchr(zero, '\0', size - (size_t)(zero - text)))
    *zero = '\x7f';
  return size;
}

static void on_library_message(void *context, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_library_message(void *context, const char *format, va_list args) {
  (void)context;
  char text[400];
  vsnprintf(text, sizeof text, format, args);
  text[strcspn(text, "\n")] = '\0';
  log_debug("http: %s", text);
}

/* A suspended connection is not read by the library, so that its end would go unseen. */
static void break_deserted_streams(struct http_server *server) {
  for (struct exchange *at = server->streams; at; at = at->next) {
    struct pollfd poll_fd = {.fd = at->visitor->guarded.fd, .events = POLLRDHUP};
    if (poll(&poll_fd, 1, 0) == 1)
      http_stream_break(at->stream);
  }
}

static void *watch(void *context) {
  struct http_server *server = context;
  struct timespec due;
  clock_gettime(CLOCK_MONOTONIC, &due);
  pthread_mutex_lock(&server->lock);
  while (!server->is_stopping) {
    due.tv_sec++;
    while (!server->is_stopping && pthread_cond_timedwait(&server->stopping, &server->lock, &due) == 0) {
      /* woken early */
    }
    break_deserted_streams(server);
    http_guard_tick(server->guard, mono_now_ms());
  }
  pthread_mutex_unlock(&server->lock);
  return NULL;
}

static int offer_nothing(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                         const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **certificates,
                         unsigned *certificate_count, gnutls_privkey_t *key) {
  /* the library wants a source of certificates; each connection has got its own credentials before it is asked */
  (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
  (void)certificates, (void)certificate_count, (void)key;
  return -1;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, const struct http_limits *limits) {
  unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
  struct MHD_OptionItem tls[] = {
      {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)offer_nothing},
      {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)http_credentials_priorities},
      {MHD_OPTION_END, 0, NULL},
  };
  struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
  return MHD_start_daemon(server->credentials ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, on_request, server,
                          MHD_OPTION_EXTERNAL_LOGGER, on_library_message, NULL, MHD_OPTION_LISTEN_SOCKET, server->fd,
                          MHD_OPTION_THREAD_POOL_SIZE, limits->threads > 1 ? limits->threads : 0u,
                          MHD_OPTION_CONNECTION_LIMIT, limits->connections, MHD_OPTION_CONNECTION_TIMEOUT,
                          limits->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                          MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
                          MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
                          on_connection, server, MHD_OPTION_ARRAY, server->credentials ? tls : plain, MHD_OPTION_END);
}

static struct http_server *server_new(int fd, const struct http_limits *limits) {
  struct http_server *server = mem_alloc(sizeof *server);
  struct guard_rules rules = {.most = limits->connections - limits->connections / 8, .per_client = limits->per_client};
  rules.step_most_ms[GUARD_FRESH] = HTTP_HEAD_MOST_MS;
  rules.step_most_ms[GUARD_RECEIVING] = HTTP_REQUEST_MOST_MS - HTTP_HEAD_MOST_MS;
  rules.step_most_ms[GUARD_ANSWERING] = HTTP_ANSWER_MOST_MS;
  rules.step_most_ms[GUARD_RESTING] = limits->idle_s * INT64_C(1000) + HTTP_HEAD_MOST_MS;
  server->guard = http_guard_new(&rules);
  struct sockaddr_storage local;
  socklen_t size = sizeof local;
  server->is_unix = getsockname(fd, (struct sockaddr *)&local, &size) == 0 && local.ss_family == AF_UNIX;
  /* the library closes its descriptor in its own way; the supervisor's stays untouched behind a duplicate */
  server->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  pthread_mutex_init(&server->lock, NULL);
  pthread_cond_init(&server->calm, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&server->stopping, &monotonic);
  pthread_condattr_destroy(&monotonic);
  return server;
}

static void server_free(struct http_server *server) {
  http_credentials_release(server->credentials);
  http_guard_free(server->guard);
  pthread_cond_destroy(&server->stopping);
  pthread_cond_destroy(&server->calm);
  pthread_mutex_destroy(&server->lock);
  free(server);
}

enum status http_server_start(int fd, const struct http_limits *limits, const struct http_tls *tls, http_handle *handle,
                              void *context, struct http_server **out, struct errbuf *err) {
  struct http_credentials *credentials = NULL;
  enum status status = tls ? http_credentials_load(tls, &credentials, err) : STATUS_OK;
  if (status != STATUS_OK)
    return status;
  struct http_server *server = server_new(fd, limits);
  server->credentials = credentials;
  server->handle = handle;
  server->context = context;
  if (server->fd >= 0)
    server->daemon = start_daemon(server, limits);
  if (!server->daemon) {
    if (server->fd >= 0)
      close(server->fd);
    server_free(server);
    return errbuf_set(err, STATUS_IO, "the HTTP server does not start on descriptor %d", fd);
  }
  if (pthread_create(&server->watcher, NULL, watch, server) != 0)
    abort(); /* out of memory, or of threads right after the library got its own */
  *out = server;
  return STATUS_OK;
}

enum status http_server_renew_tls(struct http_server *server, const struct http_tls *tls, struct errbuf *err) {
  struct http_credentials *fresh;
  enum status status = http_credentials_load(tls, &fresh, err);
  if (status != STATUS_OK)
    return status;
  pthread_mutex_lock(&server->lock);
  struct http_credentials *old = server->credentials;
  assert(old);
  server->credentials = fresh;
  pthread_mutex_unlock(&server->lock);
  http_credentials_release(old);
  return STATUS_OK;
}

void http_server_quiesce(struct http_server *server) {
  if (!server || server->is_quiet)
    return;
  server->is_quiet = true;
  MHD_quiesce_daemon(server->daemon);
}

void http_server_stop(struct http_server *server) {
  if (!server)
    return;
  http_server_quiesce(server);
  struct timespec deadline;
  pthread_mutex_lock(&server->lock);
  server->is_stopping = true;
  pthread_cond_broadcast(&server->stopping);
  for (struct exchange *at = server->streams; at; at = at->next)
    http_stream_break(at->stream);
  pthread_mutex_unlock(&server->lock);
  pthread_join(server->watcher, NULL);

  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += LINGER_S;
  pthread_mutex_lock(&server->lock);
  while (server->held > 0) /* the library may not be stopped over a suspended connection */
    pthread_cond_wait(&server->calm, &server->lock);
  while (server->under_way > 0)
    if (pthread_cond_timedwait(&server->calm, &server->lock, &deadline) != 0)
      break;
  pthread_mutex_unlock(&server->lock);
  MHD_stop_daemon(server->daemon);
  /* not before: a worker that comes back from its connection limit may still put it into its epoll set */
  close(server->fd);
  server_free(server);
}
