/* tests/bench/dns_counts.h
 * What became of queries. Not for several threads. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/dns_queries.h"
#include "tests/bench/latency.h"

struct counts {
  uint64_t sent, received, lost;
  uint64_t late;       /* responses to what was lost already, or to nothing */
  uint64_t mismatched; /* with another question */
  uint64_t wrong;      /* with another code, or another number of answers, than was expected */
  uint64_t empty, truncated, rcode[16];
  struct latency latency;
};

void counts_judge(struct counts *counts, const struct queries *queries, const struct query *query,
                  const unsigned char *bytes, size_t size);
/* Counts a response to query, one of queries; bytes has at least a header. */

void counts_print(const struct counts *counts);
/* Writes them to standard output as members of a JSON object. */

void counts_fold(struct counts *sum, const struct counts *part);
