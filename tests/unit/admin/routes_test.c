#include "tests/unit/admin/served.h"

#include "gslb/admin/zone_view.h"
#include "gslb/base/version.h"
#include "zones/compile/compile.h"

static const char zone_text[] = "$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n"
                                "www TXT \"x\" \"say \\\"hi\\\"\"\n@ CAA 0 issue \"ca.example.net\"\n";
static const char reverse_text[] = "$TTL 60\n@ SOA ns1.example.com. admin.example.com. 3 1 1 1 1\n"
                                   "@ NS ns1.example.com.\n1 PTR www.example.com.\n";

struct zoned { /* first what all have, so that a state is either */
  struct served served;
  struct zone_links zones;
  struct secondary_state copy; /* of copy.example.net */
  unsigned refreshes;          /* that were asked for */
};

static struct secondary_state *tell_states(void *context, size_t *count) {
  const struct zoned *zoned = context;
  struct secondary_state *states = mem_array(1, sizeof *states);
  *states = zoned->copy;
  *count = 1;
  return states;
}

static enum status note_refresh(void *context, const struct config_zone *zone) {
  struct zoned *zoned = context;
  if (strcmp(zone->name, zoned->copy.zone) != 0)
    return STATUS_NOTFOUND;
  zoned->refreshes++;
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
static struct view *make_view(struct zoned *zoned) {
  struct served *served = &zoned->served;
  struct view_sources sources = served_sources(served);
  sources.zones = &zoned->zones;
  static const char *const texts[] = {zone_text, NULL, reverse_text};
  struct config *config = house_config();
  for (size_t i = 0; i < 3; i++)
    config->zones[i].file = write_zone(served, i, texts[i]);
  struct problems problems = {0};
  struct errbuf err;
  int image;
  if (zones_compile(config, &image, &problems) != STATUS_OK)
    fail_msg("%s", problems_format(&problems));
  struct view *view = view_new(config, 1, &sources);
  assert_int_equal(view_map_image(view, image, &err), STATUS_OK);
  close(image);
  return view;
}

static int setup(void **state) {
  struct zoned *zoned = mem_alloc(sizeof *zoned);
  served_init(&zoned->served);
  zoned->zones = (struct zone_links){.states = tell_states, .refresh = note_refresh, .context = zoned};
  strcpy(zoned->copy.zone, "copy.example.net");
  served_start(&zoned->served, make_view(zoned));
  served_listen(&zoned->served);
  *state = zoned;
  return 0;
}

static int teardown(void **state) {
  struct zoned *zoned = *state;
  served_quiesce(&zoned->served);
  int failed = served_stop(&zoned->served);
  free(zoned);
  return failed;
}

static char *ask(struct served *served, bool over_tcp, const char *method, const char *path, const char *body) {
  return served_ask(served, over_tcp, method, path, "", body);
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

static void changes_over_tcp_need_credentials(void **state) {
  struct served *served = *state;
  const char *body = "{\"state\":\"down\",\"reason\":\"x\"}";
  expect_in(ask(served, true, "PUT", "/v1/admin/member/www.example.com/two", body), 401,
            "WWW-Authenticate: Bearer\r\n");
  expect_in(ask(served, true, "DELETE", "/v1/admin/member/www.example.com/two", ""), 401, "problem+json");
  expect_in(ask(served, true, "POST", "/v1/admin/reload", ""), 401, "problem+json");
  expect_in(ask(served, false, "POST", "/v1/admin/reload", ""), 503, "no supervisor here");
}

static void what_is_not_there_to_ask_is_unavailable(void **state) {
  struct served *served = *state;
  expect_in(ask(served, true, "GET", "/v1/resources", ""), 503, "Retry-After: 1");
  expect_in(ask(served, true, "GET", "/v1/peers", ""), 503, "problem+json");
  expect_in(ask(served, true, "GET", "/v1/balancer", ""), 503, "problem+json");
  expect_in(ask(served, true, "GET", "/v1/publish", ""), 503, "problem+json");
  expect_in(ask(served, true, "GET", "/v1/watch", ""), 503, "problem+json");
  expect_in(ask(served, false, "PUT", "/v1/resources/app-r1", "{}"), 503, "the registry");
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
  struct zoned *zoned = *state;
  struct served *served = &zoned->served;
  int64_t now_ms = house_now_ms(&served->time);
  expect_in(ask(served, true, "GET", "/v1/zones/copy.example.net", ""), 200,
            "\"kind\":\"secondary\",\"serial\":null,\"records\":0,\"state\":\"absent\"");
  zoned->copy.refreshed_ms = now_ms - 5000;
  zoned->copy.next_ms = now_ms + 3000;
  zoned->copy.expire_ms = now_ms + 1000000;
  strcpy(zoned->copy.error, "127.0.0.9@5353: connection refused");
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
  struct zoned *zoned = *state;
  struct served *served = &zoned->served;
  expect_in(ask(served, false, "POST", "/v1/admin/zone/example.com/reload", ""), 503, "no supervisor here");
  expect_in(ask(served, false, "POST", "/v1/admin/zone/none.example/reload", ""), 404, "no zone is called");
  expect_in(ask(served, true, "POST", "/v1/admin/zone/copy.example.net/reload", ""), 401, "this needs a token");
  expect_in(ask(served, false, "GET", "/v1/admin/zone/copy.example.net/reload", ""), 405, "Allow: POST");
  assert_int_equal(zoned->refreshes, 0);
  expect_in(ask(served, false, "POST", "/v1/admin/zone/copy.example.net/reload", ""), 202,
            "{\"zone\":\"copy.example.net\"}");
  assert_int_equal(zoned->refreshes, 1);
  strcpy(zoned->copy.zone, "other.example.net");
  expect_in(ask(served, false, "POST", "/v1/admin/zone/copy.example.net/reload", ""), 503, "nobody keeps the zone");
}

static void metrics_tell_of_zones(void **state) {
  struct zoned *zoned = *state;
  struct served *served = &zoned->served;
  zoned->copy.expire_ms = house_now_ms(&served->time) + 1000000;
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
      SERVED_TEST(changes_over_tcp_need_credentials),
      SERVED_TEST(what_is_not_there_to_ask_is_unavailable),
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
