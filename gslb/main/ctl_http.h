/* gslb/main/ctl_http.h
 * One blocking HTTP call over a unix socket, for gslbctl: libcurl's easy interface. One thread. */
#ifndef GSLB_MAIN_CTL_HTTP_H
#define GSLB_MAIN_CTL_HTTP_H

#include <stddef.h>

#include "gslb/base/status.h"

struct ctl_reply {
  long status;
  char *body; /* NUL-terminated; free() it */
  size_t size;
};

enum status ctl_http_call(const char *socket, const char *method, const char *path, const char *body,
                          struct ctl_reply *out, struct errbuf *err);
/* path with its query, already escaped; body is JSON, NULL for none. STATUS_NODATA: nobody listens at socket.
 * STATUS_FORBIDDEN: the socket does not let us in. STATUS_TIMEOUT, STATUS_IO. */

void ctl_http_escape(const char *text, char *out, size_t size);
/* Percent-escapes what is not unreserved (RFC 3986 section 2.3); cut at the size of out. */
void ctl_http_argument(char *path, size_t size, const char *name, const char *value);
/* Adds the argument to path's query, escaped; nothing where value is NULL. */

#endif
