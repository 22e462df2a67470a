#include "zones/secondary/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "zones/message/query.h"
#include "zones/records/master.h"
#include "zones/transfer/presentation.h"

#define STREAM_BUFFER (256u * 1024)
#define FIRST_WORDS "; refreshed "
#define FIRST_LINE_SIZE 128u

static size_t put_line(char line[FIRST_LINE_SIZE], int64_t refreshed_ms) {
  char utc[32];
  clock_format_utc(refreshed_ms, utc, sizeof utc);
  return (size_t)snprintf(line, FIRST_LINE_SIZE, FIRST_WORDS "%020" PRId64 " ms %s\n", refreshed_ms, utc);
}

/* Of the first line; false when it is not ours. */
static bool read_line(int fd, int64_t *refreshed_ms) {
  char line[FIRST_LINE_SIZE] = {0};
  char *end;
  if (pread(fd, line, sizeof line - 1, 0) < 0 || strncmp(line, FIRST_WORDS, strlen(FIRST_WORDS)) != 0)
    return false;
  const char *digits = line + strlen(FIRST_WORDS);
  errno = 0;
  int64_t value = strtoll(digits, &end, 10);
  if (end == digits || errno != 0 || value < 0)
    return false;
  *refreshed_ms = value;
  return true;
}

static void print_record(FILE *out, const struct content_record *record) {
  const struct transfer_record printed = {.owner = record->bytes,
                                          .owner_size = record->owner_size,
                                          .ttl_s = record->ttl_s,
                                          .type = record->type,
                                          .data = record->bytes + record->owner_size,
                                          .size = record->data_size};
  presentation_print(out, &printed);
  putc('\n', out);
}

static void print_copy(FILE *out, const char *zone, const struct content *content, int64_t refreshed_ms) {
  char line[FIRST_LINE_SIZE];
  struct soa numbers;
  const struct content_record *soa = NULL;
  put_line(line, refreshed_ms);
  fputs(line, out);
  fprintf(out, "; copy of the zone %s, kept by gslb: what is changed here is lost at the next transfer\n", zone);
  if (content_soa(content, &numbers, &soa))
    print_record(out, soa);
  for (const struct content_record *record = content_next(content, NULL); record;
       record = content_next(content, record))
    if (record != soa)
      print_record(out, record);
}

char *copy_draft(const char *file) {
  return mem_format("%s.new", file);
}

/* All directories above the file. */
static enum status make_directories(const char *file, struct errbuf *err) {
  char *path = mem_strdup(file);
  enum status status = STATUS_OK;
  for (char *slash = strchr(path + 1, '/'); slash && status == STATUS_OK; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    struct stat info;
    if (stat(path, &info) != 0 && mkdir(path, 0750) != 0 && errno != EEXIST)
      status = errbuf_set(err, STATUS_IO, "%s: mkdir: %s", path, strerror(errno));
    *slash = '/';
  }
  free(path);
  return status;
}

static enum status fail(struct errbuf *err, const char *file, const char *what) {
  return errbuf_set(err, STATUS_IO, "%s: %s: %s", file, what, strerror(errno));
}

enum status copy_write(const char *file, const char *zone, const struct content *content, int64_t refreshed_ms,
                       struct errbuf *err) {
  enum status status = make_directories(file, err);
  if (status != STATUS_OK)
    return status;
  char *draft = copy_draft(file);
  int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  FILE *out = fd >= 0 ? fdopen(fd, "we") : NULL;
  if (!out) {
    status = fail(err, draft, "open");
    if (fd >= 0)
      close(fd);
    goto out;
  }
  setvbuf(out, NULL, _IOFBF, STREAM_BUFFER);
  print_copy(out, zone, content, refreshed_ms);
  if (ferror(out) || fflush(out) != 0 || fsync(fd) != 0)
    status = fail(err, draft, "write");
  if (fclose(out) != 0 && status == STATUS_OK)
    status = fail(err, draft, "close");
  if (status != STATUS_OK)
    unlink(draft);
out:
  free(draft);
  return status;
}

static enum status sync_directory(const char *file, struct errbuf *err) {
  char *path = mem_strdup(file);
  char *slash = strrchr(path, '/');
  if (slash)
    slash[slash == path] = '\0';
  int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  enum status status = STATUS_OK;
  if (fd < 0 || fsync(fd) != 0)
    status = fail(err, path, "sync");
  if (fd >= 0)
    close(fd);
  free(path);
  return status;
}

enum status copy_commit(const char *file, struct errbuf *err) {
  char *draft = copy_draft(file);
  enum status status = STATUS_OK;
  if (rename(draft, file) != 0) {
    status = fail(err, draft, "rename");
    unlink(draft);
  } else {
    (void)sync_directory(file, NULL); /* the new copy stands; a power cut may bring the old one back, whole too */
  }
  free(draft);
  return status;
}

void copy_discard(const char *file) {
  char *draft = copy_draft(file);
  unlink(draft);
  free(draft);
}

enum status copy_touch(const char *file, int64_t refreshed_ms, struct errbuf *err) {
  int fd = open(file, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return fail(err, file, "open");
  enum status status = STATUS_OK;
  char line[FIRST_LINE_SIZE];
  size_t length = put_line(line, refreshed_ms);
  const struct timespec times[2] = {{.tv_nsec = UTIME_NOW},
                                    {.tv_sec = refreshed_ms / 1000, .tv_nsec = refreshed_ms % 1000 * 1000000}};
  int64_t before_ms;
  if (read_line(fd, &before_ms) ? pwrite(fd, line, length, 0) != (ssize_t)length : futimens(fd, times) != 0)
    status = fail(err, file, "write");
  close(fd);
  return status;
}

enum status copy_retire(const char *file, struct errbuf *err) {
  char *aside = mem_format("%s.expired", file);
  enum status status = STATUS_OK;
  if (rename(file, aside) != 0)
    status = fail(err, file, "rename");
  else
    status = sync_directory(file, err);
  free(aside);
  return status;
}

struct filling {
  const struct name *zone;
  struct content *content;
  bool is_full, is_foreign;
};

static void visit(void *context, const struct master_record *record) {
  struct filling *filling = context;
  if (record->class != CLASS_IN ||
      !name_is_below(record->owner->wire, record->owner->size, filling->zone->wire, filling->zone->size) ||
      (record->type == TYPE_SOA && record->owner->size != filling->zone->size))
    filling->is_foreign = true;
  else if (content_add(filling->content, record->owner, record->type, record->ttl_s, record->data) == STATUS_LIMIT)
    filling->is_full = true;
}

static enum status judge(const char *file, const struct filling *filling, const struct problems *problems,
                         struct errbuf *err) {
  struct soa numbers;
  const struct content_record *soa;
  if (problems->count)
    return errbuf_set(err, STATUS_INVALID, "%s:%d: %s", file, problems->items[0].line, problems->items[0].text);
  if (filling->is_foreign)
    return errbuf_set(err, STATUS_INVALID, "%s: has records that are not of the zone", file);
  if (filling->is_full)
    return errbuf_set(err, STATUS_LIMIT, "%s: is too large", file);
  if (!content_soa(filling->content, &numbers, &soa))
    return errbuf_set(err, STATUS_INVALID, "%s: has not one SOA record", file);
  return STATUS_OK;
}

enum status copy_read(const char *file, const struct name *zone, struct content *content, int64_t *refreshed_ms,
                      struct errbuf *err) {
  int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return errno == ENOENT ? errbuf_set(err, STATUS_NOTFOUND, "%s: there is none", file) : fail(err, file, "open");
  struct stat info;
  int64_t when_ms = 0;
  if (!read_line(fd, &when_ms) && fstat(fd, &info) == 0)
    when_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
  close(fd);
  struct arena arena = {0};
  struct problems problems = {0};
  struct filling filling = {.zone = zone, .content = content};
  const struct master_reading reading = {.arena = &arena, .visit = visit, .context = &filling, .problems = &problems};
  (void)master_read(file, zone, &reading); /* says no more than problems do */
  enum status status = judge(file, &filling, &problems, err);
  if (status == STATUS_OK)
    *refreshed_ms = when_ms;
  problems_release(&problems);
  arena_release(&arena);
  return status;
}
