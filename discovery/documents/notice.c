#include "discovery/documents/notice.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "gslb/base/random.h"

#define MAC_SIZE 32u

static void write_hex(const uint8_t *bytes, size_t size, char *hex) {
  gnutls_datum_t datum = {(uint8_t *)(uintptr_t)bytes, (unsigned)size};
  size_t room = 2 * size + 1;
  if (gnutls_hex_encode(&datum, hex, &room) != 0)
    abort(); /* the room is as large as it says */
}

void notice_make_key(char key[NOTICE_KEY_SIZE]) {
  uint8_t secret[(NOTICE_KEY_SIZE - 1) / 2];
  random_secret(secret, sizeof secret);
  write_hex(secret, sizeof secret, key);
  gnutls_memset(secret, 0, sizeof secret);
}

/* HMAC-SHA256 of "<t>.<body>" with the key's text, as resources hold it, in hex. */
static void make_mac(const char *key, int64_t unix_s, const char *body, size_t size, char hex[2 * MAC_SIZE + 1]) {
  char time[24];
  int time_size = snprintf(time, sizeof time, "%" PRId64 ".", unix_s);
  uint8_t mac[MAC_SIZE];
  gnutls_hmac_hd_t hmac;
  if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, key, strlen(key)) != 0 ||
      gnutls_hmac(hmac, time, (size_t)time_size) != 0 || (size > 0 && gnutls_hmac(hmac, body, size) != 0))
    abort(); /* only memory can be lacking */
  gnutls_hmac_deinit(hmac, mac);
  write_hex(mac, sizeof mac, hex);
}

void notice_sign(const char *key, int64_t unix_s, const char *body, size_t size, char header[NOTICE_SIGNATURE_SIZE]) {
  char hex[2 * MAC_SIZE + 1];
  make_mac(key, unix_s, body, size, hex);
  snprintf(header, NOTICE_SIGNATURE_SIZE, "t=%" PRId64 ",v1=%s", unix_s, hex);
}

/* "t=<digits>,v1=<hex>", nothing else. */
static bool split_header(const char *header, int64_t *unix_s, const char **hex) {
  if (strncmp(header, "t=", 2) != 0)
    return false;
  const char *at = header + 2;
  int64_t value = 0;
  size_t digits = strspn(at, "0123456789");
  if (digits < 1 || digits > 15 || strncmp(at + digits, ",v1=", 4) != 0)
    return false;
  for (size_t i = 0; i < digits; i++)
    value = value * 10 + (at[i] - '0');
  *unix_s = value;
  *hex = at + digits + 4;
  return strlen(*hex) == 2 * (size_t)MAC_SIZE;
}

enum status notice_verify(const char *key, int64_t now_unix_s, const char *header, const char *body, size_t size,
                          struct errbuf *err) {
  int64_t unix_s;
  const char *given;
  if (!split_header(header, &unix_s, &given))
    return errbuf_set(err, STATUS_FORBIDDEN, "the signature is not of the form t=<seconds>,v1=<hex>");
  char wanted[2 * MAC_SIZE + 1];
  make_mac(key, unix_s, body, size, wanted);
  if (gnutls_memcmp(wanted, given, 2 * MAC_SIZE) != 0)
    return errbuf_set(err, STATUS_FORBIDDEN, "the signature does not fit the notice");
  int64_t age_s = now_unix_s - unix_s;
  if (age_s > NOTICE_AGE_MOST_S || age_s < -NOTICE_AGE_MOST_S)
    return errbuf_set(err, STATUS_FORBIDDEN, "the notice was signed %" PRId64 " s %s", age_s < 0 ? -age_s : age_s,
                      age_s < 0 ? "in the future" : "ago");
  return STATUS_OK;
}
