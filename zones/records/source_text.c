#include "zones/records/source_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/memory.h"

#define ROOM_LEAST 4096u
#define HUGE_PAGE ((size_t)2 << 20)
#define FORGOTTEN_LEAST (4 * HUGE_PAGE)

static enum status fail(struct errbuf *err) {
  return errbuf_set(err, STATUS_IO, "cannot be read: %s", strerror(errno));
}

/* To its end, which may be elsewhere than stat said: files are written while they are read. */
static enum status read_all(int fd, size_t expected, struct source_text *text, struct errbuf *err) {
  size_t room = expected + 1 < ROOM_LEAST ? ROOM_LEAST : expected + 1;
  text->bytes = room < FORGOTTEN_LEAST ? mem_resize(NULL, room, 1) : mem_table(room, 1);
  for (;;) {
    ssize_t got = read(fd, text->bytes + text->size, room - text->size);
    if (got == 0)
      return STATUS_OK;
    if (got < 0 && errno != EINTR)
      return fail(err);
    text->size += got > 0 ? (size_t)got : 0;
    if (text->size == room)
      text->bytes = mem_grow(text->bytes, &room, room + 1, 1);
  }
}

enum status source_text_read(const char *path, struct source_text *out, struct errbuf *err) {
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return fail(err);
  enum status status = STATUS_OK;
  if (fstat(fd, &info) != 0)
    status = fail(err);
  else if (!S_ISREG(info.st_mode))
    status = errbuf_set(err, STATUS_INVALID, "is not a regular file");
  struct source_text text = {0};
  if (status == STATUS_OK) {
    text.device = info.st_dev;
    text.inode = info.st_ino;
    status = read_all(fd, (size_t)info.st_size, &text, err);
  }
  close(fd);
  if (status == STATUS_OK)
    *out = text;
  else
    free(text.bytes);
  return status;
}

void source_text_forget(struct source_text *text, size_t size) {
  if (size - text->forgotten < FORGOTTEN_LEAST)
    return;
  uintptr_t start = (uintptr_t)text->bytes;
  uintptr_t from = (start + text->forgotten + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  uintptr_t to = (start + size) / HUGE_PAGE * HUGE_PAGE;
  (void)madvise((void *)from, to - from, MADV_DONTNEED); /* as right without */
  text->forgotten = to - start;
}

bool source_text_is_absent(const char *path) {
  return access(path, F_OK) != 0 && errno == ENOENT;
}
