#include "gslb/decide/votes.h"

#include <stdbool.h>
#include <stdlib.h>

struct sums {
  uint64_t passing, unknown;
};

static struct sums sum_up(const struct vote *votes, size_t count) {
  struct sums sums = {0};
  for (size_t i = 0; i < count; i++) {
    if (votes[i].state == HEALTH_UP)
      sums.passing += votes[i].weight;
    else if (votes[i].state == HEALTH_UNKNOWN)
      sums.unknown += votes[i].weight;
  }
  return sums;
}

static enum health state_of(struct sums sums, uint64_t threshold) {
  if (sums.passing >= threshold)
    return HEALTH_UP;
  return sums.passing + sums.unknown >= threshold ? HEALTH_UNKNOWN : HEALTH_DOWN;
}

enum health votes_state(const struct vote *votes, size_t count, uint64_t threshold) {
  return state_of(sum_up(votes, count), threshold);
}

static int compare_changes(const void *a, const void *b) {
  const struct vote *one = a, *other = b;
  return (one->change_in_ms > other->change_in_ms) - (one->change_in_ms < other->change_in_ms);
}

int64_t votes_change_in_ms(struct vote *votes, size_t count, uint64_t threshold) {
  struct sums sums = sum_up(votes, count);
  enum health state = state_of(sums, threshold);
  if (count > 1)
    qsort(votes, count, sizeof *votes, compare_changes);
  for (size_t i = 0; i < count && votes[i].change_in_ms < INT64_MAX; i++) {
    bool is_passing = votes[i].state == HEALTH_UP;
    if (votes[i].weight == 0)
      continue;
    if (state == HEALTH_UNKNOWN)
      return votes[i].change_in_ms;
    if (state == HEALTH_UP && is_passing)
      sums.passing -= votes[i].weight;
    else if (state == HEALTH_DOWN && !is_passing && votes[i].state != HEALTH_UNKNOWN)
      sums.passing += votes[i].weight;
    if (state_of(sums, threshold) != state)
      return votes[i].change_in_ms;
  }
  return INT64_MAX;
}
