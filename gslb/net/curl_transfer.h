/* gslb/net/curl_transfer.h
 * What transfers by libcurl have in common, whatever their protocol: handles that are used again, many at once on a
 * loop, the body up to its bound, and why one failed. For gslb/net/http_client and gslb/net/ftp_client, which with
 * gslb/net/curl_loop are the only files that know libcurl; its easy handles are passed as pointers to void, which they
 * are. Belongs to the loop's thread. */
#ifndef GSLB_NET_CURL_TRANSFER_H
#define GSLB_NET_CURL_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"

#define CURL_TRANSFER_DETAIL_SIZE 256

struct curl_transfers; /* a client's */

struct curl_transfer { /* the first member of a client's own kind of transfer */
  struct curl_transfers *all;
  struct curl_transfer *next;  /* in the list of idle or of running ones */
  struct curl_transfer **link; /* what points here while it runs */
  struct curl_loop *curl;      /* that runs it; NULL: not started */
  void *easy;
  bool is_prepared; /* the options of all requests are set */
  char *body;       /* room for a NUL after it; NULL: none so far */
  size_t body_length, body_capacity, body_most;
  bool is_cut;      /* the body filled its bound */
  int socket_errno; /* why no socket could be made */
  char detail[CURL_TRANSFER_DETAIL_SIZE];
};

struct curl_transfer_kind {
  size_t size; /* of the client's own struct */
  void (*prepare)(struct curl_transfer *transfer);
  /* Sets options of the handle that are the same for every request. */
  void (*ended)(struct curl_transfer *transfer, int code);
  /* code: CURLcode. The transfer is taken back after the call. */
  void (*release)(struct curl_transfer *transfer);
  /* Frees what was made for one request; also of those that were cancelled. */
};

struct curl_transfers *curl_transfers_new(struct loop *loop, const struct curl_transfer_kind *kind);
/* Borrows both. */
void curl_transfers_free(struct curl_transfers *all);
/* Cancels what still runs. NULL is fine. */

void *curl_transfer_take(struct curl_transfers *all, size_t body_most);
/* One to fill and start at once. The client's own members are zero, or as it left them. */
void curl_transfer_start(struct curl_transfer *transfer, const struct addr *target);
/* Its work begins at once; it ends in a later turn of the loop. Transfers to one target can share its connections. */
void curl_transfer_begin_anew(struct curl_transfer *transfer);
/* Before the options of a request that not every one sets: it has none from earlier requests, and leaves none to later
 * ones. */
void curl_transfer_cancel(struct curl_transfer *transfer);
/* It does not end, and is taken back. */

bool curl_transfer_is_whole(const struct curl_transfer *transfer, int code);
/* What was wanted of it came: all of the body or as much as it may have. */
enum net_outcome curl_transfer_failure(const struct curl_transfer *transfer, int code, bool is_tls);
/* Of one that is not whole; time-outs by the phase that it had reached, those of certificates by what is wrong. */
const char *curl_transfer_detail(const struct curl_transfer *transfer, int code);
/* Of a failure, for people. */
const char *curl_transfer_body(struct curl_transfer *transfer);
/* Terminated by a NUL. Borrowed until it is taken back. */
uint32_t curl_transfer_duration_us(const struct curl_transfer *transfer);

char *curl_transfer_host(const struct addr *address);
/* As in a URL: IPv6 in brackets; free() it. */

#endif
