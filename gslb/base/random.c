#include "gslb/base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

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

void random_secret(void *out, size_t size) {
  if (getrandom(out, size, 0) != (ssize_t)size) {
    fputs("gslb: the kernel gives no random bytes\n", stderr);
    abort();
  }
}
