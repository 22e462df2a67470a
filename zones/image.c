#include "zones/image.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum status image_map(int fd, struct image *out, struct errbuf *err) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return errbuf_set(err, STATUS_IO, "name image: %s", strerror(errno));
  size_t size = (size_t)info.st_size;
  if (size < sizeof(struct image_head))
    return errbuf_set(err, STATUS_INVALID, "name image: only %zu bytes", size);
  void *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
    return errbuf_set(err, STATUS_IO, "name image: cannot map %zu bytes: %s", size, strerror(errno));
  struct image image = {.base = base, .size = size};
  const struct image_head *head = image_head(&image);
  if (head->magic != IMAGE_MAGIC || head->size != size) {
    munmap(base, size);
    return errbuf_set(err, STATUS_VERSION, "name image: made by another build");
  }
  *out = image;
  return STATUS_OK;
}

void image_unmap(struct image *image) {
  if (image->base)
    munmap((void *)(uintptr_t)image->base, image->size);
  *image = (struct image){0};
}

const struct image_rrset *image_find_rrset(const struct image *image, const struct image_node *node, uint16_t type) {
  const struct image_ref *refs = image_node_refs(node);
  for (uint16_t i = 0; i < node->rrset_count && refs[i].type <= type; i++)
    if (refs[i].type == type)
      return image_rrset(image, (uint64_t)refs[i].rrset * 8);
  return NULL;
}
