#include "zones/compile/check.h"

#include "tests/unit/zones/compile/compile_fixture.h"

static void rrset_over_the_limit_is_refused(void **state) {
  struct fixture *fixture = *state;
  char *text = NULL;
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  fputs(HEAD, stream);
  for (int i = 0; i < 4063; i++)
    fprintf(stream, "big A 10.0.%d.%d\n", i / 256, i % 256);
  fclose(stream);
  assert_zone_refused(fixture, text, 5, "the A records of big.example.com take 65008 bytes; at most 65000 fit");
  free(text);
}

static void zone_without_soa_or_ns_is_refused(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", "$TTL 1\na A 192.0.2.1\n");
  assert_int_equal(zones_compile(&fixture->config, &fixture->fd, &fixture->problems), STATUS_INVALID);
  assert_int_equal(fixture->problems.count, 2);
  assert_string_equal(fixture->problems.items[0].text, "zone example.com has no SOA record");
  assert_string_equal(fixture->problems.items[1].text, "zone example.com has no NS record at its apex");
}

static void zone_file_that_cannot_be_read_is_refused(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", "");
  unlink(fixture->files[0]);
  assert_refused(fixture, fixture->files[0], 0, 0, "cannot be read: No such file or directory");
}

struct refusal {
  const char *zone;
  int line;
  const char *text;
};

static void zone_is_refused(void **state, const struct refusal *refusal) {
  struct fixture *fixture = *state;
  char text[2048];
  snprintf(text, sizeof text, "%s%s", HEAD, refusal->zone);
  assert_zone_refused(fixture, text, refusal->line, refusal->text);
}

#define REFUSAL(name, zone_, line_, text_)                                                                             \
  static void name(void **state) {                                                                                     \
    const struct refusal refusal = {zone_, line_, text_};                                                              \
    zone_is_refused(state, &refusal);                                                                                  \
  }
REFUSAL(second_soa_is_refused, "@ SOA ns1 host 6 6 7 8 60\n", 5, "zone example.com has more than one SOA record")
REFUSAL(soa_below_the_apex_is_refused, "a SOA ns1 host 6 6 7 8 60\n", 5,
        "a.example.com has an SOA record, which belongs at the zone's apex")
REFUSAL(record_outside_the_zone_is_refused, "\nwww.example.org. A 192.0.2.1\n", 6,
        "www.example.org is outside the zone example.com")
REFUSAL(class_other_than_in_is_refused, "a CH TXT x\n", 5, "a.example.com has class 3; only IN is served")
REFUSAL(cname_beside_other_data_is_refused, "a TXT x\na CNAME b\n", 6,
        "a.example.com has a CNAME beside other data (TXT at line 5)")
REFUSAL(second_cname_is_refused, "a CNAME b\na CNAME c\n", 6, "a.example.com has more than one CNAME record")
REFUSAL(second_dname_is_refused, "a DNAME b\na DNAME c\n", 6, "a.example.com has more than one DNAME record")
REFUSAL(name_below_a_dname_is_refused, "a DNAME b\nx.y.a TXT x\n", 6,
        "x.y.a.example.com stands below the DNAME of a.example.com at %s:5")
REFUSAL(delegation_without_glue_is_refused, "sub NS ns.sub\n", 5, "name server ns.sub.example.com has no address")
REFUSAL(name_server_that_is_an_alias_is_refused, "@ NS c\nc CNAME ns1\n", 5, "name server c.example.com has no address")

static void name_server_may_be_balanced_or_under_another_cut(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com",
           HEAD "@ NS lb\nsub NS ns.other\nother NS ns.example.net.\nthird NS x.wild\n*.wild A 192.0.2.1\n");
  add_service(fixture, "lb.example.com", NULL);
  compile(fixture);
  assert_target(fixture, "example.com", NS, 1, "lb.example.com");
}

static void assert_service_refused(void **state, const char *zone, int line, int column, const char *text) {
  struct fixture *fixture = *state;
  char expected[512], zone_text[1024];
  snprintf(zone_text, sizeof zone_text, "%s%s", HEAD, zone);
  add_zone(fixture, "example.com", zone_text);
  struct config_service *service = add_service(fixture, "www.example.com", "_x._tcp");
  add_member(service, "m0", 1);
  snprintf(expected, sizeof expected, text, fixture->files[0]);
  assert_refused(fixture, "gslb.yaml", line, column, expected);
}

static void service_at_a_static_address_is_refused(void **state) {
  assert_service_refused(state, "www AAAA ::1\n", 10, 3,
                         "www.example.com collides with a static record of the same type at %s:5");
}

static void srv_at_a_static_srv_is_refused(void **state) {
  assert_service_refused(state, "\n_x._tcp.www SRV 1 1 1 ns1\n", 11, 3,
                         "_x._tcp.www.example.com collides with a static record of the same type at %s:6");
}

static void member_at_a_static_address_is_refused(void **state) {
  assert_service_refused(state, "m0.www A 192.0.2.1\n", 12, 5,
                         "m0.www.example.com collides with a static record of the same type at %s:5");
}

static void service_at_a_cname_is_refused(void **state) {
  assert_service_refused(state, "www CNAME ns1\n", 10, 3, "www.example.com collides with the CNAME record at %s:5");
}

static void member_below_a_delegation_is_refused(void **state) {
  assert_service_refused(state, "m0.www NS ns1\n", 12, 5,
                         "m0.www.example.com is delegated: NS records of m0.www.example.com at %s:5");
}

static void service_below_a_dname_is_refused(void **state) {
  struct fixture *fixture = *state;
  char expected[512];
  add_zone(fixture, "example.com", HEAD "a DNAME b\n");
  add_service(fixture, "x.a.example.com", NULL);
  snprintf(expected, sizeof expected, "x.a.example.com stands below the DNAME of a.example.com at %s:5",
           fixture->files[0]);
  assert_refused(fixture, "gslb.yaml", 10, 3, expected);
}

static void two_balanced_parts_at_one_name_are_refused(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD);
  add_member(add_service(fixture, "www.example.com", NULL), "m", 0);
  add_service(fixture, "m.www.example.com", NULL);
  assert_refused(fixture, "gslb.yaml", 12, 5,
                 "m.www.example.com is already a name of service m.www.example.com at gslb.yaml:20");
}

static void srv_of_a_wildcard_is_refused(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD);
  add_service(fixture, "*.example.com", "_x._tcp");
  assert_refused(fixture, "gslb.yaml", 11, 3, "*.example.com is a wildcard, which cannot have SRV records");
}

static void srv_member_without_a_host_name_is_refused(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD);
  add_member(add_service(fixture, "www.example.com", "_x._tcp"), "a.b", 443);
  assert_refused(fixture, "gslb.yaml", 12, 5,
                 "member a.b cannot be the target of SRV records: \"a.b.www.example.com\" is no host name");
}

static void service_outside_every_zone_is_refused(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD);
  add_service(fixture, "www.example.net", NULL);
  assert_refused(fixture, "gslb.yaml", 10, 3, "www.example.net is in none of the zones");
}

static void errors_of_all_zones_are_told_in_one_run(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD "a A 1\nb A 2\nc CNAME d\nc TXT x\n");
  add_zone(fixture, "example.net", "$TTL 1\n@ NS 3 4\n");
  assert_int_equal(zones_compile(&fixture->config, &fixture->fd, &fixture->problems), STATUS_INVALID);
  assert_int_equal(fixture->problems.count, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(rrset_over_the_limit_is_refused),
      TEST(zone_without_soa_or_ns_is_refused),
      TEST(zone_file_that_cannot_be_read_is_refused),
      TEST(second_soa_is_refused),
      TEST(soa_below_the_apex_is_refused),
      TEST(record_outside_the_zone_is_refused),
      TEST(class_other_than_in_is_refused),
      TEST(cname_beside_other_data_is_refused),
      TEST(second_cname_is_refused),
      TEST(second_dname_is_refused),
      TEST(name_below_a_dname_is_refused),
      TEST(delegation_without_glue_is_refused),
      TEST(name_server_that_is_an_alias_is_refused),
      TEST(name_server_may_be_balanced_or_under_another_cut),
      TEST(service_at_a_static_address_is_refused),
      TEST(srv_at_a_static_srv_is_refused),
      TEST(member_at_a_static_address_is_refused),
      TEST(service_at_a_cname_is_refused),
      TEST(member_below_a_delegation_is_refused),
      TEST(service_below_a_dname_is_refused),
      TEST(two_balanced_parts_at_one_name_are_refused),
      TEST(srv_of_a_wildcard_is_refused),
      TEST(srv_member_without_a_host_name_is_refused),
      TEST(service_outside_every_zone_is_refused),
      TEST(errors_of_all_zones_are_told_in_one_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
