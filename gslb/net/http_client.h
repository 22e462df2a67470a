/* gslb/net/http_client.h
 * HTTP/1.1 and HTTP/2 to a given address, many at once, on a loop, by libcurl. No names are looked up, no proxy is
 * used; each transfer has a connection of its own unless it asks to share. Redirects are followed only when asked for,
 * and only at the address given: whatever host the Location names, it is asked there, with the port and the scheme of
 * the Location and its host as Host. Belongs to the loop's thread. */
#ifndef GSLB_NET_HTTP_CLIENT_H
#define GSLB_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"

#define HTTP_CLIENT_HEAD_MOST 65536u /* bytes of status lines and header fields; more is NET_PROTOCOL */

struct http_client;
struct http_transfer;

struct http_request {
  const char *method;         /* NULL: GET */
  struct addr address;        /* with the port */
  const char *host;           /* sent in Host; with TLS, less a port, what server_name is by default */
  const char *path;           /* request target, sent as it stands: "/health?full=1" */
  int64_t timeout_ms;         /* for all of it, above 0 */
  size_t body_most;           /* bytes of body to keep; the transfer ends when they are full */
  const char *const *headers; /* "Name: value", NULL-terminated; NULL for none */
  const char *body;           /* sent; NULL for none */
  size_t body_size;
  bool is_http2;      /* wanted: by ALPN with TLS, at once without; another version is NET_PROTOCOL */
  unsigned redirects; /* followed at most, more is NET_PROTOCOL; 0: a redirect is an answer like others */
  bool is_tls;
  const char *server_name; /* TLS: what is asked for and what the certificate must have; NULL: host */
  bool is_unverified;      /* TLS: any certificate will do; said explicitly by the configuration alone */
  const char *ca;          /* TLS: PEM file; NULL: the system's */
  const char *certificate; /* TLS: PEM file of the client's certificate, with key; NULL: none */
  const char *key;
  bool may_reuse; /* keep the connection for later requests, and use one that was kept */
};

struct http_reply {
  enum net_outcome outcome;
  const char *detail; /* more about an outcome other than NET_ANSWERED, for people; "" for none */
  int status;         /* with NET_ANSWERED */
  const char *body;   /* with NET_ANSWERED; NUL-terminated after body_length bytes */
  size_t body_length;
  const char *etag;       /* "" when absent */
  unsigned retry_after_s; /* 0 when absent; a date is turned into seconds */
  uint32_t duration_us;   /* from the start to the end of the answer */
  uint64_t bytes;         /* of the answer, head and body, as far as it came */
};

typedef void http_done(void *context, const struct http_reply *reply);
/* reply and all in it are borrowed until the callback returns. */

struct http_client *http_client_new(struct loop *loop);
/* Borrows the loop. Never NULL. */
void http_client_free(struct http_client *client);
/* Cancels what still runs. NULL is fine. Before loop_free. */

struct http_transfer *http_client_start(struct http_client *client, const struct http_request *request, http_done *done,
                                        void *context);
/* Copies the request; done is called once, from the loop and never within this call, unless cancelled. The handle is
 * borrowed until done is called or it is cancelled. */
void http_client_cancel(struct http_transfer *transfer);
/* done is not called any more. */

#endif
