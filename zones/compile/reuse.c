#include "zones/compile/reuse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "zones/compile/compile.h"
#include "zones/compile/kept.h"
#include "zones/image/image.h"
#include "zones/records/provenance.h"

struct search {
  const struct reuse *from;
  const struct provenance *now;
  struct cookie_secrets cookies;
  bool is_used_stale; /* the one in use was compiled from something else */
};

/* The bytes behind a descriptor, mapped for reading; NULL: none. */
static const uint8_t *map(int fd, size_t *size) {
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0 || info.st_size <= 0)
    return NULL;
  void *base = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
  *size = (size_t)info.st_size;
  return base == MAP_FAILED ? NULL : base;
}

/* A memfd of the bytes; -1: there is none to be had, so that the next run compiles. */
static int hold_provenance(const uint8_t *encoded, size_t size) {
  int fd = memfd_create("gslb-provenance", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return -1;
  if (write(fd, encoded, size) == (ssize_t)size &&
      fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
    return fd;
  close(fd);
  return -1;
}

/* Its secrets are no part of the provenance, as they may be renewed alone. */
static bool has_cookies(int fd, const struct cookie_secrets *wanted) {
  struct image image;
  if (image_map(fd, &image, NULL) != STATUS_OK)
    return false;
  bool is_same = memcmp(&image_head(&image)->cookies, wanted, sizeof *wanted) == 0;
  image_unmap(&image);
  return is_same;
}

static bool take_used(struct search *search, struct reuse_image *out) {
  size_t size = 0;
  const uint8_t *encoded = map(search->from->provenance, &size);
  if (!encoded)
    return false;
  search->is_used_stale = !provenance_match(search->now, encoded, size);
  bool is_same = !search->is_used_stale && has_cookies(search->from->image, &search->cookies);
  munmap((void *)(uintptr_t)encoded, size);
  if (!is_same)
    return false;
  struct reuse_image taken = {.image = fcntl(search->from->image, F_DUPFD_CLOEXEC, 0),
                              .provenance = fcntl(search->from->provenance, F_DUPFD_CLOEXEC, 0)};
  if (taken.image >= 0 && taken.provenance >= 0) {
    *out = taken;
    return true;
  }
  if (taken.image >= 0)
    close(taken.image);
  if (taken.provenance >= 0)
    close(taken.provenance);
  return false;
}

/* Whether what is kept is what is in use: then nothing has to be read a second time to know that it is stale. */
static bool is_the_used_one(const struct search *search, const struct kept *kept) {
  size_t size = 0;
  const uint8_t *used = map(search->from->provenance, &size);
  if (!used)
    return false;
  bool is_same = size == kept->provenance_size && memcmp(used, kept->provenance, size) == 0;
  munmap((void *)(uintptr_t)used, size);
  return is_same;
}

static bool take_kept(const struct search *search, struct reuse_image *out) {
  struct errbuf err;
  struct kept kept;
  if (!search->from->directory)
    return false;
  enum status status = kept_open(search->from->directory, &kept, &err);
  if (status == STATUS_OK) {
    struct reuse_image taken = {.image = -1};
    bool is_same = !(search->is_used_stale && is_the_used_one(search, &kept)) &&
                   provenance_match(search->now, kept.provenance, kept.provenance_size);
    if (is_same)
      status = kept_read_image(&kept, &search->cookies, &taken.image, &err);
    if (is_same && status == STATUS_OK) {
      taken.provenance = hold_provenance(kept.provenance, kept.provenance_size);
      *out = taken;
    }
    kept_close(&kept);
    if (is_same && status == STATUS_OK)
      log_info("the kept name image is used: nothing that it was compiled from has changed");
    if (status == STATUS_OK)
      return is_same;
  }
  if (status != STATUS_NOTFOUND)
    log_warning("the kept name image is not used: %s", err.text);
  return false;
}

static bool find(const struct config *config, struct search *search, struct reuse_image *out) {
  /* a file of secrets that cannot be read is told by the compiler */
  if (config->server.cookie_secret &&
      cookie_read_secrets(config->server.cookie_secret, &search->cookies, NULL) != STATUS_OK)
    return false;
  return take_used(search, out) || take_kept(search, out);
}

enum status reuse_or_compile(const struct config *config, const char *text, size_t length, const struct reuse *from,
                             struct reuse_image *out, struct problems *problems) {
  struct provenance *provenance = provenance_new(config->path, text, length);
  struct search search = {.from = from, .now = provenance};
  struct reuse_image found = {.image = -1, .provenance = -1};
  enum status status = STATUS_OK;
  if (!find(config, &search, &found)) {
    status = zones_compile_from(config, provenance, &found.image, problems);
    size_t size;
    uint8_t *encoded = status == STATUS_OK ? provenance_encode(provenance, &size) : NULL;
    if (encoded)
      found.provenance = hold_provenance(encoded, size);
    free(encoded);
    found.is_fresh = true;
  }
  if (status == STATUS_OK)
    *out = found;
  provenance_free(provenance);
  return status;
}

enum status reuse_keep(const struct reuse_image *image, const char *directory, struct errbuf *err) {
  struct stat info;
  if (!image->is_fresh || fstat(image->image, &info) != 0 || info.st_size < (off_t)KEPT_IMAGE_LEAST)
    return STATUS_OK;
  size_t size = 0;
  const uint8_t *encoded = map(image->provenance, &size);
  if (!encoded)
    return STATUS_OK;
  enum status status = kept_write(directory, encoded, size, image->image, err);
  munmap((void *)(uintptr_t)encoded, size);
  return status;
}
