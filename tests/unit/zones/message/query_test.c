#include "zones/message/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "zones/message/wire.h"

/* A query for www.example.com A, to which tests add. */
struct packet {
  uint8_t data[600];
  size_t size;
};

static void add(struct packet *packet, const void *bytes, size_t size) {
  memcpy(packet->data + packet->size, bytes, size);
  packet->size += size;
}

static struct packet plain_query(void) {
  struct packet packet = {.data = {0x12, 0x34, 0x01, 0x10, 0, 1}, .size = 12};
  add(&packet, "\3WwW\7example\3com\0\0\1\0\1", 21);
  return packet;
}

static struct packet with_opt(const char *opt, size_t size, uint8_t count) {
  struct packet packet = plain_query();
  packet.data[11] = count;
  add(&packet, opt, size);
  return packet;
}

static struct query parsed(const struct packet *packet) {
  struct query query;
  memset(&query, 0xaa, sizeof query);
  assert_int_equal(query_parse(packet->data, packet->size, &query), QUERY_FINE);
  return query;
}

static void plain_query_is_read(void **state) {
  (void)state;
  struct packet packet = plain_query();
  struct query query = parsed(&packet);
  assert_int_equal(query.rcode, RCODE_NOERROR);
  assert_int_equal(query.type, TYPE_A);
  assert_int_equal(query.question_size, 21);
  assert_memory_equal(query.name.wire, "\3www\7example\3com", 17);
  assert_false(query.has_edns);
}

static void edns_is_read_with_its_payload_and_flags(void **state) {
  (void)state;
  struct packet packet = with_opt("\0\0\x29\x10\x00\0\0\x80\0\0\4\0\3\0\0", 15, 1);
  struct query query = parsed(&packet);
  assert_int_equal(query.rcode, RCODE_NOERROR);
  assert_true(query.has_edns && query.do_bit);
  assert_int_equal(query.edns_payload, 4096);
  packet = with_opt("\0\0\x29\0\1\0\0\0\0\0\0", 11, 1);
  assert_int_equal(parsed(&packet).edns_payload, 512);
}

static void other_edns_versions_are_badvers(void **state) {
  (void)state;
  struct packet packet = with_opt("\0\0\x29\x10\x00\0\1\0\0\0\0", 11, 1);
  assert_int_equal(parsed(&packet).rcode, RCODE_BADVERS);
}

static void malformed_edns_is_formerr(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
    uint8_t count;
  } rows[] = {
      {"\0\0\x29\x10\0\0\0\0\0\0\0\0\0\x29\x10\0\0\0\0\0\0\0", 22, 2}, /* two */
      {"\1a\0\0\x29\x10\0\0\0\0\0\0\0", 13, 1},                        /* with an owner */
      {"\0\0\x29\x10\0\0\0\0\0\0\4\0\3\0\1", 15, 1},                   /* option longer than the data */
      {"\0\0\x29\x10\0\0\0\0\0\0\3\0\3\0", 14, 1},                     /* half an option head */
      {"\0\0\x29\x10\0\0\0\0\0\0\1", 11, 1},                           /* data longer than the message */
      {"\0\0\x29\x10\0\0\0\0\0\0\0", 11, 2},                           /* count too high */
      {"\0\0\x29\x10\0\0\0\0\0\0\0", 11, 0},                           /* count too low: bytes left over */
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct packet packet = with_opt(rows[i].bytes, rows[i].size, rows[i].count);
    assert_int_equal(parsed(&packet).rcode, RCODE_FORMERR);
  }
}

static void every_truncation_is_survived(void **state) {
  (void)state;
  struct packet packet = with_opt("\0\0\x29\x10\x00\0\0\x80\0\0\4\0\3\0\0", 15, 1);
  for (size_t size = 0; size < packet.size; size++) {
    struct query query;
    enum query_verdict verdict = query_parse(packet.data, size, &query);
    assert_int_equal(verdict, size < 12 ? QUERY_DROP_SHORT : QUERY_FINE);
    if (size >= 12)
      assert_int_equal(query.rcode, RCODE_FORMERR);
  }
}

static void responses_are_dropped(void **state) {
  (void)state;
  struct packet packet = plain_query();
  struct query query;
  packet.data[2] |= 0x80;
  assert_int_equal(query_parse(packet.data, packet.size, &query), QUERY_DROP_RESPONSE);
}

static void names_that_point_or_overrun_are_formerr(void **state) {
  (void)state;
  struct packet packet = {.data = {0, 1, 0, 0, 0, 1}, .size = 12};
  add(&packet, "\xc0\x0c\0\1\0\1", 6);
  assert_int_equal(parsed(&packet).rcode, RCODE_FORMERR);
  packet.size = 12;
  for (int i = 0; i < 5; i++) { /* 5 labels of 63: 320 bytes */
    uint8_t label[64] = {63};
    add(&packet, label, sizeof label);
  }
  add(&packet, "\0\0\1\0\1", 5);
  struct query query = parsed(&packet);
  assert_int_equal(query.rcode, RCODE_FORMERR);
  assert_false(query.has_question);
  packet.size = 12;
  add(&packet, "\x40xxx", 4);
  assert_int_equal(parsed(&packet).rcode, RCODE_FORMERR);
}

static void counts_opcodes_types_and_classes_are_judged(void **state) {
  (void)state;
  static const struct {
    size_t at;
    uint8_t value;
    uint16_t rcode;
  } rows[] = {
      {5, 0, RCODE_FORMERR},   {5, 2, RCODE_FORMERR},    {7, 1, RCODE_FORMERR},    {9, 1, RCODE_FORMERR},
      {2, 0x28, RCODE_NOTIMP}, {2, 0x20, RCODE_FORMERR}, {30, 252, RCODE_REFUSED}, {30, 41, RCODE_FORMERR},
      {30, 249, RCODE_NOTIMP}, {32, 4, RCODE_REFUSED},   {32, 255, RCODE_NOERROR}, {30, 255, RCODE_NOERROR},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct packet packet = plain_query();
    packet.data[rows[i].at] = rows[i].value;
    assert_int_equal(parsed(&packet).rcode, rows[i].rcode);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_query_is_read),
      cmocka_unit_test(edns_is_read_with_its_payload_and_flags),
      cmocka_unit_test(other_edns_versions_are_badvers),
      cmocka_unit_test(malformed_edns_is_formerr),
      cmocka_unit_test(every_truncation_is_survived),
      cmocka_unit_test(responses_are_dropped),
      cmocka_unit_test(names_that_point_or_overrun_are_formerr),
      cmocka_unit_test(counts_opcodes_types_and_classes_are_judged),
  };
  return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
