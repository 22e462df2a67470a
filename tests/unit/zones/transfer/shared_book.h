/* tests/unit/zones/transfer/shared_book.h
 * A book of several zones, made from texts as gslbd would make it from files, without tables: for tests of what others
 * get of our zones. One thread; aborts on any failure. */
#ifndef GSLB_TESTS_UNIT_ZONES_TRANSFER_SHARED_BOOK_H
#define GSLB_TESTS_UNIT_ZONES_TRANSFER_SHARED_BOOK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ldns/ldns.h>

#include "gslb/base/memory.h"
#include "gslb/model/config.h"
#include "zones/compile/compile.h"
#include "zones/tables/book.h"
#include "zones/transfer/transfer_zone.h"

#define SHARED_SECRET "c2VjcmV0IG9mIHNpeHRlZW4gb3IgbW9yZSBieXRlcw=="

struct shared_zone {
  const char *name, *text;
  const char *options; /* ", key: value …" or "" */
};

struct shared_book {
  struct config *config;
  struct book *book;
};

static inline void shared_book_fail(const char *what) {
  fprintf(stderr, "shared book: %s\n", what);
  abort();
}

static inline void shared_book_make(struct shared_book *shared, const struct shared_zone *zones, size_t count,
                                    const char *rest) {
  char paths[8][32];
  char *text = mem_format("server: {identity: t, state: /nonexistent, listen: [\"127.0.0.1@53\"], workers: 1}\n"
                          "keys:\n  - {name: first.key, secret: %s}\n  - {name: second.key, secret: %s}\nzones:\n",
                          SHARED_SECRET, SHARED_SECRET);
  for (size_t i = 0; i < count; i++) {
    strcpy(paths[i], "/tmp/gslb-shared-XXXXXX");
    int fd = mkstemp(paths[i]);
    if (fd < 0 || write(fd, zones[i].text, strlen(zones[i].text)) != (ssize_t)strlen(zones[i].text))
      shared_book_fail("zone file");
    close(fd);
    char *longer = mem_format("%s  - {name: %s, file: %s%s}\n", text, zones[i].name, paths[i], zones[i].options);
    free(text);
    text = longer;
  }
  char *whole = mem_format("%s%s", text, rest);
  struct problems problems = {0};
  struct errbuf err;
  int image = -1;
  shared->config = config_parse("test.yaml", whole, strlen(whole), &problems);
  if (!shared->config || zones_compile(shared->config, &image, &problems) != STATUS_OK)
    shared_book_fail(problems_format(&problems));
  shared->book = book_new(shared->config, image, 1, &err);
  if (!shared->book)
    shared_book_fail(err.text);
  close(image);
  for (size_t i = 0; i < count; i++)
    unlink(paths[i]);
  free(text);
  free(whole);
}

static inline void shared_book_release(struct shared_book *shared) {
  book_free(shared->book);
  config_free(shared->config);
}

/* Collecting records as text, "owner ttl class type data", sorted, a line each. */
struct shared_texts {
  char *lines[512];
  size_t count;
  char all[65536];
};

static inline void shared_texts_add_rr(struct shared_texts *texts, const ldns_rr *record) {
  char *line = ldns_rr2str(record);
  for (char *at = line; *at; at++)
    if (*at == '\t')
      *at = ' ';
  if (texts->count == sizeof texts->lines / sizeof texts->lines[0])
    shared_book_fail("too many records");
  texts->lines[texts->count++] = line;
}

static inline int shared_texts_compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Frees the lines; what is returned lives until the next call. */
static inline const char *shared_texts_end(struct shared_texts *texts, bool is_sorted) {
  if (is_sorted)
    qsort(texts->lines, texts->count, sizeof texts->lines[0], shared_texts_compare);
  char *at = texts->all;
  *at = '\0';
  for (size_t i = 0; i < texts->count; i++) {
    if (strlen(texts->lines[i]) >= (size_t)(texts->all + sizeof texts->all - at))
      shared_book_fail("too much text");
    at = stpcpy(at, texts->lines[i]);
    free(texts->lines[i]);
  }
  texts->count = 0;
  return texts->all;
}

static inline bool shared_texts_visit(void *context, const struct transfer_record *record) {
  uint8_t wire[70000];
  size_t at = 0, size = record->owner_size;
  memcpy(wire, record->owner, size);
  const uint8_t head[10] = {(uint8_t)(record->type >> 8),
                            (uint8_t)record->type,
                            0,
                            1,
                            (uint8_t)(record->ttl_s >> 24),
                            (uint8_t)(record->ttl_s >> 16),
                            (uint8_t)(record->ttl_s >> 8),
                            (uint8_t)record->ttl_s,
                            (uint8_t)(record->size >> 8),
                            (uint8_t)record->size};
  memcpy(wire + size, head, sizeof head);
  memcpy(wire + size + sizeof head, record->data, record->size);
  ldns_rr *decoded;
  if (ldns_wire2rr(&decoded, wire, size + sizeof head + record->size, &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
    shared_book_fail("a record that ldns cannot read");
  shared_texts_add_rr(context, decoded);
  ldns_rr_free(decoded);
  return true;
}

#endif
