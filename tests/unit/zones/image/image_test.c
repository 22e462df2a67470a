#include "zones/image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* A file of that head and as many zero bytes as make it size long. */
static enum status map_head(const struct image_head *head, size_t size) {
  struct image image;
  struct errbuf err;
  int fd = memfd_create("image", MFD_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  assert_int_equal(pwrite(fd, head, sizeof *head, 0), sizeof *head);
  enum status status = image_map(fd, &image, &err);
  if (status == STATUS_OK)
    image_unmap(&image);
  close(fd);
  return status;
}

static void images_with_unsound_heads_are_refused(void **state) {
  (void)state;
  const size_t size = 4096;
  const struct image_head good =
      {.magic = IMAGE_MAGIC, .size = size, .buckets = 1024, .bucket_count = 16, .zones = 2048, .zone_count = 1};
  assert_int_equal(map_head(&good, size), STATUS_OK);
  struct image_head head = good;
  head.magic--;
  assert_int_equal(map_head(&head, size), STATUS_VERSION);
  head = good;
  head.size = size + 1;
  assert_int_equal(map_head(&head, size), STATUS_INVALID);
  head = good;
  head.bucket_count = 15;
  assert_int_equal(map_head(&head, size), STATUS_INVALID);
  head.bucket_count = 0;
  assert_int_equal(map_head(&head, size), STATUS_INVALID);
  head.bucket_count = 512;
  assert_int_equal(map_head(&head, size), STATUS_INVALID);
  head = good;
  head.zones = size + 8;
  assert_int_equal(map_head(&head, size), STATUS_INVALID);
  head.zones = size - 8;
  assert_int_equal(map_head(&head, size), STATUS_INVALID);
}

static void reserved_places_can_be_of_huge_pages(void **state) {
  (void)state;
  const size_t size = 5000;
  int fd = memfd_create("image", MFD_CLOEXEC);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  uint8_t *base = image_reserve(fd, size, PROT_READ | PROT_WRITE);
  assert_ptr_not_equal(base, MAP_FAILED);
  assert_int_equal((uintptr_t)base % IMAGE_HUGE_PAGE, 0);
  base[size - 1] = 7;
  munmap(base, size);
  uint8_t last;
  assert_int_equal(pread(fd, &last, 1, (off_t)size - 1), 1);
  assert_int_equal(last, 7);
  assert_ptr_equal(image_reserve(-1, size, PROT_READ), MAP_FAILED);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(images_with_unsound_heads_are_refused),
      cmocka_unit_test(reserved_places_can_be_of_huge_pages),
  };
  return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
