#include "zones/image/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "zones/image/image.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; the C library may be older */
#endif

static enum status fail(struct errbuf *err, uint64_t size) {
  return errbuf_set(err, STATUS_IO, "name image of %llu bytes: %s", (unsigned long long)size, strerror(errno));
}

/* Makes the file of huge pages, where the kernel has some to give: then a look-up in a large image does not miss the
 * TLB twice, and writing it takes a fault for 2 MiB rather than one for 4 KiB. Collapsing works whatever the
 * administrator's setting for shared memory is, short of "deny"; it wants a page to be there already. */
static void take_huge_pages(uint8_t *base, size_t size) {
  for (size_t at = 0; at < size; at += IMAGE_HUGE_PAGE)
    *(volatile uint8_t *)(base + at) = 0;
  (void)madvise(base, size, MADV_COLLAPSE);
}

static uint64_t file_size(uint64_t size) {
  return size < IMAGE_HUGE_LEAST ? size : (size + IMAGE_HUGE_PAGE - 1) / IMAGE_HUGE_PAGE * IMAGE_HUGE_PAGE;
}

enum status image_file_new(uint64_t size, struct image_file *out, struct errbuf *err) {
  struct image_file file = {.size = size, .mapped = file_size(size)};
  file.fd = memfd_create("gslb-names", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file.fd < 0)
    return fail(err, size);
  void *base = MAP_FAILED;
  if (ftruncate(file.fd, (off_t)file.mapped) == 0)
    base = image_reserve(file.fd, file.mapped, PROT_READ | PROT_WRITE);
  if (base == MAP_FAILED) {
    enum status status = fail(err, size);
    close(file.fd);
    return status;
  }
  file.base = base;
  if (file.mapped >= IMAGE_HUGE_LEAST)
    take_huge_pages(file.base, file.mapped);
  /* what is missing is taken now, since later a lack of memory would be a signal instead of an error */
  if (fallocate(file.fd, 0, 0, (off_t)file.mapped) != 0) {
    enum status status = fail(err, size);
    image_file_drop(&file);
    return status;
  }
  *out = file;
  return STATUS_OK;
}

enum status image_file_seal(struct image_file *file, int *fd, struct errbuf *err) {
  enum status status = STATUS_OK;
  munmap(file->base, file->mapped);
  /* not F_SEAL_WRITE: before Linux 6.7 that forbids even read-only shared mappings of a writable descriptor */
  if (fcntl(file->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0) {
    *fd = file->fd;
  } else {
    status = fail(err, file->size);
    close(file->fd);
  }
  *file = (struct image_file){.fd = -1};
  return status;
}

void image_file_drop(struct image_file *file) {
  munmap(file->base, file->mapped);
  close(file->fd);
  *file = (struct image_file){.fd = -1};
}
