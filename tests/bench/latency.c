#include "tests/bench/latency.h"

#include <stdio.h>

#define LATENCY_TAIL 64u

static unsigned index_of(uint64_t ns) {
  if (ns < LATENCY_STEPS)
    return (unsigned)ns;
  unsigned octave = 63u - (unsigned)__builtin_clzll(ns) - 4u; /* 2^5 steps: from 1 */
  unsigned index = octave * LATENCY_STEPS + (unsigned)(ns >> (octave - 1)) - LATENCY_STEPS;
  unsigned most = LATENCY_OCTAVES * LATENCY_STEPS - 1;
  return index < most ? index : most;
}

static double end_of(unsigned index) {
  unsigned octave = index / LATENCY_STEPS, step = index % LATENCY_STEPS;
  return octave == 0 ? step + 1 : (double)((uint64_t)(LATENCY_STEPS + step + 1) << (octave - 1));
}

void latency_add(struct latency *latency, int64_t ns) {
  if (ns < 0)
    ns = 0;
  if (ns > latency->most_ns)
    latency->most_ns = ns;
  latency->in[index_of((uint64_t)ns)]++;
  latency->count++;
}

void latency_fold(struct latency *sum, const struct latency *part) {
  for (unsigned i = 0; i < LATENCY_OCTAVES * LATENCY_STEPS; i++)
    sum->in[i] += part->in[i];
  sum->count += part->count;
  if (part->most_ns > sum->most_ns)
    sum->most_ns = part->most_ns;
}

static double share_us(const struct latency *latency, double share) {
  uint64_t wanted = (uint64_t)((double)latency->count * share), seen = 0;
  for (unsigned i = 0; i < LATENCY_OCTAVES * LATENCY_STEPS; i++)
    if ((seen += latency->in[i]) > wanted)
      return end_of(i) < (double)latency->most_ns ? end_of(i) / 1000 : (double)latency->most_ns / 1000;
  return (double)latency->most_ns / 1000;
}

/* The longest ones, so that those of several histograms can be put together. */
static void print_tail(const struct latency *latency) {
  const char *comma = "";
  uint64_t printed = 0;
  printf(",\"tail\":[");
  for (unsigned i = LATENCY_OCTAVES * LATENCY_STEPS; i-- > 0 && printed < LATENCY_TAIL;) {
    if (!latency->in[i])
      continue;
    printf("%s[%.1f,%llu]", comma, end_of(i) / 1000, (unsigned long long)latency->in[i]);
    printed += latency->in[i];
    comma = ",";
  }
  printf("]");
}

void latency_print(const struct latency *latency) {
  printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f", share_us(latency, 0.5),
         share_us(latency, 0.99), share_us(latency, 0.999), (double)latency->most_ns / 1000);
  print_tail(latency);
}
