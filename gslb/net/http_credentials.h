/* gslb/net/http_credentials.h
 * What a TLS server shows and whom it trusts: read from PEM files, shared by the connections whose handshake began
 * with it, and gone with the last of them. All that the server wants of GnuTLS. Any thread. */
#ifndef GSLB_NET_HTTP_CREDENTIALS_H
#define GSLB_NET_HTTP_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/status.h"
#include "gslb/net/http_server.h"

struct gnutls_session_int;
struct http_credentials;

extern const char http_credentials_priorities[];
/* GnuTLS priority string: TLS 1.2 and later, 128 bits of security at least. */

enum status http_credentials_load(const struct http_tls *tls, struct http_credentials **out, struct errbuf *err);
/* One reference, the caller's. STATUS_IO: a file cannot be read; STATUS_INVALID: no certificate, or not the key's. */
struct http_credentials *http_credentials_share(struct http_credentials *credentials);
/* One more reference. */
void http_credentials_release(struct http_credentials *credentials);
/* NULL is fine. */

void http_credentials_offer(const struct http_credentials *credentials, struct gnutls_session_int *session);
/* Before the session's handshake; the caller keeps its reference until the session has ended. */
bool http_credentials_identify(struct gnutls_session_int *session, char *name, size_t size);
/* After the handshake. true: name has the client's, in lower case: the first DNS name of subjectAltName, or else the
 * common name; "" when no certificate was shown. false: one was shown that does not verify for a client (RFC 5280
 * section 4.2.1.12), or that names none. */

#endif
