#include "zones/secondary/refresh.h"

#define ABSENT_SHIFT_MOST 6u

static int64_t period_ms(uint32_t seconds) {
  return seconds ? (int64_t)seconds * 1000 : REFRESH_UNSET_MS;
}

/* An expiry before the first retry would end a zone at a single lost packet. */
static int64_t expire_ms(const struct soa *soa) {
  int64_t least = period_ms(soa->refresh_s) + period_ms(soa->retry_s);
  int64_t wanted = (int64_t)soa->expire_s * 1000;
  return wanted < least ? least : wanted;
}

void refresh_init(struct refresh *refresh) {
  *refresh = (struct refresh){.expire_ms = REFRESH_NEVER};
}

void refresh_load(struct refresh *refresh, const struct soa *soa, int64_t refreshed_ms, int64_t now_ms) {
  refresh->has_copy = true;
  refresh->soa = *soa;
  refresh->refreshed_ms = refreshed_ms > now_ms ? now_ms : refreshed_ms;
  refresh->expire_ms = refresh->refreshed_ms + expire_ms(soa);
  refresh->next_ms = now_ms;
}

void refresh_begin(struct refresh *refresh, int64_t now_ms) {
  refresh->tried_ms = now_ms;
  refresh->next_ms = REFRESH_NEVER; /* until it ends, unless a NOTIFY comes */
}

/* A NOTIFY that came while a check ran makes another one follow. */
static void plan(struct refresh *refresh, int64_t at_ms) {
  if (at_ms < refresh->next_ms)
    refresh->next_ms = at_ms;
}

void refresh_succeed(struct refresh *refresh, const struct soa *soa, int64_t now_ms, uint32_t jitter) {
  int64_t period = period_ms(soa->refresh_s);
  refresh->has_copy = true;
  refresh->soa = *soa;
  refresh->refreshed_ms = now_ms;
  refresh->expire_ms = now_ms + expire_ms(soa);
  refresh->failures = 0;
  plan(refresh, now_ms + period - (int64_t)((uint64_t)(period / 8) * jitter >> 32));
}

void refresh_fail(struct refresh *refresh, int64_t now_ms) {
  int64_t wait_ms;
  if (refresh->has_copy) {
    wait_ms = period_ms(refresh->soa.retry_s);
  } else {
    uint32_t shift = refresh->failures < ABSENT_SHIFT_MOST ? refresh->failures : ABSENT_SHIFT_MOST;
    wait_ms = (int64_t)REFRESH_LEAST_MS << shift;
    if (wait_ms > REFRESH_ABSENT_MOST_MS)
      wait_ms = REFRESH_ABSENT_MOST_MS;
  }
  if (refresh->failures < UINT32_MAX)
    refresh->failures++;
  plan(refresh, now_ms + wait_ms);
}

void refresh_hurry(struct refresh *refresh, int64_t now_ms) {
  int64_t at_ms = now_ms;
  if (refresh->tried_ms && now_ms - refresh->tried_ms < REFRESH_LEAST_MS)
    at_ms = refresh->tried_ms + REFRESH_LEAST_MS;
  plan(refresh, at_ms);
}

bool refresh_has_expired(const struct refresh *refresh, int64_t now_ms) {
  return refresh->has_copy && now_ms >= refresh->expire_ms;
}

void refresh_expire(struct refresh *refresh) {
  refresh->has_copy = false;
  refresh->expire_ms = REFRESH_NEVER;
  refresh->failures = 0;
}
