/* tests/unit/base/directory.h
 * What a test leaves on the disk goes with it. */
#ifndef GSLB_TESTS_UNIT_BASE_DIRECTORY_H
#define GSLB_TESTS_UNIT_BASE_DIRECTORY_H

#include <ftw.h>
#include <stdio.h>

static inline int directory_remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
  (void)info;
  (void)type;
  (void)walk;
  return remove(path);
}

/* Removes it with all that is below. Returns 0, or not when something stays. */
static inline int directory_remove(const char *path) {
  return nftw(path, directory_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
