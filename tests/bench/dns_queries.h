/* tests/bench/dns_queries.h
 * Queries in wire form (RFC 1035), made before a measurement so that sending them costs next to nothing.
 * Not for several threads. A bad file ends the program with a message. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_HEADER 12u
#define LINES_MOST 64u

enum expectation {
  EXPECT_ANSWER, /* NOERROR with a record in the answer section */
  EXPECT_EMPTY,  /* NOERROR without one */
  EXPECT_NXDOMAIN,
  EXPECT_ANYTHING,
};

struct query {
  uint32_t offset;        /* in wire */
  uint16_t size;          /* of the message */
  uint16_t question_size; /* of the question, behind the header */
  uint8_t line;           /* of the mix, from 0 */
  uint8_t expectation;    /* enum expectation */
};

struct queries {
  unsigned char *wire; /* all messages, one behind the other, each with the id 0; the sender writes the id */
  struct query *query;
  size_t count;
};

struct query_plan {
  const char *mix;     /* file, see queries_init */
  const char *subnets; /* file; NULL: no Client Subnet */
  unsigned edns_size;  /* UDP payload size that is announced; 0: no EDNS, unless there are subnets (then 1232) */
  bool dnssec;         /* the DO bit */
  size_t count;
  uint64_t seed;
};

void queries_init(struct queries *queries, const struct query_plan *plan);
/* Draws plan->count queries from the mix. A line of it is
 *
 *   WEIGHT NAME TYPE [range=LEAST-MOST] [expect=answer|empty|nxdomain|anything]
 *
 * where # in NAME stands for a number drawn from the range, and ? for ten random letters; TYPE is A, NS, CNAME, SOA,
 * PTR, MX, TXT, AAAA, SRV, SVCB, HTTPS or a number. A line of subnets is NETWORK/LENGTH SOURCE: the Client Subnet (RFC
 * 7871) is a random one of SOURCE bits in one of the networks. Empty lines and those that begin with # are passed over.
 */

void queries_release(struct queries *queries);
