#include "tests/unit/admin/served.h"

#include <sys/un.h>

static void served_refuse_reload(void *context, struct http_call *call, const char *who) {
  (void)context;
  reply_problem(call, 503, "no supervisor here for %s", who);
}

void served_init(struct served *served) {
  void *house;
  house_setup(&house);
  served->house = house;
  served->time = house_start(0);
}

struct view_sources served_sources(const struct served *served) {
  return (struct view_sources){served->house->durable, served->house->live, served->house->board, served->time, NULL};
}

void served_listen(struct served *served) {
  struct http_limits limits = {.threads = 2, .connections = 50, .idle_s = 5};
  struct errbuf err;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(served->path, sizeof served->path, "%s/sock", served->house->directory);
  strcpy(address.sun_path, served->path);
  served->listening[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(served->listening[0], (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(served->listening[0], 16), 0);
  served->listening[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  served->tcp_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof served->tcp_address;
  assert_int_equal(bind(served->listening[1], (struct sockaddr *)&served->tcp_address, size), 0);
  assert_int_equal(getsockname(served->listening[1], (struct sockaddr *)&served->tcp_address, &size), 0);
  assert_int_equal(listen(served->listening[1], 16), 0);
  assert_int_equal(http_server_start(served->listening[0], &limits, NULL, routes_handle, &served->routes,
                                     &served->local, &err),
                   STATUS_OK);
  assert_int_equal(http_server_start(served->listening[1], &limits, NULL, routes_handle, &served->routes, &served->tcp,
                                     &err),
                   STATUS_OK);
}

void served_start(struct served *served, struct view *view) {
  struct errbuf err;
  views_init(&served->views, view);
  assert_int_equal(commit_start(served->house->durable, &served->time, NULL, NULL, &served->committer, &err),
                   STATUS_OK);
  served->routes.views = &served->views;
  served->routes.committer = served->committer;
  served->routes.reload = served_refuse_reload;
}

struct view *served_view(const struct served *served, const char *text) {
  struct problems problems = {0};
  struct view_sources sources = served_sources(served);
  struct config *config = config_parse("/tmp/gslb.yaml", text, strlen(text), &problems);
  if (!config)
    fail_msg("%s", problems_format(&problems));
  problems_release(&problems);
  return view_new(config, 1, &sources);
}

void served_quiesce(struct served *served) {
  http_server_quiesce(served->tcp);
  http_server_quiesce(served->local);
}

int served_stop(struct served *served) {
  commit_stop(served->committer);
  http_server_stop(served->tcp);
  http_server_stop(served->local);
  commit_free(served->committer);
  views_release(&served->views);
  close(served->listening[0]);
  close(served->listening[1]);
  void *house = served->house;
  return house_teardown(&house);
}

int served_send(struct served *served, bool over_tcp, const char *method, const char *path, const char *head,
                const char *body) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, served->path);
  int fd = socket(over_tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(over_tcp ? connect(fd, (struct sockaddr *)&served->tcp_address, sizeof served->tcp_address)
                            : connect(fd, (struct sockaddr *)&address, sizeof address),
                   0);
  char *request = mem_format("%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
                             method, path, head, strlen(body), body);
  assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
  free(request);
  return fd;
}

char *served_read(int fd, const char *text) {
  size_t capacity = 1 << 20, used = 0;
  char *answer = mem_alloc(capacity);
  for (ssize_t got; used < capacity - 1 && (got = read(fd, answer + used, capacity - 1 - used)) > 0;) {
    used += (size_t)got;
    if (text && strstr(answer, text))
      return answer;
  }
  return answer;
}

char *served_ask(struct served *served, bool over_tcp, const char *method, const char *path, const char *head,
                 const char *body) {
  int fd = served_send(served, over_tcp, method, path, head, body);
  char *answer = served_read(fd, NULL);
  close(fd);
  return answer;
}

void expect_in(char *answer, unsigned status, const char *text) {
  char line[32];
  snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
  if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, text))
    fail_msg("not %u with %s: %.2000s", status, text, answer);
  free(answer);
}

json_t *expect_json(char *answer, unsigned status) {
  char line[32];
  snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
  const char *body = strstr(answer, "\r\n\r\n");
  json_t *document = body ? json_loads(body + 4, 0, NULL) : NULL;
  if (strncmp(answer, line, strlen(line)) != 0 || !document)
    fail_msg("not %u with JSON: %.2000s", status, answer);
  free(answer);
  return document;
}
