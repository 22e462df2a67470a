#include "tests/bench/dns_counts.h"

#include <stdio.h>

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
