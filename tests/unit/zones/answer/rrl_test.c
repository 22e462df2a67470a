#include "zones/answer/rrl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECRET 0x0123456789abcdefu
#define START_MS 1000000

struct tally {
  unsigned sent, slipped, dropped;
};

static struct config_rate_limit limit_of(uint32_t responses_per_s, uint32_t slip) {
  return (struct config_rate_limit){.responses_per_s = responses_per_s, .slip = slip, .ipv4_bits = 24, .ipv6_bits = 56};
}

static struct rrl *rrl_of(uint32_t responses_per_s, uint32_t slip, uint32_t workers) {
  struct config_rate_limit limit = limit_of(responses_per_s, slip);
  return rrl_new(&limit, workers, SECRET);
}

static struct addr address(const char *text) {
  struct addr addr;
  assert_int_equal(addr_parse(text, &addr), STATUS_OK);
  return addr;
}

/* The host'th address of the network'th /24 from 16.0.0.0 on. */
static struct addr nth_network(uint32_t network, uint8_t host) {
  network += 16u << 16;
  return (struct addr){.family = 4,
                       .bytes = {(uint8_t)(network >> 16), (uint8_t)(network >> 8), (uint8_t)network, host}};
}

static void count(struct tally *tally, enum rrl_verdict verdict) {
  unsigned *cell = verdict == RRL_SEND ? &tally->sent : verdict == RRL_SLIP ? &tally->slipped : &tally->dropped;
  (*cell)++;
}

static void ask(struct rrl *rrl, const struct addr *client, int64_t now_ms, struct tally *tally) {
  count(tally, rrl_judge(rrl, client, RRL_ANSWER, 1, now_ms));
}

/* queries from one address, one each every_ms. */
static struct tally flood(struct rrl *rrl, const char *client, unsigned queries, int64_t from_ms, int64_t every_ms) {
  struct tally tally = {0};
  struct addr addr = address(client);
  for (unsigned i = 0; i < queries; i++)
    ask(rrl, &addr, from_ms + i * every_ms, &tally);
  return tally;
}

static void assert_tally(struct tally tally, unsigned sent, unsigned slipped, unsigned dropped) {
  assert_int_equal(tally.sent, sent);
  assert_int_equal(tally.slipped, slipped);
  assert_int_equal(tally.dropped, dropped);
}

static void rrl_without_a_limit_sends_all(void **state) {
  (void)state;
  assert_null(rrl_of(0, 2, 1));
  assert_tally(flood(NULL, "192.0.2.1", 1000, START_MS, 0), 1000, 0, 0);
  rrl_free(NULL);
}

static void rrl_sends_a_second_s_responses_at_once(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(10, 2, 1);
  assert_tally(flood(rrl, "192.0.2.1", 100, START_MS, 0), 10, 45, 45);
  rrl_free(rrl);
}

static void rrl_gives_a_lasting_flood_one_second_s_responses_and_then_slips(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(10, 2, 1);
  assert_tally(flood(rrl, "192.0.2.1", 60000, START_MS, 1), 10, 29995, 29995);
  rrl_free(rrl);
}

static void rrl_never_limits_a_client_at_its_limit(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(100, 2, 1);
  assert_tally(flood(rrl, "192.0.2.1", 10000, START_MS, 10), 10000, 0, 0);
  rrl_free(rrl);
}

static void rrl_sends_nothing_more_from_twice_the_limit_on(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(100, 2, 1);
  /* each query finds half a response earned: 199 until the first second's are used up */
  assert_tally(flood(rrl, "192.0.2.1", 20000, START_MS, 5), 199, 9900, 9901);
  rrl_free(rrl);
}

static void rrl_sends_a_part_between_the_limit_and_twice_the_limit(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(100, 2, 1);
  /* 125 a second, of which 2 * 100 - 125 are sent once the first second's are used up */
  flood(rrl, "192.0.2.1", 5000, START_MS, 8);
  assert_tally(flood(rrl, "192.0.2.1", 1000, START_MS + 40000, 8), 600, 200, 200);
  rrl_free(rrl);
}

static void rrl_slips_each_nth_limited_response(void **state) {
  (void)state;
  static const struct {
    uint32_t slip;
    unsigned slipped;
  } cases[] = {{0, 0}, {1, 900}, {2, 450}, {3, 300}, {10, 90}, {900, 1}, {901, 0}, {100000, 0}, {UINT32_MAX, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct rrl *rrl = rrl_of(100, cases[i].slip, 1);
    assert_tally(flood(rrl, "192.0.2.1", 1000, START_MS, 0), 100, cases[i].slipped, 900 - cases[i].slipped);
    rrl_free(rrl);
  }
}

static void rrl_forgives_within_five_seconds_and_a_response_s_time(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(10, 0, 1);
  flood(rrl, "192.0.2.1", 1000, START_MS, 0);
  flood(rrl, "198.51.100.1", 1000, START_MS, 0);
  flood(rrl, "203.0.113.1", 1000, START_MS, 0);
  assert_tally(flood(rrl, "192.0.2.1", 1, START_MS + 5099, 0), 0, 0, 1);
  assert_tally(flood(rrl, "198.51.100.1", 2, START_MS + 5100, 0), 1, 0, 1);
  assert_tally(flood(rrl, "203.0.113.1", 11, START_MS + 6000, 0), 10, 0, 1);
  rrl_free(rrl);
}

static void rrl_saves_no_more_than_a_second(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(10, 0, 1);
  assert_tally(flood(rrl, "192.0.2.1", 1, START_MS, 0), 1, 0, 0);
  assert_tally(flood(rrl, "192.0.2.1", 100, START_MS + 5000, 0), 10, 0, 90);
  assert_tally(flood(rrl, "192.0.2.1", 100, START_MS + 3600000, 0), 10, 0, 90);
  rrl_free(rrl);
}

static void rrl_counts_a_network_as_one(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(10, 0, 1);
  assert_tally(flood(rrl, "192.0.2.1", 6, START_MS, 0), 6, 0, 0);
  assert_tally(flood(rrl, "192.0.2.254", 6, START_MS, 0), 4, 0, 2);
  assert_tally(flood(rrl, "192.0.3.1", 6, START_MS, 0), 6, 0, 0);
  assert_tally(flood(rrl, "2001:db8:0:ff::1", 6, START_MS, 0), 6, 0, 0);
  assert_tally(flood(rrl, "2001:db8:0:1::2", 6, START_MS, 0), 4, 0, 2);
  assert_tally(flood(rrl, "2001:db8:0:100::1", 6, START_MS, 0), 6, 0, 0);
  rrl_free(rrl);
}

static void rrl_tells_families_apart(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(10, 0, 1);
  assert_tally(flood(rrl, "192.0.2.1", 20, START_MS, 0), 10, 0, 10);
  assert_tally(flood(rrl, "c000:200::", 20, START_MS, 0), 10, 0, 10);
  rrl_free(rrl);
}

static void rrl_counts_kinds_and_names_apart(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(3, 0, 1);
  struct addr client = address("192.0.2.1");
  for (enum rrl_kind kind = RRL_ANSWER; kind <= RRL_ERROR; kind++)
    for (uint64_t name_hash = 0; name_hash < 50; name_hash++) {
      struct tally tally = {0};
      for (int i = 0; i < 5; i++)
        count(&tally, rrl_judge(rrl, &client, kind, name_hash * 8, START_MS));
      assert_tally(tally, 3, 0, 2);
    }
  rrl_free(rrl);
}

static void rrl_never_limits_exempt_networks(void **state) {
  (void)state;
  static const char *const networks[] = {"192.0.2.0/25",    "2001:db8::/32", "198.51.100.0/30",
                                         "198.51.100.4/30", "203.0.113.7",   "198.51.100.8/30"};
  const size_t counts[] = {2, sizeof networks / sizeof networks[0]}; /* a short list is asked first, a long one last */
  for (size_t list = 0; list < 2; list++) {
    struct prefix exempt[sizeof networks / sizeof networks[0]];
    for (size_t i = 0; i < counts[list]; i++)
      assert_int_equal(prefix_parse(networks[i], &exempt[i]), STATUS_OK);
    struct config_rate_limit limit = limit_of(10, 2);
    limit.exempt = exempt;
    limit.exempt_count = counts[list];
    struct rrl *rrl = rrl_new(&limit, 1, SECRET);
    memset(exempt, 0, sizeof exempt); /* it has its own */
    assert_tally(flood(rrl, "192.0.2.127", 1000, START_MS, 0), 1000, 0, 0);
    assert_tally(flood(rrl, "2001:db8:ffff::1", 1000, START_MS, 0), 1000, 0, 0);
    assert_tally(flood(rrl, "2001:db9::1", 1000, START_MS, 0), 10, 495, 495);
    /* limited though the same network has exempt clients too, which with a long list took what its bucket had */
    assert_int_equal(flood(rrl, "192.0.2.128", 1000, START_MS, 0).sent, list == 0 ? 10 : 0);
    assert_tally(flood(rrl, "192.0.2.127", 1000, START_MS, 0), 1000, 0, 0);
    rrl_free(rrl);
  }
}

static void rrl_shares_the_limit_out_among_workers(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(100, 0, 4);
  assert_tally(flood(rrl, "192.0.2.1", 100, START_MS, 0), 25, 0, 75);
  assert_tally(flood(rrl, "198.51.100.1", 1000, START_MS, 40), 1000, 0, 0);
  rrl_free(rrl);
  /* less than one a second: still a whole response every 8 seconds */
  rrl = rrl_of(1, 0, 8);
  assert_tally(flood(rrl, "192.0.2.1", 2, START_MS, 0), 1, 0, 1);
  assert_tally(flood(rrl, "198.51.100.1", 100, START_MS, 8000), 100, 0, 0);
  rrl_free(rrl);
}

static void rrl_reckons_with_the_largest_numbers(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(UINT32_MAX, 2, 1);
  assert_tally(flood(rrl, "192.0.2.1", 100000, START_MS, 0), 100000, 0, 0);
  assert_tally(flood(rrl, "192.0.2.1", 100, START_MS + 1, 1000000000000), 100, 0, 0);
  rrl_free(rrl);
  rrl = rrl_of(1, 0, UINT32_MAX);
  assert_tally(flood(rrl, "192.0.2.1", 1000, START_MS, 1), 1, 0, 999);
  rrl_free(rrl);
}

static void rrl_goes_on_where_its_milliseconds_wrap(void **state) {
  (void)state;
  struct rrl *rrl = rrl_of(10, 2, 1);
  assert_tally(flood(rrl, "192.0.2.1", 10000, ((int64_t)7 << 32) - 5000, 1), 10, 4995, 4995);
  assert_tally(flood(rrl, "198.51.100.1", 1000, ((int64_t)8 << 32) - 50000, 100), 1000, 0, 0);
  rrl_free(rrl);
}

/* 100 queries a millisecond, each under another of 1,000,000 networks, while others ask and one is flooded. */
static void rrl_keeps_its_judgement_while_a_million_networks_flood(void **state) {
  (void)state;
  enum { NETWORKS = 1000000, A_MS = 100, INNOCENT = 1000 };
  struct rrl *rrl = rrl_of(5, 2, 1);
  struct addr victim = address("203.0.113.7");
  struct tally forged = {0}, flooded = {0}, innocent = {0};
  for (uint32_t ms = 0; ms < NETWORKS / A_MS; ms++) {
    for (uint32_t i = 0; i < A_MS; i++) {
      struct addr client = nth_network(ms * A_MS + i, 1);
      ask(rrl, &client, START_MS + ms, &forged);
    }
    ask(rrl, &victim, START_MS + ms, &flooded);
    struct addr client = nth_network(NETWORKS + ms % INNOCENT, 9); /* each once a second */
    ask(rrl, &client, START_MS + ms, &innocent);
  }
  assert_tally(innocent, 10000, 0, 0);
  assert_tally(flooded, 5, 4997, 4998);
  assert_tally(forged, NETWORKS, 0, 0);
  rrl_free(rrl);
}

/* The same networks again and again: the table cannot hold them all, so many begin anew; the flooded one does not. */
static void rrl_does_not_forget_a_flood_when_its_table_is_overrun(void **state) {
  (void)state;
  enum { NETWORKS = 200000, ROUNDS = 5, A_MS = 100 };
  struct rrl *rrl = rrl_of(5, 0, 1);
  struct addr victim = address("203.0.113.7");
  struct tally forged = {0}, flooded = {0};
  for (uint32_t ms = 0; ms < NETWORKS * ROUNDS / A_MS; ms++) {
    for (uint32_t i = 0; i < A_MS; i++) {
      struct addr client = nth_network((ms * A_MS + i) % NETWORKS, 1);
      ask(rrl, &client, START_MS + ms, &forged);
    }
    if (ms % 20 == 0) /* no more than 50 a second */
      ask(rrl, &victim, START_MS + ms, &flooded);
  }
  assert_tally(flooded, 5, 0, 495);
  assert_tally(forged, NETWORKS * ROUNDS, 0, 0);
  rrl_free(rrl);
}

static void rrl_remembers_nearly_all_flows_when_its_table_is_half_full(void **state) {
  (void)state;
  enum { FLOWS = 32768 };
  struct rrl *rrl = rrl_of(2, 0, 1);
  struct tally tally = {0};
  for (int round = 0; round < 3; round++)
    for (uint32_t i = 0; i < FLOWS; i++) {
      struct addr client = nth_network(i, 1);
      ask(rrl, &client, START_MS, &tally);
    }
  /* the table is half full, and yet a few sets are too small for their flows, which then begin anew */
  assert_int_equal(tally.sent + tally.dropped, 3 * FLOWS);
  assert_in_range(tally.dropped, FLOWS * 95 / 100, FLOWS);
  rrl_free(rrl);
}

static void rrl_gives_a_flood_at_most_twice_what_it_sends(void **state) {
  (void)state;
  enum { LIMIT = 20, QUERY = 40, REPLY = 10 * QUERY, SECONDS = 10 };
  static const int64_t every_ms[] = {25, 20, 10, 5, 2, 1, 0}; /* from twice the limit on */
  for (uint32_t slip = 0; slip <= 3; slip++)
    for (size_t i = 0; i < sizeof every_ms / sizeof *every_ms; i++) {
      unsigned queries = every_ms[i] ? SECONDS * 1000 / (unsigned)every_ms[i] : 100000;
      struct rrl *rrl = rrl_of(LIMIT, slip, 1);
      struct tally tally = flood(rrl, "192.0.2.1", queries, START_MS, every_ms[i]);
      assert_true(tally.sent <= 2 * LIMIT);
      assert_true(tally.sent * REPLY + tally.slipped * QUERY <= 2 * queries * QUERY);
      rrl_free(rrl);
    }
}

static void rrl_finds_other_buckets_with_another_secret(void **state) {
  (void)state;
  /* what is limited must not depend on the secret, though where it is kept does */
  for (uint64_t secret = 0; secret < 64; secret++) {
    struct config_rate_limit limit = limit_of(10, 2);
    struct rrl *rrl = rrl_new(&limit, 1, secret);
    assert_tally(flood(rrl, "192.0.2.1", 100, START_MS, 1), 10, 45, 45);
    assert_tally(flood(rrl, "0.0.0.0", 100, START_MS, 1), 10, 45, 45);
    assert_tally(flood(rrl, "::", 100, START_MS, 1), 10, 45, 45);
    rrl_free(rrl);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rrl_without_a_limit_sends_all),
      cmocka_unit_test(rrl_sends_a_second_s_responses_at_once),
      cmocka_unit_test(rrl_gives_a_lasting_flood_one_second_s_responses_and_then_slips),
      cmocka_unit_test(rrl_never_limits_a_client_at_its_limit),
      cmocka_unit_test(rrl_sends_nothing_more_from_twice_the_limit_on),
      cmocka_unit_test(rrl_sends_a_part_between_the_limit_and_twice_the_limit),
      cmocka_unit_test(rrl_slips_each_nth_limited_response),
      cmocka_unit_test(rrl_forgives_within_five_seconds_and_a_response_s_time),
      cmocka_unit_test(rrl_saves_no_more_than_a_second),
      cmocka_unit_test(rrl_counts_a_network_as_one),
      cmocka_unit_test(rrl_tells_families_apart),
      cmocka_unit_test(rrl_counts_kinds_and_names_apart),
      cmocka_unit_test(rrl_never_limits_exempt_networks),
      cmocka_unit_test(rrl_shares_the_limit_out_among_workers),
      cmocka_unit_test(rrl_reckons_with_the_largest_numbers),
      cmocka_unit_test(rrl_goes_on_where_its_milliseconds_wrap),
      cmocka_unit_test(rrl_keeps_its_judgement_while_a_million_networks_flood),
      cmocka_unit_test(rrl_does_not_forget_a_flood_when_its_table_is_overrun),
      cmocka_unit_test(rrl_remembers_nearly_all_flows_when_its_table_is_half_full),
      cmocka_unit_test(rrl_gives_a_flood_at_most_twice_what_it_sends),
      cmocka_unit_test(rrl_finds_other_buckets_with_another_secret),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
