#include "tests/unit/admin/house.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gslb/admin/reply.h"
#include "gslb/admin/routes.h"
#include "gslb/admin/zone_view.h"
#include "gslb/base/version.h"
#include "zones/compile.h"

static const char zone_text[] = "$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n"
                                "www TXT \"x\" \"say \\\"hi\\\"\"\n@ CAA 0 issue \"ca.example.net\"\n";
static const char reverse_text[] = "$TTL 60\n@ SOA ns1.example.com. admin.example.com. 3 1 1 1 1\n"
                                   "@ NS ns1.example.com.\n1 PTR www.example.com.\n";

/* Two listeners on one set of routes, as in control; the client is a plain socket. */
struct served {
  struct test_house *house;
  struct views views;
  struct committer *committer;
  struct routes routes;
  struct http_server *local, *tcp;
  char path[96];
  struct sockaddr_in tcp_address;
  int listening[2];
  struct house time;
  struct zone_links zones;
  struct secondary_state copy; /* of copy.example.net */
  unsigned refreshes;          /* that were asked for */
};

static void answer_reload(void *context, struct http_call *call) {
  (void)context;
  reply_problem(call, 503, "no supervisor here");
}

static struct secondary_state *tell_states(void *context, size_t *count) {
  const struct served *served = context;
  struct secondary_state *states = mem_array(1, sizeof *states);
  *states = served->copy;
  *count = 1;
  return states;
}

static enum status note_refresh(void *context, const struct config_zone *zone) {
  struct served *served = context;
  if (strcmp(zone->name, served->copy.zone) != 0)
    return STATUS_NOTFOUND;
  served->refreshes++;
  return STATUS_OK;
}

static const char *write_zone(struct served *served, size_t number, const char *text) {
  static char paths[3][96];
  snprintf(paths[number], sizeof paths[number], "%s/%zu.zone", served->house->directory, number);
  FILE *out = text ? fopen(paths[number], "w") : NULL;
  if (out) {
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
  }
  return paths[number];
}

/* With the image of its zones, of which the second is absent. */
static struct view *make_view(struct served *served) {
  struct view_sources sources = {served->house->durable, served->house->live, served->house->board, served->time,
                                 &served->zones};
  static const char *const texts[] = {zone_text, NULL, reverse_text};
  struct config *config = house_config();
  for (size_t i = 0; i < 3; i++)
    config->zones[i].file = write_zone(served, i, texts[i]);
  struct problems problems = {0};
  struct errbuf err;
  int image;
  assert_int_equal(zones_compile(config, &image, &problems), STATUS_OK);
  struct view *view = view_new(config, 1, &sources);
  assert_int_equal(view_map_image(view, image, &err), STATUS_OK);
  close(image);
  return view;
}

static void start_servers(struct served *served) {
  struct http_limits limits = {.threads = 2, .connections = 20, .idle_s = 5};
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
  assert_int_equal(http_server_start(served->listening[0], &limits, routes_handle, &served->routes, &served->local,
                                     &err),
                   STATUS_OK);
  assert_int_equal(http_server_start(served->listening[1], &limits, routes_handle, &served->routes, &served->tcp, &err),
                   STATUS_OK);
}

static int setup(void **state) {
  struct served *served = mem_alloc(sizeof *served);
  struct errbuf err;
  void *house;
  house_setup(&house);
  served->house = house;
  served->time = house_start(0);
  served->zones = (struct zone_links){.states = tell_states, .refresh = note_refresh, .context = served};
  strcpy(served->copy.zone, "copy.example.net");
  views_init(&served->views, make_view(served));
  assert_int_equal(commit_start(served->house->durable, &served->time, NULL, NULL, &served->committer, &err),
                   STATUS_OK);
  served->routes = (struct routes){&served->views, served->committer, answer_reload, NULL};
  start_servers(served);
  *state = served;
  return 0;
}

static int teardown(void **state) {
  struct served *served = *state;
  http_server_quiesce(served->tcp);
  http_server_quiesce(served->local);
  commit_stop(served->committer);
  http_server_stop(served->tcp);
  http_server_stop(served->local);
  commit_free(served->committer);
  views_release(&served->views);
  close(served->listening[0]);
  close(served->listening[1]);
  void *house = served->house;
  free(served);
  return house_teardown(&house);
}

/* The whole answer to one request; free() it. */
static char *ask(struct served *served, bool over_tcp, const char *method, const char *path, const char *body) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, served->path);
  int fd = socket(over_tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(over_tcp ? connect(fd, (struct sockaddr *)&served->tcp_address, sizeof served->tcp_address)
                            : connect(fd, (struct sockaddr *)&address, sizeof address),
                   0);
  char *request = mem_format("%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", method,
                             path, strlen(body), body);
  assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
  free(request);
  size_t capacity = 1 << 20, used = 0;
  char *answer = mem_alloc(capacity);
  for (ssize_t got; (got = read(fd, answer + used, capacity - 1 - used)) > 0;)
    used += (size_t)got;
  close(fd);
  return answer;
}

static void expect_in(char *answer, unsigned status, const char *text) {
  char line[32];
  snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
  if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, text))
    fail_msg("not %u with %s: %.2000s", status, text, answer);
  free(answer);
}

static void reads_work_over_both_listeners(void **state) {
  struct served *served = *state;
  house_probe(served->house, "www.example.com", "two", "127.0.0.12", HEALTH_UP, "connected");
  for (int over_tcp = 0; over_tcp < 2; over_tcp++) {
    expect_in(ask(served, over_tcp, "GET", "/healthz", ""), 200, "\r\n\r\nok");
    expect_in(ask(served, over_tcp, "GET", "/v1/status", ""), 200, "\"version\":\"" GSLB_VERSION "\"");
    expect_in(ask(served, over_tcp, "GET", "/v1/services", ""), 200, "\"name\":\"api.example.com\"");
    expect_in(ask(served, over_tcp, "GET", "/v1/services/WWW.example.com.", ""), 200, "\"members_up\":1");
    expect_in(ask(served, over_tcp, "GET", "/v1/members/www.example.com/two", ""), 200,
              "\"reason\":\"port: connected\"");
    expect_in(ask(served, over_tcp, "GET", "/v1/members?state=up", ""), 200, "\"id\":\"www.example.com/two\"");
    expect_in(ask(served, over_tcp, "GET", "/metrics", ""), 200,
              "gslb_member_state{service=\"www.example.com\",member=\"two\"} 1\n");
    expect_in(ask(served, over_tcp, "GET", "/", ""), 200, "Content-Security-Policy: default-src 'self'");
  }
}

static void what_is_not_there_is_a_problem_document(void **state) {
  struct served *served = *state;
  expect_in(ask(served, true, "GET", "/v2", ""), 404, "application/problem+json");
  expect_in(ask(served, true, "GET", "/v1/services/none.example.com", ""), 404, "no service is called");
  expect_in(ask(served, true, "GET", "/v1/members/www.example.com/none", ""), 404, "no member is called");
  expect_in(ask(served, true, "GET", "/v1/members?service=none", ""), 404, "\"status\":404");
  expect_in(ask(served, true, "GET", "/v1/members?state=asleep", ""), 400, "\"status\":400");
  expect_in(ask(served, true, "GET", "/v1/events?limit=0", ""), 400, "limit is a number");
  expect_in(ask(served, true, "GET", "/v1/events?limit=5000", ""), 400, "limit is a number");
  expect_in(ask(served, true, "GET", "/v1/services/", ""), 404, "nothing stands at");
  expect_in(ask(served, true, "GET", "/readyz", ""), 503, "dns does not run");
}

static void a_wrong_method_is_told_the_right_ones(void **state) {
  struct served *served = *state;
  expect_in(ask(served, false, "POST", "/v1/services", ""), 405, "Allow: GET, HEAD");
  expect_in(ask(served, false, "GET", "/v1/admin/member/one", ""), 405, "Allow: PUT, DELETE");
  expect_in(ask(served, false, "DELETE", "/", ""), 405, "Allow: GET, HEAD");
  expect_in(ask(served, false, "BREW", "/v1/admin/reload", ""), 405, "Allow: POST");
}

static void changes_need_the_unix_socket(void **state) {
  struct served *served = *state;
  const char *body = "{\"state\":\"down\",\"reason\":\"x\"}";
  expect_in(ask(served, true, "PUT", "/v1/admin/member/www.example.com/two", body), 403, "through the unix socket");
  expect_in(ask(served, true, "DELETE", "/v1/admin/member/www.example.com/two", ""), 403, "problem+json");
  expect_in(ask(served, true, "POST", "/v1/admin/reload", ""), 403, "problem+json");
  expect_in(ask(served, false, "POST", "/v1/admin/reload", ""), 503, "no supervisor here");
}

static void an_override_is_stored_shown_and_ended(void **state) {
  struct served *served = *state;
  const char *body = "{\"state\":\"down\",\"reason\":\"broken disk\",\"for_s\":60}";
  expect_in(ask(served, false, "PUT", "/v1/admin/member/two", body), 200, "\"state\":\"down\"");
  expect_in(ask(served, true, "GET", "/v1/members/two", ""), 200, "\"why\":\"broken disk\"");
  expect_in(ask(served, true, "GET", "/v1/events", ""), 200, "\"kind\":\"override\",\"from\":\"none\",\"to\":\"down\"");
  expect_in(ask(served, false, "DELETE", "/v1/admin/member/two", ""), 204, "");
  expect_in(ask(served, true, "GET", "/v1/members/two", ""), 200, "\"override\":null");
  expect_in(ask(served, false, "DELETE", "/v1/admin/member/two", ""), 204, "");
}

static void an_ambiguous_member_lists_its_candidates(void **state) {
  struct served *served = *state;
  expect_in(ask(served, false, "PUT", "/v1/admin/member/one", "{\"state\":\"up\",\"reason\":\"x\"}"), 409,
            "\"candidates\":[\"www.example.com/one\",\"api.example.com/one\"]");
}

static void a_wrong_body_is_told_what_is_wrong(void **state) {
  struct served *served = *state;
  expect_in(ask(served, false, "PUT", "/v1/admin/member/two", "{"), 400, "not JSON");
  expect_in(ask(served, false, "PUT", "/v1/admin/member/two", "{\"state\":\"off\",\"reason\":\"x\"}"), 422,
            "\"errors\":[{\"pointer\":\"/state\"");
  char *large = mem_alloc(HTTP_BODY_MOST + 2);
  memset(large, ' ', HTTP_BODY_MOST + 1);
  expect_in(ask(served, false, "PUT", "/v1/admin/member/two", large), 413, "64 KiB");
  free(large);
}

static void changes_after_the_committer_stopped_are_refused(void **state) {
  struct served *served = *state;
  commit_stop(served->committer);
  expect_in(ask(served, false, "PUT", "/v1/admin/member/two", "{\"state\":\"up\",\"reason\":\"x\"}"), 503,
            "the process is stopping");
  commit_free(served->committer);
  served->committer = NULL;
}

static void zones_are_listed_with_what_the_image_has(void **state) {
  struct served *served = *state;
  expect_in(ask(served, true, "GET", "/v1/zones", ""), 200,
            "{\"zones\":[{\"name\":\"example.com\",\"kind\":\"primary\",\"serial\":7,\"records\":5,\"state\":"
            "\"ready\"");
  expect_in(ask(served, true, "GET", "/v1/zones/EXAMPLE.com.", ""), 200,
            "\"primaries\":[],\"refreshed_at\":null,\"refreshed_age_s\":null,\"next_at\":null,\"expires_at\":null,"
            "\"expires_in_s\":null,\"error\":null}");
  expect_in(ask(served, true, "GET", "/v1/zones/0/25.2.0.192.in-addr.arpa", ""), 200, "\"serial\":3");
  expect_in(ask(served, true, "GET", "/v1/zones/0%2F25.2.0.192.in-addr.arpa", ""), 200, "\"serial\":3");
  expect_in(ask(served, true, "GET", "/v1/zones/none.example", ""), 404, "no zone is called");
  expect_in(ask(served, true, "GET", "/v1/zones/", ""), 404, "nothing stands at");
}

static void a_secondary_zone_tells_how_it_fares(void **state) {
  struct served *served = *state;
  int64_t now_ms = house_now_ms(&served->time);
  expect_in(ask(served, true, "GET", "/v1/zones/copy.example.net", ""), 200,
            "\"kind\":\"secondary\",\"serial\":null,\"records\":0,\"state\":\"absent\"");
  served->copy.refreshed_ms = now_ms - 5000;
  served->copy.next_ms = now_ms + 3000;
  served->copy.expire_ms = now_ms + 1000000;
  strcpy(served->copy.error, "127.0.0.9@5353: connection refused");
  expect_in(ask(served, true, "GET", "/v1/zones/copy.example.net", ""), 200,
            "\"primaries\":[\"127.0.0.9@5353\",\"::1@53\"],\"refreshed_at\":\"20");
  expect_in(ask(served, true, "GET", "/v1/zones/copy.example.net", ""), 200, "\"refreshed_age_s\":5.");
  expect_in(ask(served, true, "GET", "/v1/zones/copy.example.net", ""), 200, "\"expires_in_s\":999.");
  expect_in(ask(served, true, "GET", "/v1/zones", ""), 200, "\"error\":\"127.0.0.9@5353: connection refused\"");
}

static void records_are_told_as_master_files_have_them(void **state) {
  struct served *served = *state;
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records?name=WWW.example.com", ""), 200,
            "{\"records\":[\"www.example.com. 300 IN TXT \\\"x\\\" \\\"say \\\\034hi\\\\034\\\"\"],"
            "\"balanced\":\"www.example.com\"}");
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records?name=example.com.&type=soa", ""), 200,
            "{\"records\":[\"example.com. 300 IN SOA ns1.example.com. admin.example.com. 7 3600 600 86400 60\"],"
            "\"balanced\":null}");
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records?name=example.com&type=CAA", ""), 200,
            "example.com. 300 IN CAA 0 issue \\\"ca.example.net\\\"");
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records?name=one.www.example.com&type=ANY", ""), 200,
            "{\"records\":[],\"balanced\":\"www.example.com/one\"}");
  expect_in(ask(served, true, "GET", "/v1/zones/0/25.2.0.192.in-addr.arpa/records?name=1.0/25.2.0.192.in-addr.arpa",
                ""),
            200, "IN PTR www.example.com.\"");
}

static void wrong_questions_for_records_are_refused(void **state) {
  struct served *served = *state;
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records", ""), 400, "name is a domain name");
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records?name=a..b", ""), 400, "not \\\"a..b\\\"");
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records?name=example.net", ""), 400, "is not in the zone");
  expect_in(ask(served, true, "GET", "/v1/zones/example.com/records?name=example.com&type=OPT", ""), 400,
            "type is a type of records");
  expect_in(ask(served, true, "GET", "/v1/zones/copy.example.net/records?name=copy.example.net", ""), 503,
            "the zone copy.example.net is absent");
  expect_in(ask(served, true, "GET", "/v1/zones/none/records?name=none", ""), 404, "no zone is called");
}

static void reloading_a_zone_reloads_files_or_asks_its_primary(void **state) {
  struct served *served = *state;
  expect_in(ask(served, false, "POST", "/v1/admin/zone/example.com/reload", ""), 503, "no supervisor here");
  expect_in(ask(served, false, "POST", "/v1/admin/zone/none.example/reload", ""), 404, "no zone is called");
  expect_in(ask(served, true, "POST", "/v1/admin/zone/copy.example.net/reload", ""), 403, "through the unix socket");
  expect_in(ask(served, false, "GET", "/v1/admin/zone/copy.example.net/reload", ""), 405, "Allow: POST");
  assert_int_equal(served->refreshes, 0);
  expect_in(ask(served, false, "POST", "/v1/admin/zone/copy.example.net/reload", ""), 202,
            "{\"zone\":\"copy.example.net\"}");
  assert_int_equal(served->refreshes, 1);
  strcpy(served->copy.zone, "other.example.net");
  expect_in(ask(served, false, "POST", "/v1/admin/zone/copy.example.net/reload", ""), 503, "nobody keeps the zone");
}

static void metrics_tell_of_zones(void **state) {
  struct served *served = *state;
  served->copy.expire_ms = house_now_ms(&served->time) + 1000000;
  expect_in(ask(served, true, "GET", "/metrics", ""), 200,
            "gslb_zone_serial{zone=\"example.com\"} 7\ngslb_zone_serial{zone=\"0/25.2.0.192.in-addr.arpa\"} 3\n");
  expect_in(ask(served, true, "GET", "/metrics", ""), 200, "gslb_zone_records{zone=\"copy.example.net\"} 0\n");
  expect_in(ask(served, true, "GET", "/metrics", ""), 200,
            "# TYPE gslb_zone_expire_seconds gauge\ngslb_zone_expire_seconds{zone=\"copy.example.net\"} 999.");
}

#define SERVED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      SERVED_TEST(reads_work_over_both_listeners),
      SERVED_TEST(what_is_not_there_is_a_problem_document),
      SERVED_TEST(a_wrong_method_is_told_the_right_ones),
      SERVED_TEST(changes_need_the_unix_socket),
      SERVED_TEST(an_override_is_stored_shown_and_ended),
      SERVED_TEST(an_ambiguous_member_lists_its_candidates),
      SERVED_TEST(zones_are_listed_with_what_the_image_has),
      SERVED_TEST(a_secondary_zone_tells_how_it_fares),
      SERVED_TEST(records_are_told_as_master_files_have_them),
      SERVED_TEST(wrong_questions_for_records_are_refused),
      SERVED_TEST(reloading_a_zone_reloads_files_or_asks_its_primary),
      SERVED_TEST(metrics_tell_of_zones),
      SERVED_TEST(a_wrong_body_is_told_what_is_wrong),
      SERVED_TEST(changes_after_the_committer_stopped_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
