#include "tests/unit/discovery/session/fake_balancer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

static unsigned fake_turn; /* under fake_turn_lock */
static pthread_mutex_t fake_turn_lock = PTHREAD_MUTEX_INITIALIZER;

static void fake_answer(struct fake *fake, struct http_call *call, unsigned status, char *body) {
  char wait[16];
  snprintf(wait, sizeof wait, "%u", fake->retry_after_s);
  const char *headers[] = {"Retry-After", wait, NULL};
  http_respond(call, &(struct http_response){.status = status,
                                             .content_type = "application/json",
                                             .heap_body = body,
                                             .size = strlen(body),
                                             .headers = fake->retry_after_s ? headers : NULL});
}

static void fake_handle(void *context, struct http_call *call) {
  struct fake *fake = context;
  size_t length = strlen(call->path);
  bool is_status = length > 7 && strcmp(call->path + length - 7, "/status") == 0;
  json_t *json = call->body_size ? json_loadb(call->body, call->body_size, 0, NULL) : NULL;
  const char *bearer = http_call_header(call, "Authorization");
  pthread_mutex_lock(&fake->lock);
  struct fake_request *request = &fake->requests[fake->count < 511 ? fake->count++ : 511];
  pthread_mutex_lock(&fake_turn_lock);
  request->turn = ++fake_turn;
  pthread_mutex_unlock(&fake_turn_lock);
  request->at_ms = mono_now_ms();
  request->what = call->method == HTTP_DELETE ? 'D' : is_status ? 'S' : 'R';
  request->sequence = (uint64_t)json_integer_value(json_object_get(json, "sequence"));
  request->has_figures = json_object_get(json, "cpu_utilization") != NULL;
  request->has_token = bearer && strcmp(bearer, "Bearer gslb_test") == 0;
  json_decref(json);
  unsigned status;
  char *body;
  if (request->what == 'D')
    status = fake->deregister_status ? fake->deregister_status : 202;
  else if (request->what == 'R')
    status = fake->register_status ? fake->register_status : 201;
  else
    status = fake->report_status ? fake->report_status : 200;
  if (request->what == 'S' && fake->report_status && fake->times && --fake->times == 0)
    fake->report_status = 0;
  char both[1024], *format = NULL;
  snprintf(both, sizeof both, "\"report\":[\"cpu_utilization\"],\"balancers\":%s,\"directive\":%s",
           fake->balancers[0] ? fake->balancers : "[]", fake->directive[0] ? fake->directive : "null");
  int size;
  if (status >= 400)
    size = asprintf(&format, "{\"title\":\"no\",\"status\":%u,\"detail\":\"as the test says\"}", status);
  else if (request->what == 'D')
    size = asprintf(&format, "{\"clients_until_at\":\"2031-01-02T03:04:05.678Z\"}");
  else if (request->what == 'S')
    size = asprintf(&format, "{\"renew_in_s\":%f,%s}", fake->renew_in_s, both);
  else
    size = asprintf(&format,
                    "{\"epoch\":9007199254740991,\"lease_s\":%f,\"lease\":{\"sequence\":41,\"renew_in_s\":%f},"
                    "\"notice_key\":\"" FAKE_KEY "\",%s}",
                    fake->lease_s, fake->renew_in_s, both);
  assert(size > 0);
  (void)size;
  body = format;
  fake_answer(fake, call, status, body);
  pthread_mutex_unlock(&fake->lock);
}

void fake_start(struct fake *fake) {
  struct sockaddr_storage sockaddr;
  addr_parse("127.0.0.1", &fake->addr);
  fake->addr.port = 0;
  socklen_t length = addr_to_sockaddr(&fake->addr, &sockaddr);
  fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int result = bind(fake->fd, (struct sockaddr *)&sockaddr, length);
  result |= listen(fake->fd, 64);
  result |= getsockname(fake->fd, (struct sockaddr *)&sockaddr, &length);
  assert(result == 0);
  (void)result;
  addr_from_sockaddr((struct sockaddr *)&sockaddr, &fake->addr);
  snprintf(fake->url, sizeof fake->url, "http://127.0.0.1:%u", fake->addr.port);
  if (fake->lease_s == 0)
    fake->lease_s = 30;
  if (fake->renew_in_s == 0)
    fake->renew_in_s = 0.02;
  pthread_mutex_init(&fake->lock, NULL);
  const struct http_limits limits = {.threads = 2, .connections = 64, .idle_s = 10};
  struct errbuf err;
  enum status status = http_server_start(fake->fd, &limits, NULL, fake_handle, fake, &fake->server, &err);
  assert(status == STATUS_OK);
  (void)status;
}

void fake_stop(struct fake *fake) {
  if (!fake->server)
    return;
  http_server_stop(fake->server);
  fake->server = NULL;
  close(fake->fd);
}

void fake_name(struct fake *fake, const struct fake *other) {
  pthread_mutex_lock(&fake->lock);
  snprintf(fake->balancers, sizeof fake->balancers, "[{\"identity\":\"other\",\"url\":\"%s\"}]", other->url);
  pthread_mutex_unlock(&fake->lock);
}

void fake_tell_leave(struct fake *fake, const struct fake *other) {
  char others[128] = "[]";
  if (other)
    snprintf(others, sizeof others, "[{\"identity\":\"other\",\"url\":\"%s\"}]", other->url);
  pthread_mutex_lock(&fake->lock);
  snprintf(fake->directive, sizeof fake->directive, "{\"kind\":\"leave\",\"until_at\":null,\"balancers\":%s}", others);
  pthread_mutex_unlock(&fake->lock);
}

size_t fake_count(struct fake *fake, char what) {
  size_t count = 0;
  pthread_mutex_lock(&fake->lock);
  for (size_t i = 0; i < fake->count; i++)
    count += what == '*' || fake->requests[i].what == what;
  pthread_mutex_unlock(&fake->lock);
  return count;
}

struct fake_request fake_request_of(struct fake *fake, char what, size_t n) {
  struct fake_request found = {0};
  pthread_mutex_lock(&fake->lock);
  for (size_t i = 0; i < fake->count; i++)
    if (fake->requests[i].what == what && n-- == 0) {
      found = fake->requests[i];
      break;
    }
  pthread_mutex_unlock(&fake->lock);
  return found;
}
