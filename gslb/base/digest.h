/* gslb/base/digest.h
 * A fast digest of bytes (XXH3, 128 bits, by libxxhash): tells whether something is still what it was. It does not
 * resist somebody who makes two texts with one digest, so it proves nothing about who wrote them. Pure; any thread. */
#ifndef GSLB_BASE_DIGEST_H
#define GSLB_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest {
  uint64_t low, high;
};

struct digest digest_of(const void *bytes, size_t size);
bool digest_is_same(const struct digest *a, const struct digest *b);

#endif
