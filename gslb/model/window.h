/* gslb/model/window.h
 * The last samples of one figure within a span of time: mean, peak, 95th percentile and rate. A ring of fixed size;
 * when more samples come than it holds, neighbours are thinned out evenly. Pure: time comes in. One thread. */
#ifndef GSLB_MODEL_WINDOW_H
#define GSLB_MODEL_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define WINDOW_SAMPLES 48u

struct window { /* zero-initialised is empty */
  int64_t at_ms[WINDOW_SAMPLES];
  double values[WINDOW_SAMPLES];
  uint32_t first, count;
};

void window_add(struct window *window, int64_t at_ms, double value, int64_t span_ms);
/* Drops what is older than span_ms. A second sample of the same time takes the place of the first; one that is older
 * than the newest is left out. */

struct window_views {
  double last, mean, peak, p95;
  double rate; /* growth a second from the oldest to the newest sample; 0 with one alone; a fall counts as a restart of
                * the counter, whose growth is the new value */
};
void window_views(const struct window *window, struct window_views *out);
/* With at least one sample. Mean by time (each sample holds until the next; one alone is itself); p95: nearest rank. */

#endif
