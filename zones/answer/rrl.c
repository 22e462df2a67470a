#include "zones/answer/rrl.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/base/prefix.h"
#include "gslb/base/random.h"

/* A table of 1 MiB. A flow looks through the buckets of its set alone, and takes the stalest of them when it is new. A
 * flow under flood is never the stalest, so that forged addresses cannot wash its debt away; a quiet one that is washed
 * out begins anew with full credit. Two flows share a bucket only when set and tag agree, 45 bits of a keyed hash: a
 * flood from 1,000,000 networks touches a given other one with a chance of 1 in 35,000,000. */
#define SET_SIZE 8u
#define SET_COUNT 8192u
#define KEY_COUNT 5u
#define EXEMPT_FEW 4u

/* Credit: each millisecond earns responses_per_s, a response costs 1,000 for each worker. No division is needed, and
 * nothing is rounded away. A full bucket holds one second's responses (at least one). A response that is not given
 * costs half of one, so that a client somewhat above its limit still gets a part of it by UDP, while from twice the
 * limit on a flood gains nothing but slips; the debt is paid off within DEBT_MS of quiet. */
#define FULL_MS 1000
#define DEBT_MS 5000

struct bucket {
  uint32_t tag;   /* 0: never used */
  uint32_t at_ms; /* last use, modulo 2^32: after 49 days of quiet it may look recent and keep its old credit */
  int64_t credit : 48;
  uint64_t limited : 16; /* responses since the last slip */
};

_Static_assert(sizeof(struct bucket) == 16, "eight buckets are two cache lines");

struct rrl {
  int64_t earn;    /* a millisecond */
  int64_t cost;    /* of a response */
  int64_t full;    /* where credit ends */
  int64_t debt;    /* below 0: where debt ends */
  int64_t fill_ms; /* from the deepest debt to full */
  uint32_t slip;
  uint8_t ipv4_bits;
  uint8_t ipv6_bits;
  struct prefix *exempt;
  size_t exempt_count;
  uint64_t keys[KEY_COUNT];
  struct rrl *total;      /* over all names; NULL: no such limit */
  struct bucket *buckets; /* SET_COUNT sets of SET_SIZE */
};

struct rrl *rrl_new(const struct config_rate_limit *limit, uint32_t workers, uint64_t secret) {
  assert(workers > 0);
  if (limit->responses_per_s == 0)
    return NULL;
  struct rrl *rrl = mem_alloc(sizeof *rrl);
  if (limit->total_per_s) {
    struct config_rate_limit all = *limit;
    all.responses_per_s = limit->total_per_s;
    all.total_per_s = 0;
    rrl->total = rrl_new(&all, workers, secret);
  }
  rrl->earn = limit->responses_per_s;
  rrl->cost = 1000 * (int64_t)workers;
  rrl->full = rrl->earn * FULL_MS > rrl->cost ? rrl->earn * FULL_MS : rrl->cost;
  rrl->debt = -rrl->earn * DEBT_MS;
  rrl->fill_ms = (rrl->full - rrl->debt) / rrl->earn + 1;
  /* the counter has 16 bits; a slip so rare is as good as none */
  rrl->slip = limit->slip < UINT16_MAX ? limit->slip : UINT16_MAX;
  rrl->ipv4_bits = limit->ipv4_bits;
  rrl->ipv6_bits = limit->ipv6_bits;
  rrl->exempt_count = limit->exempt_count;
  rrl->exempt = mem_array(limit->exempt_count, sizeof *rrl->exempt);
  for (size_t i = 0; i < limit->exempt_count; i++)
    rrl->exempt[i] = limit->exempt[i];
  struct random random;
  random_seed(&random, secret);
  for (size_t i = 0; i < KEY_COUNT; i++)
    rrl->keys[i] = random_next(&random);
  rrl->buckets = mem_array((size_t)SET_COUNT * SET_SIZE, sizeof *rrl->buckets);
  return rrl;
}

void rrl_free(struct rrl *rrl) {
  if (!rrl)
    return;
  rrl_free(rrl->total);
  free(rrl->buckets);
  free(rrl->exempt);
  free(rrl);
}

/* A sum of products of words with secret keys (NH of UMAC, RFC 4418): which flows collide is not known without them.
 * A last product spreads the sum over all bits of the result. */
static uint64_t hash_flow(const struct rrl *rrl, const struct addr *client, enum rrl_kind kind, uint64_t name_hash) {
  uint8_t bytes[16];
  memcpy(bytes, client->bytes, sizeof bytes);
  prefix_mask(bytes, client->family == 4 ? rrl->ipv4_bits : rrl->ipv6_bits);
  uint64_t network[2];
  memcpy(network, bytes, sizeof network);
  uint64_t flow = (uint64_t)client->family << 32 | kind;
  const uint64_t *keys = rrl->keys;
  __uint128_t sum = (__uint128_t)(network[0] + keys[0]) * (network[1] + keys[1]);
  sum += (__uint128_t)(name_hash + keys[2]) * (flow + keys[3]);
  sum = (__uint128_t)((uint64_t)sum ^ keys[4]) * ((uint64_t)(sum >> 64) | 1);
  return (uint64_t)sum ^ (uint64_t)(sum >> 64);
}

/* The flow's bucket, with its credit as it is now. */
static struct bucket *find_bucket(struct rrl *rrl, uint64_t hash, int64_t now_ms) {
  struct bucket *set = rrl->buckets + (hash & (SET_COUNT - 1)) * SET_SIZE;
  uint32_t tag = (uint32_t)(hash >> 32);
  if (tag == 0)
    tag = 1;
  uint32_t at_ms = (uint32_t)now_ms;
  struct bucket *stalest = set;
  for (struct bucket *bucket = set; bucket < set + SET_SIZE; bucket++) {
    if (bucket->tag == tag) {
      int64_t quiet_ms = (uint32_t)(at_ms - bucket->at_ms);
      int64_t credit = quiet_ms < rrl->fill_ms ? bucket->credit + quiet_ms * rrl->earn : rrl->full;
      bucket->credit = credit < rrl->full ? credit : rrl->full;
      bucket->at_ms = at_ms;
      return bucket;
    }
    if (stalest->tag && (!bucket->tag || (uint32_t)(at_ms - bucket->at_ms) > (uint32_t)(at_ms - stalest->at_ms)))
      stalest = bucket;
  }
  *stalest = (struct bucket){.tag = tag, .at_ms = at_ms, .credit = rrl->full};
  return stalest;
}

enum rrl_verdict rrl_judge(struct rrl *rrl, const struct addr *client, enum rrl_kind kind, uint64_t name_hash,
                           int64_t now_ms) {
  if (!rrl)
    return RRL_SEND;
  bool is_short = rrl->exempt_count <= EXEMPT_FEW; /* then to ask costs less than the bucket, which is spared */
  if (is_short && prefix_list_contains(rrl->exempt, rrl->exempt_count, client))
    return RRL_SEND;
  struct bucket *bucket = find_bucket(rrl, hash_flow(rrl, client, kind, name_hash), now_ms);
  if (bucket->credit >= rrl->cost) {
    bucket->credit -= rrl->cost;
    /* a flood that spreads over many names is still one */
    return rrl_judge(rrl->total, client, kind, 0, now_ms);
  }
  /* last, since few clients come so far */
  if (!is_short && prefix_list_contains(rrl->exempt, rrl->exempt_count, client))
    return RRL_SEND;
  int64_t credit = bucket->credit - rrl->cost / 2;
  bucket->credit = credit > rrl->debt ? credit : rrl->debt;
  if (rrl->slip == 0)
    return RRL_DROP;
  if (++bucket->limited < rrl->slip)
    return RRL_DROP;
  bucket->limited = 0;
  return RRL_SLIP;
}
