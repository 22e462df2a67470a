/* Replies to DNS probes: any bytes, read as each type that is understood. */
#include <stddef.h>
#include <stdint.h>

#include "gslb/net/dns_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct {
    uint16_t type;
    const char *expected;
  } cases[] = {
      {1, "192.0.2.53"},         {28, "2001:db8::35"},    {2, "ns.a.b."},
      {15, "10 mail.a.b."},      {33, "1 2 8443 t.a.b."}, {6, "a. b. 1 2 3 4 5"},
      {16, "\"ab\" \"c\\100\""}, {257, "\\# 4 c0000235"},
  };
  int rcode;
  struct addr addresses[4];
  dns_reply_addresses(data, size, "a.example", addresses, 4);
  dns_reply_rcode(data, size, &rcode);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    dns_reply_has(data, size, cases[i].type, cases[i].expected);
  return 0;
}
