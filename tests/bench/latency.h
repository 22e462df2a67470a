/* tests/bench/latency.h
 * A histogram of times, each kept to within 1/32 of its size. Not for several threads. */
#pragma once
#include <stdint.h>

#define LATENCY_STEPS 32u
#define LATENCY_OCTAVES 40u

struct latency {
  uint64_t count;
  uint64_t in[LATENCY_OCTAVES * LATENCY_STEPS];
  int64_t most_ns;
};

void latency_add(struct latency *latency, int64_t ns);
/* A negative time counts as none. */

void latency_fold(struct latency *sum, const struct latency *part);

void latency_print(const struct latency *latency);
/* Writes "p50_us":…,"p99_us":…,"p999_us":…,"max_us":…,"tail":[[us,count],…] to standard output: upper bounds of what
 * was kept, and at the end those of the 64 longest times or more. */
