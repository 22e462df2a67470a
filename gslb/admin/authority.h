/* gslb/admin/authority.h
 * Who asks, and whether it may: the operator by the unix socket's peer credentials; over TCP a bearer token (RFC 6750)
 * or a client certificate whose name stands in control.clients. What exactly a token or a certificate may touch is for
 * the registry to judge. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_AUTHORITY_H
#define GSLB_ADMIN_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "discovery/registry/principal.h"
#include "discovery/registry/token.h"
#include "gslb/model/config.h"
#include "gslb/net/http_server.h"

enum authority_need {
  AUTHORITY_NONE,     /* open, whatever is configured; credentials are not looked at */
  AUTHORITY_READ,     /* open, unless control.reads_need_token */
  AUTHORITY_REGISTER, /* a token, a certificate or the operator */
  AUTHORITY_ADMIN,    /* the operator, or a token that may administer */
};

bool authority_admit(struct http_call *call, enum authority_need need, struct tokens *tokens,
                     const struct config *config, int64_t now_ms, struct principal *out);
/* Fills out and returns true where the caller may; answers the call otherwise: 401 with WWW-Authenticate without
 * credentials or with wrong ones (for AUTHORITY_READ too), 403 where theirs do not reach so far, 503 where tokens
 * cannot be looked up. out->client is borrowed from config. tokens may be NULL: then a token cannot be looked up.
 * now_ms: house time. */

bool authority_certificate_fits(const char *pattern, const char *name);
/* Whether a certificate of that name is the one that control.clients means: the same in any case of letters, or "*" in
 * place of its first label (RFC 6125 section 6.4.3). */

#endif
