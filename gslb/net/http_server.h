/* gslb/net/http_server.h
 * HTTP/1.1 on a listening descriptor, without routes: whole requests go to one callback, which answers at once or holds
 * the request and lets another thread answer later. With gslb/net/http_stream, its other half, the only files that know
 * libmicrohttpd.
 * Threads: the callback runs on the server's own threads, several at once. A call is one request with its answer; it is
 * the server's memory and lives until http_respond was called and its callback has returned. */
#ifndef GSLB_NET_HTTP_SERVER_H
#define GSLB_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

#define HTTP_BODY_MOST 65536u      /* bytes of a request's body; a larger one is refused with 413 */
#define HTTP_HEAD_MOST_MS 10000    /* from the connection's start to the end of its first request's header fields */
#define HTTP_REQUEST_MOST_MS 20000 /* for a request to arrive whole, its body included */
#define HTTP_ANSWER_MOST_MS 60000  /* for the client to take an answer; a stream has no such bound */
#define HTTP_STREAM_MOST 262144u   /* bytes that a stream holds for a slow client */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };

struct http_peer {
  bool is_unix;
  uint32_t uid;     /* unix: of the process that connected, told by the kernel */
  int32_t pid;      /* unix */
  struct addr addr; /* TCP */
  bool is_tls;
  char certificate[256]; /* TLS: the DNS name of a client certificate that was verified: its first subjectAltName, or
                          * else its common name; lower case; "" for none */
};

struct http_call {
  enum http_method method;
  const char *path; /* percent-decoded, without the query */
  const char *body; /* NUL-terminated */
  size_t body_size;
  struct http_peer peer;
};

const char *http_call_query(const struct http_call *call, const char *name);
/* Decoded value of a query argument; "" when it has none, NULL when absent. Borrowed from the call. */
const char *http_call_header(const struct http_call *call, const char *name);
/* Value of a request header, NULL when absent; borrowed from the call. */

struct http_response {
  unsigned status;
  const char *content_type; /* NULL without a body; must outlive the call alone, as all that follows */
  char *heap_body;          /* taken over and freed by the server; or else */
  const char *body;         /* borrowed for ever */
  size_t size;
  const char *const *headers; /* name, value, …, NULL; may be NULL */
};

void http_respond(struct http_call *call, const struct http_response *response);
/* Answers, exactly once for each request: within the callback, or after http_hold by any thread. */
void http_hold(struct http_call *call);
/* Within the callback and before another thread learns of the request: it is answered later. */

typedef void http_gone(void *context);
struct http_stream;
struct http_stream *http_stream_open(struct http_call *call, const char *content_type, http_gone *gone, void *context);
/* Answers the call with 200 and a body without a known end, which is sent as it is written. Within the callback or
 * after http_hold. gone is called once, from a server's thread, when the client went away (noticed within about a
 * second) or the server stops, and not once the stream is closed; until http_stream_close the stream may be used all
 * the same. */
void http_stream_write(struct http_stream *stream, const char *text, size_t size);
/* Copies; never waits. A stream whose client does not read loses its connection at HTTP_STREAM_MOST bytes unsent. */
void http_stream_close(struct http_stream *stream);
/* Ends the answer after what was written; the stream is the server's from here on. Once; within gone is fine. When it
 * returns, gone does not run and will not (a gone that runs in another thread is waited for), so never under a lock
 * that gone takes. */

typedef void http_handle(void *context, struct http_call *call);

/* A connection goes when it takes longer over a step than the bounds above: the head of a first request 10 s, later
 * heads idle_s + 10 s from the answer before (libmicrohttpd does not tell when a head begins to arrive), a body 10 s,
 * taking the answer 60 s; noticed each second. A head has at most 32 KiB, or it is refused with 431.
 * When connections get near to their limit, one that waits for its client goes for each that comes: the oldest of those
 * that asked nothing yet, of those that rest between two requests, of those that send a body or of those that take an
 * answer, whichever are most. So idle and slow connections keep nobody out. */
struct http_limits {
  unsigned threads;
  unsigned connections; /* at once; above seven eighths waiting ones go, and at the limit, when all are busy, further
                         * ones wait in the listening queue. The process needs as many descriptors and some. */
  unsigned per_client;  /* connections of one IPv4 address or IPv6 /64 at once; the next one takes the place of one of
                         * them that waits, or is closed; 0: no limit */
  unsigned idle_s;      /* a connection that is silent for so long is closed; held requests and streams are not */
};

struct http_tls { /* PEM files, read at the start and at http_server_renew_tls; TLS 1.2 and later */
  const char *certificate, *key;
  const char *client_ca; /* NULL: clients are not asked for a certificate. One that is shown must verify and name its
                          * client, or each request is refused with 403; showing none is the caller's to judge. */
};

struct http_server;

enum status http_server_start(int fd, const struct http_limits *limits, const struct http_tls *tls, http_handle *handle,
                              void *context, struct http_server **out, struct errbuf *err);
/* fd listens (TCP or unix) and is borrowed until http_server_stop: it is neither shut down nor closed. tls NULL: plain.
 * STATUS_IO, STATUS_INVALID: a file cannot be read or used, as err says. */
enum status http_server_renew_tls(struct http_server *server, const struct http_tls *tls, struct errbuf *err);
/* Reads the files again: connections from now on use them. On a failure the old ones stay. A server that was started
 * with TLS; any thread. */
void http_server_quiesce(struct http_server *server);
/* Accepts no more; what was accepted is served on. NULL is fine. */
void http_server_stop(struct http_server *server);
/* Quiesces, gives requests under way two seconds, and ends the threads. Every held request must have been answered, or
 * be answered by another thread while this waits. NULL is fine. */

#endif
