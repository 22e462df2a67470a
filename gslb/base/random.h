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

static inline uint64_t random_rotate(uint64_t value, int by) {
  return value << by | value >> (64 - by);
}

static inline uint64_t random_next(struct random *random) {
  uint64_t *s = random->state;
  uint64_t result = random_rotate(s[1] * 5, 7) * 9;
  uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = random_rotate(s[3], 45);
  return result;
}
/* 64 uniform bits. */

static inline uint32_t random_below(struct random *random, uint32_t bound) {
  return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}
/* Uniform in [0, bound), bound above 0 (multiply and shift; the bias is below bound / 2^32). */

void random_secret(void *out, size_t size);
/* size bytes from the kernel, at most 256; aborts when the kernel has none. */

#endif
