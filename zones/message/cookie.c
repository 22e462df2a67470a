#include "zones/message/cookie.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "zones/message/wire.h"

/* The server's part (RFC 9018 section 4): version, three reserved bytes, time, hash. */
#define VERSION 1u
#define TIME_AT (COOKIE_CLIENT_SIZE + 4u)
#define HASH_AT (COOKIE_CLIENT_SIZE + 8u)
#define HASH_SIZE (COOKIE_SIZE - HASH_AT)

#define AGE_MOST_S 3600
#define AHEAD_MOST_S 300

_Static_assert(HASH_SIZE == crypto_shorthash_siphash24_BYTES, "the hash fills the cookie");
_Static_assert(COOKIE_SECRET_SIZE == crypto_shorthash_siphash24_KEYBYTES, "a secret is a key");

/* cookie: the HASH_AT bytes before the hash, reserved bytes as they are (RFC 9018 section 4.2 and appendix A.3). */
static void hash_cookie(const uint8_t secret[COOKIE_SECRET_SIZE], const uint8_t *cookie, const struct addr *from,
                        uint8_t out[HASH_SIZE]) {
  uint8_t input[HASH_AT + sizeof from->bytes];
  size_t length = addr_length(from);
  memcpy(input, cookie, HASH_AT);
  memcpy(input + HASH_AT, from->bytes, length);
  crypto_shorthash_siphash24(out, input, HASH_AT + length, secret);
}

void cookie_make(const struct cookie_secrets *secrets, const uint8_t client[COOKIE_CLIENT_SIZE],
                 const struct addr *from, uint32_t now_s, uint8_t out[COOKIE_SIZE]) {
  assert(secrets->count > 0 && secrets->count <= COOKIE_SECRETS_MOST);
  uint8_t cookie[COOKIE_SIZE] = {0};
  memcpy(cookie, client, COOKIE_CLIENT_SIZE);
  cookie[COOKIE_CLIENT_SIZE] = VERSION;
  wire_set_u32(cookie + TIME_AT, now_s);
  hash_cookie(secrets->secrets[0], cookie, from, cookie + HASH_AT);
  memcpy(out, cookie, COOKIE_SIZE);
}

bool cookie_is_valid(const struct cookie_secrets *secrets, const uint8_t *cookie, size_t size, const struct addr *from,
                     uint32_t now_s) {
  assert(secrets->count <= COOKIE_SECRETS_MOST);
  if (size != COOKIE_SIZE || cookie[COOKIE_CLIENT_SIZE] != VERSION)
    return false;
  /* serial number arithmetic (RFC 1982), so that 2106 passes unnoticed */
  int32_t age_s = (int32_t)(now_s - wire_get_u32(cookie + TIME_AT));
  if (age_s > AGE_MOST_S || age_s < -AHEAD_MOST_S)
    return false;
  for (size_t i = 0; i < secrets->count; i++) {
    uint8_t hash[HASH_SIZE];
    hash_cookie(secrets->secrets[i], cookie, from, hash);
    if (sodium_memcmp(hash, cookie + HASH_AT, HASH_SIZE) == 0)
      return true;
  }
  return false;
}

/* line: without the white space at its end. */
static enum status add_secret(struct cookie_secrets *secrets, const char *line, size_t length, struct errbuf *err) {
  uint8_t secret[COOKIE_SECRET_SIZE];
  if (length != 2 * sizeof secret || sodium_hex2bin(secret, sizeof secret, line, length, NULL, NULL, NULL) != 0)
    return errbuf_set(err, STATUS_INVALID, "not %zu hexadecimal digits", 2 * sizeof secret);
  if (secrets->count == COOKIE_SECRETS_MOST)
    return errbuf_set(err, STATUS_INVALID, "more than %u secrets", COOKIE_SECRETS_MOST);
  memcpy(secrets->secrets[secrets->count++], secret, sizeof secret);
  return STATUS_OK;
}

static enum status read_lines(FILE *file, struct cookie_secrets *secrets, struct errbuf *err) {
  enum status status = STATUS_OK;
  char *line = NULL;
  size_t room = 0;
  ssize_t length;
  for (unsigned number = 1; status == STATUS_OK && (length = getline(&line, &room, file)) >= 0; number++) {
    while (length && strchr(" \t\r\n", line[length - 1]))
      length--;
    if (length == 0 || line[0] == '#')
      continue;
    status = add_secret(secrets, line, (size_t)length, err);
    if (status != STATUS_OK)
      errbuf_prefix(err, status, "line %u: ", number);
  }
  if (status == STATUS_OK && ferror(file))
    status = errbuf_set(err, STATUS_IO, "%s", strerror(errno));
  if (line)
    sodium_memzero(line, room);
  free(line);
  return status;
}

enum status cookie_read_secrets(const char *path, struct cookie_secrets *out, struct errbuf *err) {
  FILE *file = fopen(path, "re");
  if (!file)
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  struct cookie_secrets secrets = {0};
  enum status status = read_lines(file, &secrets, err);
  fclose(file);
  if (status == STATUS_OK && secrets.count == 0)
    status = errbuf_set(err, STATUS_INVALID, "no secret in it");
  if (status != STATUS_OK)
    return errbuf_prefix(err, status, "%s: ", path);
  *out = secrets;
  return STATUS_OK;
}
