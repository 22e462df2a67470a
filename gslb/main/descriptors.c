#include "gslb/main/descriptors.h"

#include <stdlib.h>
#include <unistd.h>

static int compare_fds(const void *a, const void *b) {
  int left = *(const int *)a, right = *(const int *)b;
  return (left > right) - (left < right);
}

void descriptors_close_all_but(int *kept, size_t count) {
  qsort(kept, count, sizeof *kept, compare_fds);
  unsigned from = STDERR_FILENO + 1;
  for (size_t i = 0; i < count; i++) {
    if (kept[i] < (int)from)
      continue;
    if (kept[i] > (int)from)
      close_range(from, (unsigned)kept[i] - 1, 0);
    from = (unsigned)kept[i] + 1;
  }
  close_range(from, ~0u, 0);
}
