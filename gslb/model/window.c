#include "gslb/model/window.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

static uint32_t place(const struct window *window, uint32_t i) {
  return (window->first + i) % WINDOW_SAMPLES;
}

/* Takes the i-th sample out. */
static void take_out(struct window *window, uint32_t i) {
  for (; i + 1 < window->count; i++) {
    uint32_t to = place(window, i), from = place(window, i + 1);
    window->at_ms[to] = window->at_ms[from];
    window->values[to] = window->values[from];
  }
  window->count--;
}

/* The sample whose neighbours are nearest to each other is missed least; the two ends stay, which the rate needs. */
static void thin_out(struct window *window) {
  uint32_t least = 1;
  int64_t least_gap = INT64_MAX;
  for (uint32_t i = 1; i + 1 < window->count; i++) {
    int64_t gap = window->at_ms[place(window, i + 1)] - window->at_ms[place(window, i - 1)];
    if (gap < least_gap) {
      least_gap = gap;
      least = i;
    }
  }
  take_out(window, least);
}

void window_add(struct window *window, int64_t at_ms, double value, int64_t span_ms) {
  if (window->count) {
    uint32_t newest = place(window, window->count - 1);
    if (at_ms < window->at_ms[newest])
      return;
    if (at_ms == window->at_ms[newest])
      window->count--;
  }
  while (window->count && window->at_ms[window->first] < at_ms - span_ms) {
    window->first = place(window, 1);
    window->count--;
  }
  if (window->count == WINDOW_SAMPLES)
    thin_out(window);
  uint32_t at = place(window, window->count++);
  window->at_ms[at] = at_ms;
  window->values[at] = value;
}

static int compare_values(const void *left, const void *right) {
  const double *a = left, *b = right;
  return *a < *b ? -1 : *a > *b;
}

static double nearest_rank(const struct window *window, uint32_t percent) {
  double sorted[WINDOW_SAMPLES] = {0};
  for (uint32_t i = 0; i < window->count; i++)
    sorted[i] = window->values[place(window, i)];
  qsort(sorted, window->count, sizeof *sorted, compare_values);
  return sorted[(window->count * percent + 99) / 100 - 1];
}

void window_views(const struct window *window, struct window_views *out) {
  assert(window->count > 0);
  uint32_t newest = place(window, window->count - 1);
  double last = window->values[newest], peak = last, area = 0, growth = 0;
  for (uint32_t i = 0; i + 1 < window->count; i++) {
    uint32_t here = place(window, i), next = place(window, i + 1);
    double value = window->values[here], after = window->values[next];
    peak = value > peak ? value : peak;
    area += value * (double)(window->at_ms[next] - window->at_ms[here]);
    growth += after >= value ? after - value : after;
  }
  double span_ms = (double)(window->at_ms[newest] - window->at_ms[window->first]);
  bool is_alone = window->count == 1;
  *out = (struct window_views){
      .last = last,
      .mean = is_alone ? last : area / span_ms,
      .peak = peak,
      .p95 = nearest_rank(window, 95),
      .rate = is_alone ? 0 : growth * 1000 / span_ms,
  };
}
