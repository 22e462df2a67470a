/* discovery/documents/notice.h
 * Notices: the balancer tells resources that it goes away (or that they should do something), at their notice URL, in
 * the answers to their renewals, and on the feed. A notice is a JSON document (docs/api.md), signed with the key that
 * its resource was given when it registered: header "Gslb-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of
 * \"<t>.<body>\">", after the scheme that web hooks commonly use. */
#ifndef GSLB_DISCOVERY_DOCUMENTS_NOTICE_H
#define GSLB_DISCOVERY_DOCUMENTS_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"

#define NOTICE_KEY_SIZE 65u        /* 64 hex digits and the end */
#define NOTICE_SIGNATURE_SIZE 128u /* header value and the end */
#define NOTICE_AGE_MOST_S 300      /* older ones are refused, so that none is played again for long */

void notice_make_key(char key[NOTICE_KEY_SIZE]);
void notice_sign(const char *key, int64_t unix_s, const char *body, size_t size, char header[NOTICE_SIGNATURE_SIZE]);
enum status notice_verify(const char *key, int64_t now_unix_s, const char *header, const char *body, size_t size,
                          struct errbuf *err);
/* STATUS_FORBIDDEN: not ours, altered, or too old. Compares in constant time. */

#endif
