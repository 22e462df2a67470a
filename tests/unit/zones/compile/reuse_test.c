#include "zones/compile/reuse.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/base/memory.h"
#include "zones/compile/kept.h"
#include "zones/image/image.h"

#define HEAD "$TTL 300\n@ SOA ns1 host 5 6 7 8 60\n@ NS ns1\nns1 A 192.0.2.53\n"
#define NAMES 20000 /* more than KEPT_IMAGE_LEAST of them */
#define SECRET "000102030405060708090a0b0c0d0e0f"
#define OTHER_SECRET "ff0102030405060708090a0b0c0d0eff"

struct fixture {
  char directory[64];
  char *text; /* of the configuration */
  struct config *config;
  struct reuse_image used; /* by the last run */
  struct reuse_image fresh;
};

static char *path_of(const struct fixture *fixture, const char *name) {
  return mem_format("%s/%s", fixture->directory, name);
}

static void write_text(const struct fixture *fixture, const char *name, const char *text) {
  char *path = path_of(fixture, name);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  assert_int_equal(fputs(text, file) >= 0, true);
  assert_int_equal(fclose(file), 0);
  free(path);
}

static void set_config(struct fixture *fixture, const char *server) {
  config_free(fixture->config);
  free(fixture->text);
  const char *at = fixture->directory;
  fixture->text = mem_format("server: {identity: t, state: %s/state, listen: [\"127.0.0.1@53\"], workers: 1%s}\n"
                             "zones:\n  - {name: example.com, file: %s/zone}\n"
                             "  - {name: example.net, file: %s/copy, primaries: [192.0.2.1]}\n",
                             at, server, at, at);
  struct problems problems = {0};
  fixture->config = config_parse("test.yaml", fixture->text, strlen(fixture->text), &problems);
  assert_non_null(fixture->config);
}

/* A zone of some size with an included file. */
static void write_zone(const struct fixture *fixture, const char *more) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  fprintf(out, HEAD "$INCLUDE part\n%s", more);
  for (int i = 0; i < NAMES; i++)
    fprintf(out, "n%d A 10.0.%d.%d\n", i, i / 256, i % 256);
  assert_int_equal(fclose(out), 0);
  write_text(fixture, "zone", text);
  free(text);
}

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-reuse-XXXXXX");
  assert_non_null(mkdtemp(fixture->directory));
  char *kept = path_of(fixture, "kept");
  assert_int_equal(mkdir(kept, 0700), 0);
  free(kept);
  fixture->used = fixture->fresh = (struct reuse_image){.image = -1, .provenance = -1};
  write_text(fixture, "part", "included A 192.0.2.1\n");
  write_zone(fixture, "");
  set_config(fixture, "");
  *state = fixture;
  return 0;
}

static void drop(struct reuse_image *image) {
  if (image->image >= 0)
    close(image->image);
  if (image->provenance >= 0)
    close(image->provenance);
  *image = (struct reuse_image){.image = -1, .provenance = -1};
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  static const char *const names[] = {"zone", "part", "copy", "secret", "kept/image", "kept"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char *path = path_of(fixture, names[i]);
    remove(path);
    free(path);
  }
  assert_int_equal(rmdir(fixture->directory), 0);
  drop(&fixture->used);
  drop(&fixture->fresh);
  config_free(fixture->config);
  free(fixture->text);
  free(fixture);
  return 0;
}

/* As the compiler does it: what came out is what the next run may use. True: it was compiled. */
static bool compile(struct fixture *fixture, bool has_running, bool has_kept) {
  char *directory = path_of(fixture, "kept");
  struct reuse from = {.provenance = has_running ? fixture->used.provenance : -1,
                       .image = has_running ? fixture->used.image : -1,
                       .directory = has_kept ? directory : NULL};
  struct problems problems = {0};
  struct reuse_image image;
  struct errbuf err = {0};
  assert_int_equal(reuse_or_compile(fixture->config, fixture->text, strlen(fixture->text), &from, &image, &problems),
                   STATUS_OK);
  if (has_kept)
    assert_int_equal(reuse_keep(&image, directory, &err), STATUS_OK);
  free(directory);
  drop(&fixture->used);
  fixture->used = image;
  return image.is_fresh;
}

static bool compile_beside_running(struct fixture *fixture) {
  return compile(fixture, true, false);
}

static bool compile_at_start(struct fixture *fixture) {
  return compile(fixture, false, true);
}

/* Nodes of the image in use. */
static unsigned count_names(const struct fixture *fixture) {
  struct image image;
  struct errbuf err;
  assert_int_equal(image_map(fixture->used.image, &image, &err), STATUS_OK);
  unsigned count = image_head(&image)->node_count;
  image_unmap(&image);
  return count;
}

static void reuse_keeps_the_image_in_use_while_nothing_changes(void **state) {
  struct fixture *fixture = *state;
  struct stat before, after;
  assert_true(compile_beside_running(fixture));
  assert_int_equal(fstat(fixture->used.image, &before), 0);
  assert_false(compile_beside_running(fixture));
  assert_int_equal(fstat(fixture->used.image, &after), 0);
  assert_true(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
}

static void reuse_compiles_when_a_file_changed_within_its_size_and_time(void **state) {
  struct fixture *fixture = *state;
  struct stat info;
  char *path = path_of(fixture, "part");
  assert_true(compile_beside_running(fixture));
  assert_int_equal(stat(path, &info), 0);
  write_text(fixture, "part", "included A 192.0.2.2\n");
  const struct timespec times[2] = {info.st_atim, info.st_mtim};
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
  free(path);
  assert_true(compile_beside_running(fixture));
  assert_false(compile_beside_running(fixture));
}

static void reuse_does_not_mind_a_file_that_was_only_touched(void **state) {
  struct fixture *fixture = *state;
  assert_true(compile_beside_running(fixture));
  write_zone(fixture, "");
  assert_false(compile_beside_running(fixture));
  write_zone(fixture, "more A 192.0.2.9\n");
  assert_true(compile_beside_running(fixture));
}

static void reuse_compiles_for_another_configuration(void **state) {
  struct fixture *fixture = *state;
  assert_true(compile_beside_running(fixture));
  set_config(fixture, ", nsid: other");
  assert_true(compile_beside_running(fixture));
}

static void reuse_compiles_when_a_missing_copy_came(void **state) {
  struct fixture *fixture = *state;
  assert_true(compile_beside_running(fixture));
  unsigned names = count_names(fixture);
  write_text(fixture, "copy", HEAD);
  assert_true(compile_beside_running(fixture));
  assert_int_equal(count_names(fixture), names + 1);
  assert_false(compile_beside_running(fixture));
}

static void reuse_tells_of_an_unfit_copy_each_time(void **state) {
  struct fixture *fixture = *state;
  write_text(fixture, "copy", "no zone at all\n");
  assert_true(compile_beside_running(fixture));
  assert_int_equal(fixture->used.provenance, -1);
  assert_true(compile_beside_running(fixture));
}

static void reuse_takes_what_was_kept_at_the_next_start(void **state) {
  struct fixture *fixture = *state;
  assert_true(compile_at_start(fixture));
  unsigned names = count_names(fixture);
  assert_true(names > NAMES);
  assert_false(compile_at_start(fixture));
  assert_int_equal(count_names(fixture), names);
  assert_false(compile_beside_running(fixture)); /* and that is in use now */
  write_zone(fixture, "more A 192.0.2.9\n");
  assert_true(compile_at_start(fixture));
  assert_int_equal(count_names(fixture), names + 1);
  assert_false(compile_at_start(fixture));
}

static void reuse_takes_what_was_kept_beside_a_stale_one_in_use(void **state) {
  struct fixture *fixture = *state;
  assert_true(compile(fixture, true, true));
  unsigned names = count_names(fixture);
  write_zone(fixture, "more A 192.0.2.9\n");
  assert_true(compile_beside_running(fixture)); /* not kept */
  write_zone(fixture, "");
  assert_false(compile(fixture, true, true));
  assert_int_equal(count_names(fixture), names);
  write_zone(fixture, "other A 192.0.2.9\n"); /* what is in use and what is kept are one, and stale */
  assert_true(compile(fixture, true, true));
  assert_int_equal(count_names(fixture), names + 1);
}

static void reuse_keeps_nothing_small(void **state) {
  struct fixture *fixture = *state;
  char *path = path_of(fixture, "kept/image");
  write_text(fixture, "zone", HEAD);
  assert_true(compile_at_start(fixture));
  assert_int_not_equal(access(path, F_OK), 0);
  assert_true(compile_at_start(fixture));
  free(path);
}

static void flip(const struct fixture *fixture, off_t at) {
  char *path = path_of(fixture, "kept/image");
  int fd = open(path, O_RDWR | O_CLOEXEC);
  uint8_t byte;
  assert_int_equal(pread(fd, &byte, 1, at), 1);
  byte ^= 1;
  assert_int_equal(pwrite(fd, &byte, 1, at), 1);
  close(fd);
  free(path);
}

static void reuse_compiles_when_what_was_kept_is_damaged_anywhere(void **state) {
  struct fixture *fixture = *state;
  assert_true(compile_at_start(fixture));
  unsigned names = count_names(fixture);
  char *path = path_of(fixture, "kept/image");
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  const off_t places[] = {0, 9, 17, 30, 45, 60, 100, 130, info.st_size / 2, info.st_size - 1};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    flip(fixture, places[i]);
    assert_true(compile_at_start(fixture)); /* which keeps a sound one again */
    assert_int_equal(count_names(fixture), names);
    assert_false(compile_at_start(fixture));
  }
  const off_t sizes[] = {0, 1, 40, 130, info.st_size - 1};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    assert_int_equal(truncate(path, sizes[i]), 0);
    assert_true(compile_at_start(fixture));
  }
  free(path);
}

static void assert_secret(const struct fixture *fixture, uint8_t first) {
  struct image image;
  struct errbuf err;
  assert_int_equal(image_map(fixture->used.image, &image, &err), STATUS_OK);
  assert_int_equal(image_head(&image)->cookies.count, 1);
  assert_int_equal(image_head(&image)->cookies.secrets[0][0], first);
  image_unmap(&image);
}

static bool holds_secret(const struct fixture *fixture) {
  static const uint8_t secret[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  char *path = path_of(fixture, "kept/image");
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  fseek(file, 0, SEEK_END);
  size_t size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(size);
  assert_int_equal(fread(bytes, 1, size, file), size);
  bool holds = memmem(bytes, size, secret, sizeof secret) != NULL;
  free(bytes);
  fclose(file);
  free(path);
  return holds;
}

static void reuse_keeps_no_secrets_and_takes_them_as_they_are_now(void **state) {
  struct fixture *fixture = *state;
  char *server = mem_format(", cookies: {secret: %s/secret}", fixture->directory);
  set_config(fixture, server);
  free(server);
  write_text(fixture, "secret", SECRET "\n");
  assert_true(compile_at_start(fixture));
  assert_secret(fixture, 0x00);
  assert_false(holds_secret(fixture));
  assert_false(compile_at_start(fixture));
  assert_secret(fixture, 0x00);
  write_text(fixture, "secret", OTHER_SECRET "\n");
  assert_false(compile(fixture, true, true));
  assert_secret(fixture, 0xff);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(reuse_keeps_the_image_in_use_while_nothing_changes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_compiles_when_a_file_changed_within_its_size_and_time, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_does_not_mind_a_file_that_was_only_touched, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_compiles_for_another_configuration, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_compiles_when_a_missing_copy_came, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_tells_of_an_unfit_copy_each_time, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_takes_what_was_kept_at_the_next_start, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_takes_what_was_kept_beside_a_stale_one_in_use, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_keeps_nothing_small, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_compiles_when_what_was_kept_is_damaged_anywhere, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reuse_keeps_no_secrets_and_takes_them_as_they_are_now, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
