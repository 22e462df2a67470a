#include "tests/bench/dns_counts.h"

#include <stdio.h>
#include <string.h>

void counts_judge(struct counts *counts, const struct queries *queries, const struct query *query,
                  const unsigned char *bytes, size_t size) {
  unsigned rcode = bytes[3] & 15u, answers = (unsigned)bytes[6] << 8 | bytes[7];
  counts->received++;
  counts->rcode[rcode]++;
  counts->empty += answers == 0;
  counts->truncated += (bytes[2] & 2u) != 0;
  if (!(bytes[2] & 0x80u) || bytes[5] != 1 || size < QUERY_HEADER + query->question_size ||
      memcmp(bytes + QUERY_HEADER, queries->wire + query->offset + QUERY_HEADER, query->question_size) != 0)
    counts->mismatched++;
  switch ((enum expectation)query->expectation) {
  case EXPECT_ANSWER:
    counts->wrong += rcode != 0 || answers == 0;
    break;
  case EXPECT_EMPTY:
    counts->wrong += rcode != 0 || answers != 0;
    break;
  case EXPECT_NXDOMAIN:
    counts->wrong += rcode != 3;
    break;
  case EXPECT_ANYTHING:
    break;
  }
}

void counts_print(const struct counts *counts) {
  printf("\"sent\":%llu,\"received\":%llu,\"lost\":%llu,\"late\":%llu,\"mismatched\":%llu,\"wrong\":%llu,\"empty\":%"
         "llu,"
         "\"truncated\":%llu,\"rcodes\":{",
         (unsigned long long)counts->sent, (unsigned long long)counts->received, (unsigned long long)counts->lost,
         (unsigned long long)counts->late, (unsigned long long)counts->mismatched, (unsigned long long)counts->wrong,
         (unsigned long long)counts->empty, (unsigned long long)counts->truncated);
  const char *comma = "";
  for (unsigned i = 0; i < 16; i++)
    if (counts->rcode[i]) {
      printf("%s\"%u\":%llu", comma, i, (unsigned long long)counts->rcode[i]);
      comma = ",";
    }
  printf("},");
  latency_print(&counts->latency);
}

void counts_fold(struct counts *sum, const struct counts *part) {
  sum->sent += part->sent;
  sum->received += part->received;
  sum->lost += part->lost;
  sum->late += part->late;
  sum->mismatched += part->mismatched;
  sum->wrong += part->wrong;
  sum->empty += part->empty;
  sum->truncated += part->truncated;
  for (unsigned i = 0; i < 16; i++)
    sum->rcode[i] += part->rcode[i];
  latency_fold(&sum->latency, &part->latency);
}
