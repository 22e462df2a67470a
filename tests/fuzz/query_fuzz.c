/* Any datagram against a small book of static and balanced names: nothing is read or written out of bounds, a response
 * is never answered, and every reply parses by ldns and keeps within its bound. */
#include <stdlib.h>

#include <ldns/ldns.h>

#include "tests/unit/zones/small_book.h"
#include "zones/message/wire.h"

static const char zone_text[] = "$ORIGIN example.com.\n$TTL 300\n"
                                "@ SOA ns1 admin 1 3600 600 86400 60\n@ NS ns1\n@ NS ns2\n@ MX 10 mail\n"
                                "ns1 A 127.0.0.1\nns2 AAAA ::1\nmail A 127.0.0.2\nalias CNAME www\nloop CNAME loop\n"
                                "chain CNAME alias\naway CNAME elsewhere.example.net.\n*.wild TXT \"any\"\n"
                                "*.wildc CNAME www\ndeep.under.here TXT \"x\"\nsub NS ns.sub\nns.sub A 127.0.0.3\n"
                                "old DNAME wild\n";

static const char services_text[] =
    "services:\n"
    "  - {name: www.example.com, answers: 2, srv: _http._tcp, members: [{name: a, addresses: [127.0.0.11, \"::1\"], "
    "srv_port: 80}, {name: b, addresses: [127.0.0.12], srv_port: 81, weight: 3}]}\n"
    "  - {name: all.example.com, method: all, members: [{name: a, addresses: [127.0.0.21]}]}\n"
    "  - {name: \"*.app.example.com\", method: round_robin, members: [{name: a, addresses: [127.0.0.31]}]}\n";

static struct small_book small;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  small_book_make(&small, services_text, zone_text);
  return 0;
}

static void check(const struct query *query, bool is_udp) {
  static uint8_t reply[WIRE_MESSAGE_MOST];
  size_t room = is_udp ? 1232 : sizeof reply;
  struct client client = {.addr = {.family = 4, .bytes = {127, 0, 0, 1}}, .is_udp = is_udp};
  size_t size = answer_query(&small.answerer, small.book, query, &client, reply, room);
  if (size < WIRE_HEADER_SIZE || size > room || !(reply[2] & 0x80))
    abort();
  ldns_pkt *packet = NULL;
  if (ldns_wire2pkt(&packet, reply, size) != LDNS_STATUS_OK)
    abort();
  ldns_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct query query;
  if (query_parse(data, size, &query) != QUERY_FINE)
    return 0;
  if (data[2] & 0x80) /* an answer to a response */
    abort();
  random_seed(&small.answerer.random, size);
  check(&query, true);
  check(&query, false);
  return 0;
}
