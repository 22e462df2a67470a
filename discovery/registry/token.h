/* discovery/registry/token.h
 * Bearer tokens: made, stored as a hash alone, recognised, revoked. Reading goes through a cache that follows the
 * store's transactions, so a revoked token is refused at the next call. Threads: any. */
#ifndef GSLB_DISCOVERY_REGISTRY_TOKEN_H
#define GSLB_DISCOVERY_REGISTRY_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/registry/principal.h"
#include "gslb/base/status.h"
#include "gslb/model/registration.h"
#include "gslb/model/store.h"

#define TOKEN_TEXT_SIZE 56u /* "gslb_" and 43 characters of base64url (256 bits), and the end */

struct tokens;

struct tokens *tokens_new(struct store *durable);
/* Borrows durable, which may be NULL: then every token is unknown. */
void tokens_free(struct tokens *tokens);

void token_make(char text[TOKEN_TEXT_SIZE], uint8_t hash[32]);
/* From the kernel's randomness. */

enum status token_read(const char *text, uint8_t hash[32]);
/* The hash of a token that another balancer made. STATUS_INVALID: it has not the form of one; hash untouched. */

enum status tokens_recognise(struct tokens *tokens, const char *text, int64_t now_ms, struct principal *out,
                             struct errbuf *err);
/* Fills kind, name, may_admin, may_read and token. STATUS_FORBIDDEN: unknown, or its time is over (err says which);
 * STATUS_IO: the store cannot be read. The time that it takes does not tell how much of a token was right. */

enum status token_put(struct store_txn *txn, const char *name, const struct token_record *record, struct errbuf *err);
/* Inside a committer's transaction. The name is a lower-case host label other than "operator" (STATUS_INVALID).
 * STATUS_CONFLICT: there is one of this name. */
enum status token_delete(struct store_txn *txn, const char *name, struct errbuf *err);
/* STATUS_NOTFOUND. Registrations that it made stay, with their leases. */

typedef bool tokens_visit(void *context, const char *name, const struct token_record *record);
enum status tokens_each(struct store *durable, tokens_visit *visit, void *context, struct errbuf *err);
/* In order of names; the visitor copies and returns soon whether to go on. */

#endif
