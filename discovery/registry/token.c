#include "discovery/registry/token.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/model/domain.h"

#define PREFIX "gslb_"
#define SECRET_SIZE 32u

struct known {
  uint8_t hash[32];
  char name[64];
};

/* Which name a hash has. Whether the row still stands is asked of the store at each call, so an entry that is out of
 * date refuses, and one that is missing is looked for again when the store has moved on. */
struct tokens {
  struct store *durable;
  pthread_mutex_t lock;
  struct known *known; /* in order of hash */
  size_t count, capacity;
  bool is_read;
  uint64_t read_at; /* the store's transaction before the reading */
};

struct tokens *tokens_new(struct store *durable) {
  struct tokens *tokens = mem_alloc(sizeof *tokens);
  tokens->durable = durable;
  pthread_mutex_init(&tokens->lock, NULL);
  return tokens;
}

void tokens_free(struct tokens *tokens) {
  if (!tokens)
    return;
  pthread_mutex_destroy(&tokens->lock);
  free(tokens->known);
  free(tokens);
}

static void hash_text(const char *text, uint8_t hash[32]) {
  crypto_generichash(hash, 32, (const uint8_t *)text, strlen(text), NULL, 0);
}

void token_make(char text[TOKEN_TEXT_SIZE], uint8_t hash[32]) {
  uint8_t secret[SECRET_SIZE];
  random_secret(secret, sizeof secret);
  memcpy(text, PREFIX, strlen(PREFIX));
  sodium_bin2base64(text + strlen(PREFIX), TOKEN_TEXT_SIZE - strlen(PREFIX), secret, sizeof secret,
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  sodium_memzero(secret, sizeof secret);
  hash_text(text, hash);
}

enum status token_read(const char *text, uint8_t hash[32]) {
  static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  size_t prefix = strlen(PREFIX),
         digits = sodium_base64_ENCODED_LEN(SECRET_SIZE, sodium_base64_VARIANT_URLSAFE_NO_PADDING) - 1;
  if (strncmp(text, PREFIX, prefix) != 0 || strlen(text) != prefix + digits ||
      strspn(text + prefix, characters) != digits)
    return STATUS_INVALID;
  hash_text(text, hash);
  return STATUS_OK;
}

static int compare_hash(const void *a, const void *b) {
  return memcmp(((const struct known *)a)->hash, ((const struct known *)b)->hash, 32);
}

static bool take_name(struct store_bytes key, char name[64]) {
  if (key.size < 1 || key.size >= 64)
    return false;
  memcpy(name, key.data, key.size);
  name[key.size] = '\0';
  return true;
}

static bool note_token(void *context, struct store_bytes key, struct store_bytes value) {
  struct tokens *tokens = context;
  struct token_record record;
  struct known known;
  if (!take_name(key, known.name) || token_decode(value.data, value.size, &record) != STATUS_OK)
    return true;
  memcpy(known.hash, record.hash, sizeof known.hash);
  tokens->known = mem_grow(tokens->known, &tokens->capacity, tokens->count + 1, sizeof *tokens->known);
  tokens->known[tokens->count++] = known;
  return true;
}

/* Under the lock. */
static enum status read_again(struct tokens *tokens, uint64_t newest, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(tokens->durable, false, &txn, err);
  if (status)
    return status;
  tokens->count = 0;
  tokens->is_read = false;
  status = store_scan(txn, STORE_DB_TOKENS, (struct store_bytes){0}, note_token, tokens);
  store_abort(txn);
  if (status)
    return errbuf_set(err, STATUS_IO, "the tokens cannot be read");
  if (tokens->count > 0)
    qsort(tokens->known, tokens->count, sizeof *tokens->known, compare_hash);
  tokens->is_read = true;
  tokens->read_at = newest;
  return STATUS_OK;
}

/* Under the lock. */
static bool find_name(const struct tokens *tokens, const uint8_t hash[32], char name[64]) {
  struct known wanted;
  memcpy(wanted.hash, hash, sizeof wanted.hash);
  const struct known *found =
      tokens->count ? bsearch(&wanted, tokens->known, tokens->count, sizeof wanted, compare_hash) : NULL;
  if (found)
    memcpy(name, found->name, sizeof found->name);
  return found != NULL;
}

static enum status name_of(struct tokens *tokens, const uint8_t hash[32], char name[64], struct errbuf *err) {
  enum status status = STATUS_OK;
  pthread_mutex_lock(&tokens->lock);
  bool is_found = find_name(tokens, hash, name);
  if (!is_found) {
    struct store_info info;
    status = store_info(tokens->durable, &info);
    if (status)
      status = errbuf_set(err, STATUS_IO, "the tokens cannot be read");
    else if (!tokens->is_read || info.last_txn != tokens->read_at)
      status = read_again(tokens, info.last_txn, err);
    is_found = status == STATUS_OK && find_name(tokens, hash, name);
  }
  pthread_mutex_unlock(&tokens->lock);
  if (status)
    return status;
  return is_found ? STATUS_OK : errbuf_set(err, STATUS_FORBIDDEN, "the token is not known");
}

/* The row as it stands now. STATUS_NODATA: gone, or another token has the name. */
static enum status read_row(struct tokens *tokens, const char *name, const uint8_t hash[32],
                            struct token_record *record, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(tokens->durable, false, &txn, err);
  if (status)
    return status;
  struct store_bytes row;
  status = store_get(txn, STORE_DB_TOKENS, (struct store_bytes){name, strlen(name)}, &row);
  if (status == STATUS_OK)
    status = token_decode(row.data, row.size, record);
  store_abort(txn);
  if (status == STATUS_NODATA || (status == STATUS_OK && sodium_memcmp(record->hash, hash, sizeof record->hash) != 0))
    return STATUS_NODATA;
  return status ? errbuf_set(err, STATUS_IO, "the token cannot be read: %s", status_name(status)) : STATUS_OK;
}

/* A token that got another name, or a name another token, is found after the names were read again. */
static void forget_names(struct tokens *tokens) {
  pthread_mutex_lock(&tokens->lock);
  tokens->is_read = false;
  tokens->count = 0;
  pthread_mutex_unlock(&tokens->lock);
}

enum status tokens_recognise(struct tokens *tokens, const char *text, int64_t now_ms, struct principal *out,
                             struct errbuf *err) {
  if (!tokens->durable || strncmp(text, PREFIX, strlen(PREFIX)) != 0 || strlen(text) >= TOKEN_TEXT_SIZE)
    return errbuf_set(err, STATUS_FORBIDDEN, "the token is not known");
  uint8_t hash[32];
  hash_text(text, hash);
  char name[64];
  struct token_record record;
  enum status status = STATUS_NODATA;
  for (int i = 0; i < 2 && status == STATUS_NODATA; i++) {
    status = name_of(tokens, hash, name, err);
    if (status == STATUS_OK)
      status = read_row(tokens, name, hash, &record, err);
    if (status == STATUS_NODATA)
      forget_names(tokens);
  }
  if (status == STATUS_NODATA)
    return errbuf_set(err, STATUS_FORBIDDEN, "the token is not known");
  if (status)
    return status;
  if (record.until_ms && now_ms >= record.until_ms)
    return errbuf_set(err, STATUS_FORBIDDEN, "the time of the token is over");
  out->kind = PRINCIPAL_TOKEN;
  memcpy(out->name, name, sizeof name);
  out->may_admin = record.is_admin;
  out->may_read = record.may_read || record.is_admin;
  out->token = record;
  return STATUS_OK;
}

enum status token_put(struct store_txn *txn, const char *name, const struct token_record *record, struct errbuf *err) {
  char label[DOMAIN_LABEL_MOST + 1];
  struct errbuf why;
  if (domain_read_host_label(name, label, &why) != STATUS_OK)
    return errbuf_set(err, STATUS_INVALID, "the name of a token %s", why.text);
  if (strcmp(name, label) != 0)
    return errbuf_set(err, STATUS_INVALID, "the name of a token must be in lower case");
  if (strcmp(name, PRINCIPAL_OPERATOR_OWNER) == 0)
    return errbuf_set(err, STATUS_INVALID, "a token cannot be called \"%s\"", name);
  struct store_bytes key = {name, strlen(name)}, found;
  enum status status = store_get(txn, STORE_DB_TOKENS, key, &found);
  if (status == STATUS_OK)
    return errbuf_set(err, STATUS_CONFLICT, "there is a token \"%s\" already", name);
  if (status != STATUS_NODATA)
    return errbuf_set(err, status, "the tokens cannot be read");
  size_t size;
  uint8_t *row = token_encode(record, &size);
  status = store_put(txn, STORE_DB_TOKENS, key, (struct store_bytes){row, size}, err);
  free(row);
  return status;
}

enum status token_delete(struct store_txn *txn, const char *name, struct errbuf *err) {
  size_t size = strlen(name);
  enum status status =
      size > 0 && size < 64 ? store_delete(txn, STORE_DB_TOKENS, (struct store_bytes){name, size}, err) : STATUS_NODATA;
  return status == STATUS_NODATA ? errbuf_set(err, STATUS_NOTFOUND, "there is no token \"%.64s\"", name) : status;
}

struct listing {
  tokens_visit *visit;
  void *context;
};

static bool list_token(void *context, struct store_bytes key, struct store_bytes value) {
  const struct listing *listing = context;
  struct token_record record;
  char name[64];
  if (!take_name(key, name) || token_decode(value.data, value.size, &record) != STATUS_OK)
    return true;
  return listing->visit(listing->context, name, &record);
}

enum status tokens_each(struct store *durable, tokens_visit *visit, void *context, struct errbuf *err) {
  if (!durable)
    return errbuf_set(err, STATUS_IO, "the durable store is not open");
  struct store_txn *txn;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  struct listing listing = {visit, context};
  status = store_scan(txn, STORE_DB_TOKENS, (struct store_bytes){0}, list_token, &listing);
  store_abort(txn);
  return status ? errbuf_set(err, STATUS_IO, "the tokens cannot be read") : STATUS_OK;
}
