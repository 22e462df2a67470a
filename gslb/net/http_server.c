#include "gslb/net/http_server.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define CONNECTION_MEMORY (32u * 1024u) /* request line, headers and read buffer of one connection */
#define DISCARD_MOST (8u * HTTP_BODY_MOST)
#define LINGER_S 2

struct http_server {
  struct MHD_Daemon *daemon;
  int fd;
  bool is_quiet;
  http_handle *handle;
  void *context;
  pthread_mutex_t lock;
  pthread_cond_t calm; /* under_way or held came down to 0 */
  unsigned under_way;  /* requests begun and not completed */
  unsigned held;
};

struct exchange {
  struct http_call call; /* first, so that a call is its exchange */
  struct http_server *server;
  struct MHD_Connection *connection;
  char *body;
  size_t capacity;
  size_t received;
  bool is_handled;
  bool is_held;
  struct MHD_Response *response;
  unsigned status;
};

static enum http_method method_from(const char *word) {
  static const char *const words[] = {MHD_HTTP_METHOD_GET,  MHD_HTTP_METHOD_HEAD,  MHD_HTTP_METHOD_PUT,
                                      MHD_HTTP_METHOD_POST, MHD_HTTP_METHOD_PATCH, MHD_HTTP_METHOD_DELETE};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(word, words[i]) == 0)
      return (enum http_method)i;
  return HTTP_OTHER;
}

static void read_peer(struct MHD_Connection *connection, struct http_peer *peer) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  struct sockaddr_storage local;
  socklen_t local_size = sizeof local;
  if (info && getsockname(info->connect_fd, (struct sockaddr *)&local, &local_size) == 0 &&
      local.ss_family == AF_UNIX) {
    /* without credentials the peer stays "not unix", which may only read */
    if (getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
      *peer = (struct http_peer){.is_unix = true, .uid = credentials.uid, .pid = credentials.pid};
    return;
  }
  info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info && info->client_addr)
    (void)addr_from_sockaddr(info->client_addr, &peer->addr);
}

static struct exchange *exchange_begin(struct http_server *server, struct MHD_Connection *connection, const char *path,
                                       const char *method) {
  struct exchange *exchange = mem_alloc(sizeof *exchange);
  exchange->server = server;
  exchange->connection = connection;
  exchange->call.method = method_from(method);
  exchange->call.path = path;
  exchange->call.body = "";
  read_peer(connection, &exchange->call.peer);
  pthread_mutex_lock(&server->lock);
  server->under_way++;
  pthread_mutex_unlock(&server->lock);
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
  return MHD_queue_response(exchange->connection, exchange->status, exchange->response);
}

static void refuse_size(struct exchange *exchange) {
  static const char problem[] = "{\"type\":\"about:blank\",\"title\":\"Content Too Large\",\"status\":413,"
                                "\"detail\":\"the body is larger than 64 KiB\"}\n";
  http_respond(&exchange->call, &(struct http_response){.status = MHD_HTTP_CONTENT_TOO_LARGE,
                                                        .content_type = "application/problem+json",
                                                        .body = problem,
                                                        .size = sizeof problem - 1});
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
    if (length && strtoull(length, NULL, 10) > HTTP_BODY_MOST) {
      refuse_size(exchange);
      return queue_response(exchange);
    }
    return MHD_YES;
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

void http_respond(struct http_call *call, const struct http_response *response) {
  struct exchange *exchange = (struct exchange *)call;
  assert(!exchange->response);
  exchange->response =
      response->heap_body
          ? MHD_create_response_from_buffer(response->size, response->heap_body, MHD_RESPMEM_MUST_FREE)
          : MHD_create_response_from_buffer(response->size, (void *)(uintptr_t)response->body, MHD_RESPMEM_PERSISTENT);
  if (!exchange->response)
    abort(); /* out of memory, as in gslb/base/memory */
  exchange->status = response->status;
  MHD_add_response_header(exchange->response, "X-Content-Type-Options", "nosniff");
  if (response->content_type)
    MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
  for (const char *const *header = response->headers; header && header[0]; header += 2)
    MHD_add_response_header(exchange->response, header[0], header[1]);
  if (!exchange->is_held)
    return;

  struct http_server *server = exchange->server;
  MHD_resume_connection(exchange->connection);
  pthread_mutex_lock(&server->lock);
  if (--server->held == 0)
    pthread_cond_broadcast(&server->calm);
  pthread_mutex_unlock(&server->lock);
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

static void on_library_message(void *context, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_library_message(void *context, const char *format, va_list args) {
  (void)context;
  char text[400];
  vsnprintf(text, sizeof text, format, args);
  text[strcspn(text, "\n")] = '\0';
  log_debug("http: %s", text);
}

enum status http_server_start(int fd, const struct http_limits *limits, http_handle *handle, void *context,
                              struct http_server **out, struct errbuf *err) {
  struct http_server *server = mem_alloc(sizeof *server);
  /* the library closes its descriptor in its own way; the supervisor's stays untouched behind a duplicate */
  server->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  server->handle = handle;
  server->context = context;
  pthread_mutex_init(&server->lock, NULL);
  pthread_cond_init(&server->calm, NULL);
  if (server->fd >= 0)
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
                         on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_library_message, NULL,
                         MHD_OPTION_LISTEN_SOCKET, server->fd, MHD_OPTION_THREAD_POOL_SIZE,
                         limits->threads > 1 ? limits->threads : 0u, MHD_OPTION_CONNECTION_LIMIT, limits->connections,
                         MHD_OPTION_CONNECTION_TIMEOUT, limits->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED,
                         on_completed, server, MHD_OPTION_END);
  if (!server->daemon) {
    if (server->fd >= 0)
      close(server->fd);
    pthread_cond_destroy(&server->calm);
    pthread_mutex_destroy(&server->lock);
    free(server);
    return errbuf_set(err, STATUS_IO, "the HTTP server does not start on descriptor %d", fd);
  }
  *out = server;
  return STATUS_OK;
}

void http_server_quiesce(struct http_server *server) {
  if (!server || server->is_quiet)
    return;
  server->is_quiet = true;
  MHD_socket fd = MHD_quiesce_daemon(server->daemon);
  if (fd != MHD_INVALID_SOCKET)
    close(fd);
}

void http_server_stop(struct http_server *server) {
  if (!server)
    return;
  http_server_quiesce(server);
  struct timespec deadline;
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
  pthread_cond_destroy(&server->calm);
  pthread_mutex_destroy(&server->lock);
  free(server);
}
