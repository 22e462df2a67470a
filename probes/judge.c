#include "probes/judge.h"

#include <assert.h>
#include <stdio.h>

static void take_rtt(struct health_record *record, uint32_t rtt_us) {
  record->rtt_us = rtt_us ? rtt_us : 1;
  int64_t mean = record->rtt_mean_us ? record->rtt_mean_us : record->rtt_us;
  mean += ((int64_t)record->rtt_us - mean) / 8;
  record->rtt_mean_us = mean > 0 ? (uint32_t)mean : 1;
}

static void count_result(struct health_record *record, const struct probe_result *result, int64_t now_ms) {
  bool passed = result->reason == PROBE_PASSED;
  record->last_passed = passed;
  record->last_ms = now_ms;
  snprintf(record->reason, sizeof record->reason, "%s", result->text);
  if (passed) {
    record->passed++;
    record->last_good_ms = now_ms;
    take_rtt(record, result->rtt_us);
  } else {
    record->failed++;
  }
}

enum judge_news judge_result(struct health_record *record, const struct probe_result *result, int64_t now_ms,
                             uint32_t rise, uint32_t fall) {
  assert(result->reason != PROBE_NOT_MADE && rise > 0 && fall > 0);
  bool passed = result->reason == PROBE_PASSED;
  bool was_near = record->streak > 0;
  enum health reached = passed ? HEALTH_UP : HEALTH_DOWN;
  uint32_t needed = passed ? rise : fall;
  if ((record->state == HEALTH_UNKNOWN || record->last_ms == 0) && passed)
    needed = 1;

  count_result(record, result, now_ms);
  bool contradicts = record->state != reached;
  if (!contradicts)
    record->streak = 0;
  else if (record->streak < UINT16_MAX)
    record->streak++;
  /* a streak at its ceiling counts as long enough for any number needed */
  if (contradicts && (record->streak >= needed || record->streak == UINT16_MAX)) {
    record->state = reached;
    record->since_ms = now_ms;
    record->streak = 0;
    return JUDGE_STATE;
  }
  return was_near == (record->streak > 0) ? JUDGE_ROUTINE : JUDGE_NEARNESS;
}
