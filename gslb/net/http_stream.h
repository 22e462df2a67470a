/* gslb/net/http_stream.h
 * The server's half of a stream, whose other half is in gslb/net/http_server.h: text waits in a bounded buffer until
 * the connection takes it, and while there is none the connection is suspended. Two own a stream, the connection and
 * its writer, and the last of them frees it. Any thread, unless said otherwise. */
#ifndef GSLB_NET_HTTP_STREAM_H
#define GSLB_NET_HTTP_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gslb/net/http_guard.h"
#include "gslb/net/http_server.h"

struct MHD_Connection;

struct http_stream_place { /* borrowed until http_stream_end */
  struct MHD_Connection *connection;
  struct http_guard *guard;
  struct guard_visitor *visitor;
};

struct http_stream *http_stream_new(const struct http_stream_place *place, http_gone *gone, void *context);
ssize_t http_stream_read(void *stream, uint64_t position, char *out, size_t most);
/* MHD_ContentReaderCallback: the connection's thread. */
void http_stream_break(struct http_stream *stream);
/* The client went away, or has to: what was not sent is lost, and the connection ends. Before http_stream_end. */
void http_stream_end(struct http_stream *stream);
/* The connection has ended: tells the writer, unless it has closed, and leaves the stream to it. Once. */

#endif
