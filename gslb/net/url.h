/* gslb/net/url.h
 * The URLs that a resource may give: http or https to an address literal, with or without a port, so that nothing has
 * to be looked up and it can be told whom a call would reach (RFC 3986 section 3). Pure; any thread. */
#ifndef GSLB_NET_URL_H
#define GSLB_NET_URL_H

#include <stdbool.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

#define URL_TEXT_MOST 512u

struct url {
  bool is_tls;
  struct addr address; /* with the port: 80 or 443 when none is given */
  const char *target;  /* path and query, borrowed from the text; "/" when there is none */
};

enum status url_parse(const char *text, struct url *out, struct errbuf *err);
/* STATUS_INVALID with a text that continues "the URL"; *out untouched. */

#endif
