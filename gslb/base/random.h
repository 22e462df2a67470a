/* gslb/base/random.h
 * A small fast generator (xoshiro256**, Blackman and Vigna) for choices and jitter, one state a thread. Not for
 * secrets: those come from getrandom by random_secret. */
#ifndef GSLB_BASE_RANDOM_H
#define GSLB_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
  uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);
/* The same seed gives the same sequence (splitmix64 fills the state). */
void random_seed_system(struct random *random);
uint64_t random_next(struct random *random);
/* 64 uniform bits. */
uint32_t random_below(struct random *random, uint32_t bound);
/* Uniform in [0, bound), bound above 0 (multiply and shift; the bias is below bound / 2^32). */
void random_secret(void *out, size_t size);
/* size bytes from the kernel, at most 256; aborts when the kernel has none. */

#endif
