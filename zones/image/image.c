#include "zones/image/image.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Huge pages are mapped as such only where the address and the offset in the file agree in their lower 21 bits. */
void *image_reserve(int fd, size_t size, int protection) {
  size_t page = (size_t)getpagesize();
  size_t used = (size + page - 1) / page * page, room = used + IMAGE_HUGE_PAGE;
  uint8_t *start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED)
    return MAP_FAILED;
  size_t before = -(uintptr_t)start % IMAGE_HUGE_PAGE, after = room - before - used;
  void *base = mmap(start + before, size, protection, MAP_SHARED | MAP_FIXED, fd, 0);
  int reason = errno;
  if (base == MAP_FAILED) {
    munmap(start, room);
  } else {
    if (before)
      munmap(start, before);
    if (after)
      munmap(start + before + used, after);
  }
  errno = reason;
  return base;
}

static bool is_within(const struct image_head *head, uint64_t offset, uint64_t count, size_t size) {
  return offset <= head->size && count * size <= head->size - offset;
}

static bool is_sound(const struct image_head *head) {
  uint32_t buckets = head->bucket_count;
  return buckets && !(buckets & (buckets - 1)) &&
         is_within(head, head->buckets, buckets, sizeof(struct image_bucket)) &&
         is_within(head, head->zones, head->zone_count, sizeof(struct image_zone));
}

enum status image_map(int fd, struct image *out, struct errbuf *err) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return errbuf_set(err, STATUS_IO, "name image: %s", strerror(errno));
  size_t size = (size_t)info.st_size;
  if (size < sizeof(struct image_head))
    return errbuf_set(err, STATUS_INVALID, "name image: only %zu bytes", size);
  void *base = image_reserve(fd, size, PROT_READ);
  if (base == MAP_FAILED)
    return errbuf_set(err, STATUS_IO, "name image: cannot map %zu bytes: %s", size, strerror(errno));
  const struct image_head *head = base;
  enum status status = STATUS_OK;
  if (head->magic != IMAGE_MAGIC)
    status = errbuf_set(err, STATUS_VERSION, "name image: made by another build");
  else if (head->size > size || !is_sound(head))
    status = errbuf_set(err, STATUS_INVALID, "name image: its head does not fit its %zu bytes", size);
  if (status != STATUS_OK) {
    munmap(base, size);
    return status;
  }
  const uint8_t *bytes = base;
  *out = (struct image){.base = bytes,
                        .size = head->size,
                        .mapped = size,
                        .buckets = (const struct image_bucket *)(const void *)(bytes + head->buckets),
                        .mask = head->bucket_count - 1};
  return STATUS_OK;
}

void image_unmap(struct image *image) {
  if (image->base)
    munmap((void *)(uintptr_t)image->base, image->mapped);
  *image = (struct image){0};
}
