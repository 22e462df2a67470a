/* gslb/net/resolver.h
 * One DNS query to one given server, on a loop, by c-ares: UDP, and TCP when the answer was truncated. c-ares takes a
 * reply only from the server's address, with the query's id and question. One try; nothing is cached, no resolver
 * configuration is read. Belongs to the loop's thread. */
#ifndef GSLB_NET_RESOLVER_H
#define GSLB_NET_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"

struct resolver;
struct resolver_query;

struct resolver_question {
  struct addr server; /* with the port */
  const char *name;   /* presentation form */
  uint16_t type;      /* RR type number; the class is IN and RD is set */
  int64_t timeout_ms; /* above 0 */
  bool wants_dnssec;  /* asks for signatures: DO (RFC 3225), with 1,232 bytes of UDP payload */
};

struct resolver_reply {
  enum net_outcome outcome;
  const char *detail;   /* more about an outcome other than NET_ANSWERED, for people; "" for none */
  const uint8_t *bytes; /* with NET_ANSWERED: the message as received; read it with gslb/net/dns_reply */
  size_t length;
  uint32_t duration_us;
};

typedef void resolver_done(void *context, const struct resolver_reply *reply);
/* reply and all in it are borrowed until the callback returns. */

struct resolver *resolver_new(struct loop *loop);
/* Borrows the loop. Never NULL. */
void resolver_free(struct resolver *resolver);
/* Cancels what still runs. NULL is fine. Before loop_free. */

struct resolver_query *resolver_ask(struct resolver *resolver, const struct resolver_question *question,
                                    resolver_done *done, void *context);
/* Copies the question; done is called once, from the loop and never within this call, unless cancelled. The handle is
 * borrowed until done is called or it is cancelled. */
void resolver_cancel(struct resolver_query *query);
/* done is not called any more. */

#endif
