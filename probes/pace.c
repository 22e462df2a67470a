#include "probes/pace.h"

#include <assert.h>

#define MARGIN_US 2000 /* timers count in milliseconds: a time-out may end that much late */

int64_t pace_first_us(int64_t now_us, int64_t interval_us, size_t index, size_t count, uint32_t phase) {
  assert(index < count);
  double slot = (double)interval_us / (double)count;
  return now_us + (int64_t)(slot * ((double)index + phase / 4294967296.0));
}

int64_t pace_next_us(int64_t planned_us, int64_t now_us, int64_t interval_us, int64_t timeout_us,
                     struct random *random) {
  int64_t most = interval_us / 10;
  int64_t slack = interval_us - timeout_us - MARGIN_US;
  if (slack < most)
    most = slack > 0 ? slack : 0;
  if (most > UINT32_MAX - 1)
    most = UINT32_MAX - 1;
  int64_t next_us = planned_us + interval_us - random_below(random, (uint32_t)most + 1);
  return next_us > now_us ? next_us : now_us;
}

void lateness_note(struct lateness *lateness, int64_t late_us) {
  if (late_us > lateness->most_us[lateness->second])
    lateness->most_us[lateness->second] = late_us;
}

void lateness_tick(struct lateness *lateness) {
  lateness->second = (lateness->second + 1) % PACE_LATENESS_SECONDS;
  lateness->most_us[lateness->second] = 0;
}

int64_t lateness_most_us(const struct lateness *lateness) {
  int64_t most = 0;
  for (size_t i = 0; i < PACE_LATENESS_SECONDS; i++)
    if (lateness->most_us[i] > most)
      most = lateness->most_us[i];
  return most;
}
