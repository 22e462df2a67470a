/* zones/message/cookie.h
 * DNS cookies (RFC 7873) in the interoperable form of RFC 9018: SipHash-2-4 over the client's cookie, version, time and
 * address. The secrets are shared by all processes on the board; the current one makes cookies, all are accepted. No
 * allocation; any thread. */
#ifndef GSLB_ZONES_MESSAGE_COOKIE_H
#define GSLB_ZONES_MESSAGE_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

#define COOKIE_CLIENT_SIZE 8u
#define COOKIE_SERVER_SIZE 16u
#define COOKIE_SIZE (COOKIE_CLIENT_SIZE + COOKIE_SERVER_SIZE)
#define COOKIE_SECRET_SIZE 16u
#define COOKIE_SECRETS_MOST 4u

struct cookie_secrets {
  uint8_t count;                                            /* 0: cookies are off */
  uint8_t secrets[COOKIE_SECRETS_MOST][COOKIE_SECRET_SIZE]; /* the current one first */
};

void cookie_make(const struct cookie_secrets *secrets, const uint8_t client[COOKIE_CLIENT_SIZE],
                 const struct addr *from, uint32_t now_s, uint8_t out[COOKIE_SIZE]);
/* now_s: Unix time modulo 2^32. */

bool cookie_is_valid(const struct cookie_secrets *secrets, const uint8_t *cookie, size_t size, const struct addr *from,
                     uint32_t now_s);
/* A server cookie that we made for this client within the last hour, or up to five minutes ahead of our clock (RFC 9018
 * section 4.3). */

enum status cookie_read_secrets(const char *path, struct cookie_secrets *out, struct errbuf *err);
/* A file of one secret a line as 32 hexadecimal digits, at most COOKIE_SECRETS_MOST; blank lines and lines that begin
 * with # are passed over. STATUS_INVALID with file and line, STATUS_IO. */

#endif
