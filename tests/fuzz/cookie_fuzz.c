/* Any bytes as a client's address, our clock, and a cookie: it is valid only when cookie_make would have made the very
 * same at the time that it names, by one of the secrets, and not when any bit of it is changed.
 * Input: whether IPv6, 16 bytes of address, 4 of time, then the cookie. */
#include "zones/message/cookie.h"

#include <stdlib.h>
#include <string.h>

#include "zones/message/wire.h"

#define HEAD_SIZE 21u
#define TIME_AT (COOKIE_CLIENT_SIZE + 4u)

static const struct cookie_secrets secrets = {.count = 2, .secrets = {"fuzz: current...", "fuzz: previous.."}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
  if (!holds)
    abort();
}

/* Each secret in turn as the current one. */
static bool was_made_by_us(const uint8_t *cookie, const struct addr *from) {
  for (size_t i = 0; i < secrets.count; i++) {
    struct cookie_secrets one = {.count = 1};
    memcpy(one.secrets[0], secrets.secrets[i], COOKIE_SECRET_SIZE);
    uint8_t again[COOKIE_SIZE];
    cookie_make(&one, cookie, from, wire_get_u32(cookie + TIME_AT), again);
    if (memcmp(again, cookie, COOKIE_SIZE) == 0)
      return true;
  }
  return false;
}

static void check_ours(const uint8_t client[COOKIE_CLIENT_SIZE], const struct addr *from, uint32_t now_s,
                       unsigned bit) {
  uint8_t cookie[COOKIE_SIZE];
  cookie_make(&secrets, client, from, now_s, cookie);
  check(cookie_is_valid(&secrets, cookie, sizeof cookie, from, now_s));
  check(!cookie_is_valid(&secrets, cookie, sizeof cookie, from, now_s + 3601));
  check(!cookie_is_valid(&secrets, cookie, sizeof cookie, from, now_s - 301));
  struct addr other = *from;
  other.bytes[bit % addr_length(from)] ^= 1;
  check(!cookie_is_valid(&secrets, cookie, sizeof cookie, &other, now_s));
  cookie[bit / 8 % sizeof cookie] ^= (uint8_t)(1u << bit % 8);
  check(!cookie_is_valid(&secrets, cookie, sizeof cookie, from, now_s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < HEAD_SIZE)
    return 0;
  struct addr from = {.family = data[0] & 1 ? 6 : 4};
  memcpy(from.bytes, data + 1, addr_length(&from));
  uint32_t now_s = wire_get_u32(data + 17);
  const uint8_t *cookie = data + HEAD_SIZE;
  size -= HEAD_SIZE;
  if (cookie_is_valid(&secrets, cookie, size, &from, now_s))
    check(size == COOKIE_SIZE && was_made_by_us(cookie, &from));
  if (size >= COOKIE_CLIENT_SIZE)
    check_ours(cookie, &from, now_s, data[0] | (unsigned)data[HEAD_SIZE] << 8);
  return 0;
}
