#include "gslb/base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t rotate(uint64_t value, int by) {
  return value << by | value >> (64 - by);
}

void random_seed(struct random *random, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    seed += 0x9e3779b97f4a7c15u;
    uint64_t mixed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    random->state[i] = mixed ^ mixed >> 31;
  }
}

void random_seed_system(struct random *random) {
  uint64_t seed;
  random_secret(&seed, sizeof seed);
  random_seed(random, seed);
}

uint64_t random_next(struct random *random) {
  uint64_t *s = random->state;
  uint64_t result = rotate(s[1] * 5, 7) * 9;
  uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotate(s[3], 45);
  return result;
}

uint32_t random_below(struct random *random, uint32_t bound) {
  return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}

void random_secret(void *out, size_t size) {
  if (getrandom(out, size, 0) != (ssize_t)size) {
    fputs("gslb: the kernel gives no random bytes\n", stderr);
    abort();
  }
}
