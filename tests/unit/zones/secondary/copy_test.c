#include "zones/secondary/copy.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/base/memory.h"
#include "zones/message/query.h"

#define REFRESHED_MS 1763735400123
#define MOST (1u << 20)

struct fixture {
  char directory[64];
  char *file;
  struct name zone;
  struct content *content, *read;
  int64_t refreshed_ms;
  struct errbuf err;
};

static void remove_all(const char *directory) {
  DIR *open = opendir(directory);
  for (struct dirent *entry = readdir(open); entry; entry = readdir(open)) {
    char *path = mem_format("%s/%s", directory, entry->d_name);
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
      remove_all(path);
    else
      unlink(path);
    free(path);
  }
  closedir(open);
  rmdir(directory);
}

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-copy-XXXXXX");
  assert_non_null(mkdtemp(fixture->directory));
  fixture->file = mem_format("%s/deep/secondary/example.org.zone", fixture->directory);
  assert_int_equal(name_from_text("example.org", &fixture->zone), STATUS_OK);
  fixture->content = content_new(MOST);
  fixture->read = content_new(MOST);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  remove_all(fixture->directory);
  content_free(fixture->content);
  content_free(fixture->read);
  free(fixture->file);
  free(fixture);
  return 0;
}

static void add(struct content *content, const char *owner, uint16_t type, const void *bytes, size_t size) {
  struct name name;
  struct rdata *data = mem_alloc(sizeof *data);
  assert_int_equal(name_from_text(owner, &name), STATUS_OK);
  memcpy(data->bytes, bytes, size);
  data->size = (uint16_t)size;
  assert_int_equal(content_add(content, &name, type, 300, data), STATUS_OK);
  free(data);
}

#define add_bytes(content, owner, type, text) add(content, owner, type, text, sizeof(text) - 1)

/* Its refresh is beyond what a master file can say as a period. */
static void add_soa(struct content *content, char serial) {
  uint8_t data[] = "\3ns1\7example\3org\0\4host\0"
                   "\0\0\0\1"
                   "\xff\xff\xff\xff"
                   "\0\0\0\3"
                   "\0\0\0\4"
                   "\0\0\0\5";
  data[sizeof data - 1 - 17] = (uint8_t)serial;
  add(content, "example.org", TYPE_SOA, data, sizeof data - 1);
}

static void add_variety(struct content *content) {
  add_bytes(content, "example.org", TYPE_NS, "\3nS1\7exAmple\3org\0");
  add_bytes(content, "ns1.example.org", TYPE_A, "\300\0\2\1");
  add_bytes(content, "\\000\\255\\.\\\\\\\"@$;.example.org", TYPE_AAAA, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1");
  add_bytes(content, "*.example.org", TYPE_CNAME, "\4a.b\"\1*\0");
  add_bytes(content, "example.org", TYPE_MX, "\0\12\0");
  add_bytes(content, "_x._tcp.example.org", TYPE_SRV, "\0\1\0\2\0\3\2@$\0");
  add_bytes(content, "example.org", TYPE_TXT, "\0\5a\"\\;\377\3 \t(");
  add_bytes(content, "example.org", 65280, "\1\2\377");
  add_bytes(content, "empty.example.org", 65280, "");
  add_bytes(content, "example.org", TYPE_HTTPS, "\0\1\0\0\3\0\2\1\273");
  add_bytes(content, "example.org", 257, "\0\5issueca.example");
}

static void write_out(struct fixture *fixture) {
  enum status status = copy_write(fixture->file, "example.org", fixture->content, REFRESHED_MS, &fixture->err);
  assert_string_equal(status == STATUS_OK ? "" : fixture->err.text, "");
  assert_int_equal(copy_commit(fixture->file, &fixture->err), STATUS_OK);
}

static enum status read_in(struct fixture *fixture) {
  return copy_read(fixture->file, &fixture->zone, fixture->read, &fixture->refreshed_ms, &fixture->err);
}

static void write_text(const struct fixture *fixture, const char *text) {
  FILE *file = fopen(fixture->file, "we");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static bool exists(const struct fixture *fixture, const char *ending) {
  char *path = mem_format("%s%s", fixture->file, ending);
  bool is_there = access(path, F_OK) == 0;
  free(path);
  return is_there;
}

static void copy_reads_back_byte_for_byte(void **state) {
  struct fixture *fixture = *state;
  add_variety(fixture->content);
  add_soa(fixture->content, 1);
  write_out(fixture);
  enum status status = read_in(fixture);
  assert_string_equal(status == STATUS_OK ? "" : fixture->err.text, "");
  assert_int_equal(fixture->refreshed_ms, REFRESHED_MS);
  assert_int_equal(content_count(fixture->read), content_count(fixture->content));
  const struct content_record *read = content_next(fixture->read, NULL);
  assert_int_equal(read->type, TYPE_SOA);
  for (const struct content_record *written = content_next(fixture->content, NULL); written->type != TYPE_SOA;
       written = content_next(fixture->content, written)) {
    read = content_next(fixture->read, read);
    assert_int_equal(read->type, written->type);
    assert_int_equal(read->ttl_s, 300);
    assert_int_equal(read->owner_size, written->owner_size);
    assert_int_equal(read->data_size, written->data_size);
    assert_memory_equal(read->bytes, written->bytes, (size_t)written->owner_size + written->data_size);
  }
}

static void draft_is_not_the_copy(void **state) {
  struct fixture *fixture = *state;
  add_soa(fixture->content, 1);
  assert_int_equal(copy_write(fixture->file, "example.org", fixture->content, 0, &fixture->err), STATUS_OK);
  assert_int_equal(read_in(fixture), STATUS_NOTFOUND);
  assert_true(exists(fixture, ".new"));
  copy_discard(fixture->file);
  assert_false(exists(fixture, ".new"));
}

static void committed_draft_replaces_the_copy(void **state) {
  struct fixture *fixture = *state;
  struct soa soa;
  const struct content_record *record;
  add_soa(fixture->content, 1);
  write_out(fixture);
  content_free(fixture->content);
  fixture->content = content_new(MOST);
  add_soa(fixture->content, 2);
  write_out(fixture);
  assert_int_equal(read_in(fixture), STATUS_OK);
  assert_true(content_soa(fixture->read, &soa, &record));
  assert_int_equal(soa.serial, 2);
  assert_int_equal(soa.refresh_s, UINT32_MAX);
  assert_false(exists(fixture, ".new"));
}

static void touch_changes_the_time_alone(void **state) {
  struct fixture *fixture = *state;
  struct stat before, after;
  add_soa(fixture->content, 1);
  write_out(fixture);
  assert_int_equal(stat(fixture->file, &before), 0);
  assert_int_equal(copy_touch(fixture->file, REFRESHED_MS + 86400000, &fixture->err), STATUS_OK);
  assert_int_equal(stat(fixture->file, &after), 0);
  assert_int_equal(before.st_size, after.st_size);
  assert_int_equal(before.st_ino, after.st_ino);
  assert_int_equal(read_in(fixture), STATUS_OK);
  assert_int_equal(fixture->refreshed_ms, REFRESHED_MS + 86400000);
  assert_int_equal(content_count(fixture->read), 1);
}

static void foreign_file_has_the_time_of_its_change(void **state) {
  struct fixture *fixture = *state;
  add_soa(fixture->content, 1);
  write_out(fixture);
  write_text(fixture, "$TTL 60\n@ SOA ns host 1 2 3 4 5\n");
  assert_int_equal(copy_touch(fixture->file, REFRESHED_MS, &fixture->err), STATUS_OK);
  assert_int_equal(read_in(fixture), STATUS_OK);
  assert_int_equal(fixture->refreshed_ms, REFRESHED_MS);
}

static void broken_copies_are_refused(void **state) {
  struct fixture *fixture = *state;
  static const char *const broken[] = {
      "",
      "@ 60 SOA ns host 1 2 3 4 5\nwww 60 A 192.0.2.\n",
      "@ 60 SOA ns host 1 2 3 4 5\n@ 60 SOA ns host 2 2 3 4 5\n",
      "@ 60 SOA ns host 1 2 3 4 5\nwww.example.net. 60 A 192.0.2.1\n",
      "@ 60 A 192.0.2.1\n",
  };
  add_soa(fixture->content, 1);
  write_out(fixture);
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    write_text(fixture, broken[i]);
    fixture->refreshed_ms = -1;
    assert_int_equal(read_in(fixture), STATUS_INVALID);
    assert_int_equal(fixture->refreshed_ms, -1);
    content_free(fixture->read);
    fixture->read = content_new(MOST);
  }
}

static void retired_copy_is_set_aside(void **state) {
  struct fixture *fixture = *state;
  add_soa(fixture->content, 1);
  write_out(fixture);
  assert_int_equal(copy_retire(fixture->file, &fixture->err), STATUS_OK);
  assert_int_equal(read_in(fixture), STATUS_NOTFOUND);
  assert_true(exists(fixture, ".expired"));
}

static void names_in_data_are_equal_in_any_case(void **state) {
  struct fixture *fixture = *state;
  struct name owner;
  struct rdata data = {.size = 4, .name_count = 1, .bytes = "\2Ns"};
  assert_int_equal(name_from_text("example.org", &owner), STATUS_OK);
  assert_int_equal(content_add(fixture->content, &owner, TYPE_NS, 60, &data), STATUS_OK);
  data.bytes[1] = 'n';
  assert_int_equal(content_add(fixture->content, &owner, TYPE_NS, 60, &data), STATUS_CONFLICT);
  assert_int_equal(content_remove(fixture->content, &owner, TYPE_NS, &data), STATUS_OK);
  assert_int_equal(content_remove(fixture->content, &owner, TYPE_NS, &data), STATUS_NOTFOUND);
  assert_int_equal(content_count(fixture->content), 0);
  /* other data are compared byte for byte */
  data.name_count = 0;
  assert_int_equal(content_add(fixture->content, &owner, TYPE_TXT, 60, &data), STATUS_OK);
  data.bytes[1] = 'N';
  assert_int_equal(content_add(fixture->content, &owner, TYPE_TXT, 60, &data), STATUS_OK);
  assert_int_equal(content_count(fixture->content), 2);
}

static void content_is_bounded(void **state) {
  struct fixture *fixture = *state;
  struct name owner;
  struct rdata *data = mem_alloc(sizeof *data);
  enum status status = STATUS_OK;
  uint32_t count = 0;
  assert_int_equal(name_from_text("example.org", &owner), STATUS_OK);
  data->size = 4;
  for (; status == STATUS_OK && count < MOST; count++) {
    memcpy(data->bytes, &count, sizeof count);
    status = content_add(fixture->content, &owner, TYPE_A, 60, data);
  }
  assert_int_equal(status, STATUS_LIMIT);
  assert_in_range(count, MOST / 128, MOST / 32);
  free(data);
}

static void serials_are_compared_in_a_circle(void **state) {
  (void)state;
  assert_true(soa_is_newer(2, 1));
  assert_false(soa_is_newer(1, 1));
  assert_true(soa_is_newer(0, UINT32_MAX));
  assert_false(soa_is_newer(UINT32_MAX, 0));
  assert_true(soa_is_newer(0x80000000u, 1));
  assert_false(soa_is_newer(0x80000000u, 0));
  assert_false(soa_is_newer(0, 0x80000000u));
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      test(copy_reads_back_byte_for_byte),
      test(draft_is_not_the_copy),
      test(committed_draft_replaces_the_copy),
      test(touch_changes_the_time_alone),
      test(foreign_file_has_the_time_of_its_change),
      test(broken_copies_are_refused),
      test(retired_copy_is_set_aside),
      test(names_in_data_are_equal_in_any_case),
      test(content_is_bounded),
      test(serials_are_compared_in_a_circle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
