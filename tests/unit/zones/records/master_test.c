#include "zones/records/master.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#define RECORDS_MOST 64

struct seen { /* records as ldns prints them, fields apart by one blank */
  char *texts[RECORDS_MOST];
  int lines[RECORDS_MOST];
  struct rdata data; /* of the last */
  size_t count;
};

struct fixture {
  char directory[64];
  struct arena arena;
  struct problems problems;
  struct seen seen;
};

static void see(void *context, const struct master_record *record) {
  struct seen *seen = context;
  uint8_t wire[NAME_SIZE_MOST + 10 + RDATA_SIZE_MOST];
  size_t used = record->owner->size;
  memcpy(wire, record->owner->wire, used);
  const uint8_t head[10] = {(uint8_t)(record->type >> 8),       (uint8_t)record->type,
                            (uint8_t)(record->class >> 8),      (uint8_t)record->class,
                            (uint8_t)(record->ttl_s >> 24),     (uint8_t)(record->ttl_s >> 16),
                            (uint8_t)(record->ttl_s >> 8),      (uint8_t)record->ttl_s,
                            (uint8_t)(record->data->size >> 8), (uint8_t)record->data->size};
  memcpy(wire + used, head, sizeof head);
  used += sizeof head;
  memcpy(wire + used, record->data->bytes, record->data->size);
  used += record->data->size;
  ldns_rr *rr = NULL;
  size_t at = 0;
  assert_int_equal(ldns_wire2rr(&rr, wire, used, &at, LDNS_SECTION_ANSWER), LDNS_STATUS_OK);
  assert_true(seen->count < RECORDS_MOST);
  char *text = ldns_rr2str(rr);
  char *comment = strstr(text, " ;{");
  if (comment)
    *comment = '\0';
  for (char *c = text; *c; c++)
    if (*c == '\t' || *c == '\n')
      *c = ' ';
  for (size_t length = strlen(text); length && text[length - 1] == ' '; length--)
    text[length - 1] = '\0';
  seen->lines[seen->count] = record->line;
  seen->texts[seen->count++] = text;
  seen->data = *record->data;
  ldns_rr_free(rr);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text, size_t size) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static enum status read_master(struct fixture *fixture, const char *path, const struct name *origin) {
  const struct master_reading reading = {.arena = &fixture->arena,
                                         .visit = see,
                                         .context = &fixture->seen,
                                         .problems = &fixture->problems};
  return master_read(path, origin, &reading);
}

static enum status read_bytes(struct fixture *fixture, const char *text, size_t size) {
  char path[128];
  struct name origin;
  write_file(fixture, "zone", text, size);
  snprintf(path, sizeof path, "%s/zone", fixture->directory);
  assert_int_equal(name_from_text("example.com", &origin), STATUS_OK);
  return read_master(fixture, path, &origin);
}

static enum status read_text(struct fixture *fixture, const char *text) {
  return read_bytes(fixture, text, strlen(text));
}

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-master-XXXXXX");
  assert_non_null(mkdtemp(fixture->directory));
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  static const char *const names[] = {"zone", "part", "other", "sub/part", "sub/leaf"};
  char path[128];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", fixture->directory, names[i]);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/sub", fixture->directory);
  rmdir(path);
  rmdir(fixture->directory);
  for (size_t i = 0; i < fixture->seen.count; i++)
    free(fixture->seen.texts[i]);
  problems_release(&fixture->problems);
  arena_release(&fixture->arena);
  free(fixture);
  return 0;
}

static void assert_records(const struct fixture *fixture, const char *const *expected, size_t count) {
  for (size_t i = 0; i < fixture->problems.count; i++)
    print_error("problem: %d %s\n", fixture->problems.items[i].line, fixture->problems.items[i].text);
  for (size_t i = 0; i < count && i < fixture->seen.count; i++)
    assert_string_equal(fixture->seen.texts[i], expected[i]);
  assert_int_equal(fixture->seen.count, count);
}
#define ASSERT_RECORDS(fixture, ...)                                                                                   \
  do {                                                                                                                 \
    const char *const expected_[] = {__VA_ARGS__};                                                                     \
    assert_records(fixture, expected_, sizeof expected_ / sizeof *expected_);                                          \
  } while (0)

static void assert_problem(const struct fixture *fixture, size_t index, int line, const char *text) {
  assert_true(index < fixture->problems.count);
  assert_string_equal(fixture->problems.items[index].text, text);
  assert_int_equal(fixture->problems.items[index].line, line);
}

static void master_reads_names_ttls_and_classes_in_any_order(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "$TTL 1h\n"
                                      "@ IN SOA ns1 host.master ( 7 ; serial\n"
                                      "   1h 2m 1w\n"
                                      "   30 ) ; minimum\n"
                                      "  NS ns1\n"
                                      "\n"
                                      "; nothing here\n"
                                      "Www 60 IN A 192.0.2.1\n"
                                      "    IN 1m30s AAAA 2001:db8::1\n"
                                      "$ORIGIN sub\n"
                                      "x CLASS1 MX 10 mail.Example.ORG.\n"
                                      "@ TXT \"a;b\" \"c (d)\" e\n"),
                   STATUS_OK);
  ASSERT_RECORDS(fixture, "example.com. 3600 IN SOA ns1.example.com. host.master.example.com. 7 3600 120 604800 30",
                 "example.com. 3600 IN NS ns1.example.com.", "www.example.com. 60 IN A 192.0.2.1",
                 "www.example.com. 90 IN AAAA 2001:db8::1", "x.sub.example.com. 3600 IN MX 10 mail.Example.ORG.",
                 "sub.example.com. 3600 IN TXT \"a;b\" \"c (d)\" \"e\"");
  assert_int_equal(fixture->seen.lines[0], 2);
  assert_int_equal(fixture->seen.lines[1], 5);
  assert_int_equal(fixture->seen.lines[5], 12);
}

static void master_takes_ttl_from_the_record_before_or_the_soa(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "@ SOA a b 1 2 3 4 77\n@ NS a\na 5 A 192.0.2.1\nb A 192.0.2.2\n"), STATUS_OK);
  ASSERT_RECORDS(fixture, "example.com. 77 IN SOA a.example.com. b.example.com. 1 2 3 4 77",
                 "example.com. 77 IN NS a.example.com.", "a.example.com. 5 IN A 192.0.2.1",
                 "b.example.com. 5 IN A 192.0.2.2");
}

static void master_wants_a_ttl_from_somewhere(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "@ A 192.0.2.1\n"), STATUS_INVALID);
  assert_problem(fixture, 0, 1, "the record has no TTL, and there is no $TTL");
}

static void master_reads_escapes(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "$TTL 1\n"
                                      "a\\.b TXT \"say \\\"hi\\\"\\\\\" \"\" \\065\\;\\(x\n"
                                      "c TXT \"back\\\\\"\n"
                                      "d\\032e NS f\\.g\n"
                                      "* CAA 0 issue \"ca.example; x=1\"\n"),
                   STATUS_OK);
  ASSERT_RECORDS(fixture, "a\\.b.example.com. 1 IN TXT \"say \\\"hi\\\"\\\\\" \"\" \"A;(x\"",
                 "c.example.com. 1 IN TXT \"back\\\\\"", "d\\032e.example.com. 1 IN NS f\\.g.example.com.",
                 "*.example.com. 1 IN CAA 0 issue \"ca.example; x=1\"");
}

static void master_reads_every_common_type(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "$TTL 1\n"
                                      "a SRV 1 2 443 t\n"
                                      "a NAPTR 1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .\n"
                                      "a DS 60485 5 1 ( 2BB183AF5F22588179A53B0A\n 98631FAD1A292118 )\n"
                                      "a SSHFP 1 1 dd465c09cfa51fb45020cc83316fff21b9ec74ac\n"
                                      "a TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971\n"
                                      "a HTTPS 1 . alpn=\"h2,h3\" port=8443\n"
                                      "a LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\n"
                                      "a NSEC b A MX TYPE1234\n"
                                      "a DNSKEY 257 3 8 AwEA AQ==\n"
                                      "a PTR b\n"
                                      "a RP m t\n"
                                      "a EUI48 00-00-5e-00-53-2a\n"
                                      "a URI 10 1 \"https://example.com/\"\n"
                                      "a APL 1:192.168.32.0/21 !1:192.168.38.0/28\n"),
                   STATUS_OK);
  ASSERT_RECORDS(fixture, "a.example.com. 1 IN SRV 1 2 443 t.example.com.",
                 "a.example.com. 1 IN NAPTR 1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
                 "a.example.com. 1 IN DS 60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",
                 "a.example.com. 1 IN SSHFP 1 1 dd465c09cfa51fb45020cc83316fff21b9ec74ac",
                 "a.example.com. 1 IN TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
                 "a.example.com. 1 IN HTTPS 1 . alpn=h2,h3 port=8443",
                 "a.example.com. 1 IN LOC 52 22 23.000 N 04 53 32.000 E -2m 0.00m 10000m 10m",
                 "a.example.com. 1 IN NSEC b.example.com. A MX TYPE1234",
                 "a.example.com. 1 IN DNSKEY 257 3 8 AwEAAQ==", "a.example.com. 1 IN PTR b.example.com.",
                 "a.example.com. 1 IN RP m.example.com. t.example.com.", "a.example.com. 1 IN EUI48 00-00-5e-00-53-2a",
                 "a.example.com. 1 IN URI 10 1 \"https://example.com/\"",
                 "a.example.com. 1 IN APL 1:192.168.32.0/21 !1:192.168.38.0/28");
}

static void master_reads_unknown_types_and_generic_data(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "$TTL 1\n"
                                      "a TYPE65280 \\# 4 0a00 0001\n"
                                      "a TYPE731 \\# 0\n"
                                      "a A \\# 4 c0000201\n"
                                      "a TYPE1 192.0.2.2\n"
                                      "a MX \\# 5 000a 0162 00\n"),
                   STATUS_OK);
  ASSERT_RECORDS(fixture, "a.example.com. 1 IN TYPE65280 \\# 4 0a000001", "a.example.com. 1 IN TYPE731 \\# 0",
                 "a.example.com. 1 IN A 192.0.2.1", "a.example.com. 1 IN A 192.0.2.2", "a.example.com. 1 IN MX 10 b.");
  assert_int_equal(fixture->seen.data.name_count, 1);
  assert_int_equal(fixture->seen.data.name_at[0], 2);
}

static void master_tells_all_errors_of_a_file(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "$TTL 1\n"
                                      "a A 192.0.2.300\n"
                                      "a MX 70000 b\n"
                                      "a NOSUCH b\n"
                                      "a A \\# 3 010203\n"
                                      "a TXT \"open\n"
                                      "a A 192.0.2.1 192.0.2.2\n"
                                      "a..b A 192.0.2.1\n"
                                      "a 4294967296 A 192.0.2.1\n"
                                      "a OPT \\# 0\n"
                                      "$GENERATE 1-2 a A 192.0.2.$\n"
                                      "a NS \\# 2 c000\n"
                                      "a )\n"
                                      "a MX 10\n"
                                      "ok A 192.0.2.9\n"
                                      "a TXT ( never\n"
                                      "closed A 192.0.2.9\n"),
                   STATUS_INVALID);
  ASSERT_RECORDS(fixture, "ok.example.com. 1 IN A 192.0.2.9");
  assert_problem(fixture, 0, 2, "A data: \"192.0.2.300\" is not an IPv4 address");
  assert_problem(fixture, 1, 3, "MX data: \"70000\" is not a number from 0 to 65535");
  assert_problem(fixture, 2, 4, "\"NOSUCH\" is not a record type");
  assert_problem(fixture, 3, 5, "these bytes are no A data");
  assert_problem(fixture, 4, 6, "a quote is not closed on its line");
  assert_problem(fixture, 5, 7, "A data: \"192.0.2.2\" is too much");
  assert_problem(fixture, 6, 8, "\"a..b\" is not a domain name");
  assert_problem(fixture, 7, 9, "the TTL is over 2147483647 seconds");
  assert_problem(fixture, 8, 10, "\"OPT\" is not a record type");
  assert_problem(fixture, 9, 11, "unknown directive $GENERATE");
  assert_problem(fixture, 10, 12, "these bytes are no NS data");
  assert_problem(fixture, 11, 13, "a closing parenthesis without an opening one");
  assert_problem(fixture, 12, 14, "MX data: incomplete");
  assert_problem(fixture, 13, 16, "the parenthesis is never closed");
  assert_int_equal(fixture->problems.count, 14);
}

static void master_refuses_nul_bytes(void **state) {
  struct fixture *fixture = *state;
  static const char text[] = "$TTL 1\na TXT a\0b\nb A 192.0.2.1\n";
  assert_int_equal(read_bytes(fixture, text, sizeof text - 1), STATUS_INVALID);
  assert_problem(fixture, 0, 2, "a NUL byte; write \\000");
  ASSERT_RECORDS(fixture, "b.example.com. 1 IN A 192.0.2.1");
}

static void master_joins_long_names_only_up_to_255_bytes(void **state) {
  struct fixture *fixture = *state;
  char label[64], text[1024];
  memset(label, 'l', 63);
  label[63] = '\0';
  /* 3 * 64 + 50 + "example.com" of 13 makes 255 */
  snprintf(text, sizeof text, "$TTL 1\n%s.%s.%s.%.49s NS %s.%s.%s.%.49s\n", label, label, label, label, label, label,
           label, label);
  assert_int_equal(read_text(fixture, text), STATUS_OK);
  assert_int_equal(fixture->seen.data.size, 255);
  snprintf(text, sizeof text, "$TTL 1\na NS %s.%s.%s.%.50s\n%s.%s.%s.%.50s NS a\n", label, label, label, label, label,
           label, label, label);
  assert_int_equal(read_text(fixture, text), STATUS_INVALID);
  assert_int_equal(fixture->problems.count, 2);
}

static void master_includes_files_relative_to_the_including_one(void **state) {
  struct fixture *fixture = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/sub", fixture->directory);
  assert_int_equal(mkdir(path, 0700), 0);
  static const char part[] = "in A 192.0.2.2\n$INCLUDE leaf leaf\n  A 192.0.2.3\n";
  static const char leaf[] = "@ A 192.0.2.4\n";
  write_file(fixture, "sub/part", part, sizeof part - 1);
  write_file(fixture, "sub/leaf", leaf, sizeof leaf - 1);
  assert_int_equal(read_text(fixture,
                             "$TTL 1\nout A 192.0.2.1\n$INCLUDE \"sub/part\" inner\n  A 192.0.2.5\nz A 192.0.2.6\n"),
                   STATUS_OK);
  ASSERT_RECORDS(fixture, "out.example.com. 1 IN A 192.0.2.1", "in.inner.example.com. 1 IN A 192.0.2.2",
                 "leaf.inner.example.com. 1 IN A 192.0.2.4", "in.inner.example.com. 1 IN A 192.0.2.3",
                 "out.example.com. 1 IN A 192.0.2.5", "z.example.com. 1 IN A 192.0.2.6");
}

static void master_refuses_an_include_of_itself(void **state) {
  struct fixture *fixture = *state;
  static const char part[] = "$INCLUDE zone\n";
  write_file(fixture, "part", part, sizeof part - 1);
  assert_int_equal(read_text(fixture, "$TTL 1\n$INCLUDE part\na A 192.0.2.1\n"), STATUS_INVALID);
  assert_int_equal(fixture->problems.count, 1);
  assert_non_null(strstr(fixture->problems.items[0].text, "includes itself"));
  assert_non_null(strstr(fixture->problems.items[0].file, "/part"));
  assert_int_equal(fixture->problems.items[0].line, 1);
  assert_int_equal(fixture->seen.count, 1);
}

static void master_tells_what_cannot_be_read(void **state) {
  struct fixture *fixture = *state;
  struct name origin;
  assert_int_equal(name_from_text("example.com", &origin), STATUS_OK);
  assert_int_equal(read_text(fixture, "$TTL 1\n$INCLUDE missing\n$INCLUDE .\n"), STATUS_INVALID);
  assert_int_equal(fixture->problems.count, 2);
  assert_non_null(strstr(fixture->problems.items[0].text, "/missing cannot be read: No such file"));
  assert_non_null(strstr(fixture->problems.items[1].text, "is not a regular file"));
  assert_int_equal(read_master(fixture, "/nonexistent/zone", &origin), STATUS_INVALID);
  assert_problem(fixture, 2, 0, "cannot be read: No such file or directory");
}

/* Of any kind between: records read ahead must be told before what comes behind them. */
static void master_keeps_the_order_of_lines(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(read_text(fixture, "a 1 A 192.0.2.1\n"
                                      "b A 192.0.2.2\n"
                                      " 5 A 192.0.2.3\n"
                                      "c TXT x\n"
                                      "d A 192.0.2.4\n"
                                      "e A 192.0.2.256\n"
                                      "$TTL 9\n"
                                      "f A 192.0.2.5 ; last\n"
                                      "$ORIGIN sub\n"
                                      " A 192.0.2.6\n"
                                      "f NS g\n"
                                      "@ 7 AAAA ::1"),
                   STATUS_INVALID);
  ASSERT_RECORDS(fixture, "a.example.com. 1 IN A 192.0.2.1", "b.example.com. 1 IN A 192.0.2.2",
                 "b.example.com. 5 IN A 192.0.2.3", "c.example.com. 5 IN TXT \"x\"", "d.example.com. 5 IN A 192.0.2.4",
                 "f.example.com. 9 IN A 192.0.2.5", "f.example.com. 9 IN A 192.0.2.6",
                 "f.sub.example.com. 9 IN NS g.sub.example.com.", "sub.example.com. 7 IN AAAA ::1");
  static const int lines[] = {1, 2, 3, 4, 5, 8, 10, 11, 12};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    assert_int_equal(fixture->seen.lines[i], lines[i]);
  assert_int_equal(fixture->problems.count, 1);
  assert_problem(fixture, 0, 6, "A data: \"192.0.2.256\" is not an IPv4 address");
}

static void master_reads_what_stands_between_and_behind_much_text(void **state) {
  struct fixture *fixture = *state;
  static const char first[] = "$TTL 1\na A 192.0.2.1\n", then[] = "b A 192.0.2.2\n", last[] = "c A 192.0.2.3\n";
  size_t size = 24 << 20, half = size / 2;
  char *text = mem_alloc(size);
  memset(text, ' ', size);
  for (size_t at = 999; at < size; at += 1000)
    text[at] = '\n';
  memcpy(text, first, sizeof first - 1);
  memcpy(text + half / 1000 * 1000, then, sizeof then - 1);
  memcpy(text + (size - 2000) / 1000 * 1000, last, sizeof last - 1);
  assert_int_equal(read_bytes(fixture, text, size), STATUS_OK);
  free(text);
  ASSERT_RECORDS(fixture, "a.example.com. 1 IN A 192.0.2.1", "b.example.com. 1 IN A 192.0.2.2",
                 "c.example.com. 1 IN A 192.0.2.3");
}

static void periods_have_units_and_a_bound(void **state) {
  (void)state;
  uint32_t period = 1;
  assert_int_equal(rdata_period_parse("1w2d3h4m5s", &period), STATUS_OK);
  assert_int_equal(period, 788645);
  assert_int_equal(rdata_period_parse("2147483647", &period), STATUS_OK);
  assert_int_equal(rdata_period_parse("2147483648", &period), STATUS_RANGE);
  assert_int_equal(rdata_period_parse("99999999999999999999999999w", &period), STATUS_RANGE);
  assert_int_equal(rdata_period_parse("1x", &period), STATUS_INVALID);
  assert_int_equal(rdata_period_parse("", &period), STATUS_INVALID);
  assert_int_equal(period, 2147483647);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(master_reads_names_ttls_and_classes_in_any_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_takes_ttl_from_the_record_before_or_the_soa, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_wants_a_ttl_from_somewhere, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_reads_escapes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_reads_every_common_type, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_reads_unknown_types_and_generic_data, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_tells_all_errors_of_a_file, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_refuses_nul_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_joins_long_names_only_up_to_255_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_includes_files_relative_to_the_including_one, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_refuses_an_include_of_itself, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_tells_what_cannot_be_read, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_keeps_the_order_of_lines, set_up, tear_down),
      cmocka_unit_test_setup_teardown(master_reads_what_stands_between_and_behind_much_text, set_up, tear_down),
      cmocka_unit_test(periods_have_units_and_a_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
