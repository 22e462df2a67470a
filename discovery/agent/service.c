#include "discovery/agent/service.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/net/http_server.h"
#include "gslb/net/reply.h"

#define QUEUE_MOST 256u

struct waiting {
  struct http_call *call;
  struct waiting *next;
};

struct service {
  struct addr address;
  int fd, bell;
  struct loop_poll *poll;
  struct http_server *server;
  struct service_handlers handlers;
  void *context;
  pthread_mutex_t lock; /* of what follows */
  struct waiting *first, **last;
  unsigned count;
  bool is_stopping;
};

static bool is_utilization(const struct http_call *call) {
  return strcmp(call->path, SERVICE_UTILIZATION_PATH) == 0;
}

static void handle(void *context, struct http_call *call) {
  struct service *service = context;
  bool is_notice = strcmp(call->path, SERVICE_NOTICE_PATH) == 0;
  if (!is_notice && !is_utilization(call)) {
    reply_problem(call, 404, "there is %s and %s", SERVICE_UTILIZATION_PATH, SERVICE_NOTICE_PATH);
    return;
  }
  if (call->method != (is_notice ? HTTP_POST : HTTP_GET)) {
    reply_problem(call, 405, "%s takes %s", call->path, is_notice ? "POST" : "GET");
    return;
  }
  struct waiting *waiting = mem_alloc(sizeof *waiting);
  waiting->call = call;
  pthread_mutex_lock(&service->lock);
  bool is_taken = !service->is_stopping && service->count < QUEUE_MOST;
  if (is_taken) {
    http_hold(call);
    *service->last = waiting;
    service->last = &waiting->next;
    service->count++;
  }
  pthread_mutex_unlock(&service->lock);
  if (is_taken) {
    eventfd_write(service->bell, 1);
    return;
  }
  free(waiting);
  reply_problem(call, 503, "the agent is busy or about to end");
}

static void answer(struct service *service, struct http_call *call) {
  if (is_utilization(call)) {
    reply_json(call, 200, service->handlers.utilization(service->context));
    return;
  }
  struct errbuf err;
  const char *signature = http_call_header(call, "Gslb-Signature");
  enum status status = signature
                           ? service->handlers.notice(service->context, signature, call->body, call->body_size, &err)
                           : errbuf_set(&err, STATUS_FORBIDDEN, "it has no Gslb-Signature");
  if (status == STATUS_OK)
    reply_empty(call, 204);
  else
    reply_problem(call, status == STATUS_FORBIDDEN ? 403 : 422, "%s", err.text);
}

static struct waiting *take_all(struct service *service, bool is_last) {
  pthread_mutex_lock(&service->lock);
  struct waiting *all = service->first;
  service->first = NULL;
  service->last = &service->first;
  service->count = 0;
  service->is_stopping |= is_last;
  pthread_mutex_unlock(&service->lock);
  return all;
}

static void rung(void *context, int events) {
  (void)events;
  struct service *service = context;
  eventfd_t count;
  eventfd_read(service->bell, &count);
  for (struct waiting *waiting = take_all(service, false), *next; waiting; waiting = next) {
    next = waiting->next;
    answer(service, waiting->call);
    free(waiting);
  }
}

static enum status listen_at(struct service *service, const struct addr *listen_address, struct errbuf *err) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(listen_address, &sockaddr);
  char text[ADDR_TEXT_SIZE];
  int yes = 1;
  service->fd = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (service->fd < 0 || setsockopt(service->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      bind(service->fd, (struct sockaddr *)&sockaddr, length) != 0 || listen(service->fd, 64) != 0 ||
      getsockname(service->fd, (struct sockaddr *)&sockaddr, &length) != 0)
    return errbuf_set(err, STATUS_IO, "%s: %s", addr_format_port(listen_address, text), strerror(errno));
  return addr_from_sockaddr((struct sockaddr *)&sockaddr, &service->address);
}

enum status service_start(struct loop *loop, const struct addr *listen, const struct service_handlers *handlers,
                          void *context, struct service **out, struct errbuf *err) {
  struct service *service = mem_alloc(sizeof *service);
  service->handlers = *handlers;
  service->context = context;
  service->last = &service->first;
  service->fd = service->bell = -1;
  pthread_mutex_init(&service->lock, NULL);
  const struct http_limits limits = {.threads = 1, .connections = 128, .per_client = 64, .idle_s = 30};
  enum status status = listen_at(service, listen, err);
  if (status == STATUS_OK && (service->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
    status = errbuf_set(err, STATUS_IO, "eventfd: %s", strerror(errno));
  if (status == STATUS_OK)
    service->poll = loop_poll_new(loop, service->bell, rung, service);
  if (status == STATUS_OK && !service->poll)
    status = errbuf_set(err, STATUS_IO, "the eventfd cannot be polled");
  if (status == STATUS_OK) {
    loop_poll_watch(service->poll, LOOP_READABLE);
    status = http_server_start(service->fd, &limits, NULL, handle, service, &service->server, err);
  }
  if (status == STATUS_OK)
    *out = service;
  else
    service_stop(service);
  return status;
}

const struct addr *service_address(const struct service *service) {
  return &service->address;
}

void service_stop(struct service *service) {
  if (!service)
    return;
  for (struct waiting *waiting = take_all(service, true), *next; waiting; waiting = next) {
    next = waiting->next;
    reply_problem(waiting->call, 503, "the agent ends");
    free(waiting);
  }
  http_server_stop(service->server);
  loop_poll_free(service->poll);
  if (service->bell >= 0)
    close(service->bell);
  if (service->fd >= 0)
    close(service->fd);
  pthread_mutex_destroy(&service->lock);
  free(service);
}
