/* gslb/net/lookup.h
 * Asks the system's resolvers, or given ones, by c-ares: SRV with its targets' addresses, TXT, and addresses. Unlike
 * gslb/net/resolver, which asks one server once to judge it, this one wants an answer from whoever has it: every server
 * is tried, answers are followed by the questions that they leave open. Belongs to the loop's thread. */
#ifndef GSLB_NET_LOOKUP_H
#define GSLB_NET_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "gslb/net/loop.h"

#define LOOKUP_TARGETS_MOST 64u
#define LOOKUP_ADDRESSES_MOST 8u /* of one target */
#define LOOKUP_TXT_MOST 32u

struct lookup_target {
  char host[256];
  uint16_t priority, weight, port;
  struct addr addresses[LOOKUP_ADDRESSES_MOST]; /* with the port */
  size_t address_count;                         /* 0: the name has none */
};

struct lookup_answer { /* borrowed until the callback returns */
  enum status status;  /* STATUS_OK, STATUS_NODATA (no such name or records), STATUS_TIMEOUT, STATUS_IO */
  const char *detail;  /* for people */
  const struct lookup_target *targets;
  size_t target_count;
  const char *const *txt; /* strings of the TXT records of the same name; none is no failure */
  size_t txt_count;
};
typedef void lookup_done(void *context, const struct lookup_answer *answer);

struct lookup;
struct lookup *lookup_service(struct loop *loop, const char *name, const struct addr *servers, size_t server_count,
                              int64_t timeout_ms, lookup_done *done, void *context);
/* name: "_gslb-register._tcp.example.com". servers with ports; none: those of /etc/resolv.conf, read now. timeout_ms:
 * for all of it. done is called once, from the loop, never within this call, unless cancelled. */
struct lookup *lookup_host(struct loop *loop, const char *name, uint16_t port, const struct addr *servers,
                           size_t server_count, int64_t timeout_ms, lookup_done *done, void *context);
/* One target: the addresses of a host name; /etc/hosts first. */
void lookup_cancel(struct lookup *lookup);

#endif
