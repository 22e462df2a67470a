/* gslb/model/domain.h
 * Domain names in the configuration: text without escapes, kept in lower case without the last dot ("." is the root).
 * Pure; any thread. */
#ifndef GSLB_MODEL_DOMAIN_H
#define GSLB_MODEL_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/status.h"

#define DOMAIN_TEXT_MOST 253u
#define DOMAIN_TEXT_SIZE (DOMAIN_TEXT_MOST + 1u)
#define DOMAIN_LABEL_MOST 63u

enum domain_allowance { DOMAIN_ROOT = 1, DOMAIN_WILDCARD = 2 };

enum status domain_read(const char *text, unsigned allowed, char out[DOMAIN_TEXT_SIZE], struct errbuf *err);
/* Checks (labels of 1 to 63 printable characters without blanks and backslashes, 253 in all; "*" alone only as the
 * first label and only with DOMAIN_WILDCARD; "." only with DOMAIN_ROOT) and stores the kept form. STATUS_INVALID with a
 * text that continues the name; out untouched. */

enum status domain_read_host_label(const char *text, char out[DOMAIN_LABEL_MOST + 1], struct errbuf *err);
/* One label of letters, digits, "-" and "_", neither first nor last a "-"; lower-cased. STATUS_INVALID likewise. */

bool domain_is_service_type(const char *text);
/* "_service._proto": two labels, each "_" and then letters, digits and inner "-", the first at most 16 characters
 * (RFC 6335 section 5.1). */

const char *domain_parent(const char *name);
/* What follows the first label of a kept name; "." after the last label; NULL for ".". Borrowed from name. */

#endif
