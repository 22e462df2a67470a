#include "zones/compile/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/digest.h"
#include "gslb/base/memory.h"
#include "zones/image/image.h"
#include "zones/image/image_file.h"

#define MAGIC 0x315450454b424c47u /* with the layout's version in it */
#define NAME "image"
#define NAME_ASIDE "image.new"
#define PROVENANCE_MOST (1u << 30)

struct head { /* followed by the provenance, then the image */
  uint64_t magic;
  uint64_t provenance_size;
  uint64_t image_size;
  struct digest provenance;
  struct digest image;
  struct digest head; /* of what stands before it */
};

static struct digest digest_of_head(const struct head *head) {
  return digest_of(head, offsetof(struct head, head));
}

/* Of an image whose first struct is given apart, freed of its secrets. */
static struct digest digest_of_image(const struct image_head *head, const uint8_t *base, uint64_t size) {
  const struct digest parts[] = {digest_of(head, sizeof *head), digest_of(base + sizeof *head, size - sizeof *head)};
  return digest_of(parts, sizeof parts);
}

static enum status fail(struct errbuf *err, const char *what) {
  return errbuf_set(err, STATUS_IO, "%s: %s", what, strerror(errno));
}

static bool write_all(int fd, const void *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t wrote = write(fd, (const uint8_t *)bytes + done, size - done);
    if (wrote < 0 && errno != EINTR)
      return false;
    done += wrote > 0 ? (size_t)wrote : 0;
  }
  return true;
}

static bool read_all(int fd, void *bytes, size_t size) {
  errno = 0;
  for (size_t done = 0; done < size;) {
    ssize_t got = read(fd, (uint8_t *)bytes + done, size - done);
    if (got == 0 || (got < 0 && errno != EINTR))
      return false;
    done += got > 0 ? (size_t)got : 0;
  }
  return true;
}

static bool write_parts(int fd, const uint8_t *provenance, size_t provenance_size, const struct image *image) {
  struct image_head bare = *image_head(image);
  bare.cookies = (struct cookie_secrets){0};
  struct head head = {.magic = MAGIC,
                      .provenance_size = provenance_size,
                      .image_size = image->size,
                      .provenance = digest_of(provenance, provenance_size),
                      .image = digest_of_image(&bare, image->base, image->size)};
  head.head = digest_of_head(&head);
  return write_all(fd, &head, sizeof head) && write_all(fd, provenance, provenance_size) &&
         write_all(fd, &bare, sizeof bare) && write_all(fd, image->base + sizeof bare, image->size - sizeof bare) &&
         fdatasync(fd) == 0;
}

static enum status write_aside(int directory, const uint8_t *provenance, size_t provenance_size,
                               const struct image *image, struct errbuf *err) {
  if (unlinkat(directory, NAME_ASIDE, 0) != 0 && errno != ENOENT)
    return fail(err, NAME_ASIDE);
  int fd = openat(directory, NAME_ASIDE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(err, NAME_ASIDE);
  enum status status = STATUS_OK;
  if (!write_parts(fd, provenance, provenance_size, image) || renameat(directory, NAME_ASIDE, directory, NAME) != 0) {
    status = fail(err, NAME_ASIDE);
    unlinkat(directory, NAME_ASIDE, 0);
  }
  close(fd);
  return status;
}

enum status kept_write(const char *directory, const uint8_t *provenance, size_t provenance_size, int image,
                       struct errbuf *err) {
  struct image mapped;
  enum status status = image_map(image, &mapped, err);
  if (status != STATUS_OK)
    return status;
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX) != 0)
    status = fail(err, directory);
  else if ((status = write_aside(fd, provenance, provenance_size, &mapped, err)) != STATUS_OK)
    errbuf_prefix(err, status, "%s: ", directory);
  if (fd >= 0)
    close(fd);
  image_unmap(&mapped);
  return status;
}

static bool is_sound(const struct head *head, uint64_t size) {
  struct digest digest = digest_of_head(head);
  return head->magic == MAGIC && digest_is_same(&digest, &head->head) && head->provenance_size <= PROVENANCE_MOST &&
         head->image_size >= sizeof(struct image_head) && size >= sizeof *head + head->provenance_size &&
         size - sizeof *head - head->provenance_size == head->image_size;
}

static enum status read_provenance(struct kept *kept, struct errbuf *err) {
  struct head head;
  struct stat info;
  if (fstat(kept->fd, &info) != 0)
    return fail(err, "stat");
  if (!read_all(kept->fd, &head, sizeof head) || !is_sound(&head, (uint64_t)info.st_size))
    return errbuf_set(err, STATUS_INVALID, "not whole, or of another version");
  kept->image_size = head.image_size;
  kept->provenance_size = head.provenance_size;
  kept->provenance = mem_alloc(head.provenance_size);
  if (!read_all(kept->fd, kept->provenance, head.provenance_size))
    return errbuf_set(err, STATUS_INVALID, "ends early");
  struct digest digest = digest_of(kept->provenance, head.provenance_size);
  return digest_is_same(&digest, &head.provenance) ? STATUS_OK
                                                   : errbuf_set(err, STATUS_INVALID, "its provenance is damaged");
}

enum status kept_open(const char *directory, struct kept *out, struct errbuf *err) {
  char *path = mem_format("%s/" NAME, directory);
  struct kept kept = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  enum status status;
  if (kept.fd < 0)
    status = errno == ENOENT ? errbuf_set(err, STATUS_NOTFOUND, "none") : fail(err, "open");
  else
    status = read_provenance(&kept, err);
  if (status == STATUS_OK) {
    *out = kept;
  } else {
    errbuf_prefix(err, status, "%s: ", path);
    kept_close(&kept);
  }
  free(path);
  return status;
}

enum status kept_read_image(const struct kept *kept, const struct cookie_secrets *cookies, int *image,
                            struct errbuf *err) {
  struct head head;
  struct image_file file;
  if (pread(kept->fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
      lseek(kept->fd, (off_t)(sizeof head + kept->provenance_size), SEEK_SET) < 0)
    return fail(err, "kept image");
  enum status status = image_file_new(kept->image_size, &file, err);
  if (status != STATUS_OK)
    return status;
  struct image_head *first = (struct image_head *)(void *)file.base;
  if (!read_all(kept->fd, file.base, file.size)) {
    status = errno ? fail(err, "kept image") : errbuf_set(err, STATUS_INVALID, "kept image: ends early");
  } else {
    struct digest digest = digest_of_image(first, file.base, file.size);
    if (!digest_is_same(&digest, &head.image))
      status = errbuf_set(err, STATUS_INVALID, "kept image: damaged");
  }
  if (status != STATUS_OK) {
    image_file_drop(&file);
    return status;
  }
  first->cookies = *cookies;
  return image_file_seal(&file, image, err);
}

void kept_close(struct kept *kept) {
  if (kept->fd >= 0)
    close(kept->fd);
  free(kept->provenance);
  *kept = (struct kept){.fd = -1};
}
