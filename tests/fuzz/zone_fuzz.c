/* Any bytes as a master file: read, judged, and when they make a zone, compiled and looked through. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "zones/compile/compile.h"
#include "zones/image/image.h"
#include "gslb/model/name.h"

#define INPUT_MOST 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* ldns 1.8 loses a few bytes over IPSECKEY and AMTRELAY data that it refuses (ldns_rdf_free for ldns_rdf_deep_free) */
const char *__lsan_default_suppressions(void) {
  return "leak:libldns\n";
}

static void check_rrset(const struct image *image, const struct image_rrset *rrset) {
  const uint8_t *bytes = image_rrset_data(rrset);
  assert(bytes + rrset->data_size <= image->base + image->size);
  uint32_t at = 0;
  uint16_t records = 0;
  while (at < rrset->data_size) {
    at += 12u + ((uint32_t)bytes[at + 10] << 8 | bytes[at + 11]);
    records++;
  }
  assert(at == rrset->data_size && records == rrset->record_count);
  for (uint16_t i = 0; i < rrset->patch_count; i++)
    assert(image_rrset_patches(rrset)[i] + 2 <= rrset->data_size);
  for (uint16_t i = 0; i < rrset->target_count; i++)
    assert(image_rrset_targets(rrset)[i].at < rrset->data_size &&
           (uint64_t)image_target_node(&image_rrset_targets(rrset)[i]) * IMAGE_UNIT < image->size);
}

static void check_image(int fd) {
  struct image image;
  struct errbuf err;
  enum status status = image_map(fd, &image, &err);
  assert(status == STATUS_OK);
  (void)status;
  const struct image_head *head = image_head(&image);
  const struct image_bucket *buckets = image.buckets;
  uint32_t nodes = 0;
  for (uint32_t i = 0; i < head->bucket_count; i++) {
    if (!buckets[i].node)
      continue;
    const struct image_node *node = image_node(&image, buckets[i].node);
    assert(name_size(image_node_name(node)) == node->name_size);
    assert(name_hash(image_node_name(node), node->name_size) >> 32 == buckets[i].tag);
    const struct image_rrset *rrset = image_node_rrsets(node);
    for (uint16_t j = 0; j < node->rrset_count; j++, rrset = image_rrset_next(rrset))
      check_rrset(&image, rrset);
    nodes++;
  }
  assert(nodes == head->node_count);
  check_rrset(&image, image_rrset(&image, image_zone(&image, 0)->soa));
  image_unmap(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > INPUT_MOST)
    return -1;
  int input = memfd_create("zone", MFD_CLOEXEC);
  if (input < 0 || write(input, data, size) != (ssize_t)size)
    abort();
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", input);
  struct config_zone zones[] = {{.name = "example.com", .file = path}};
  struct config_member members[] = {{.name = "m", .srv_port = 1}};
  struct config_service services[] =
      {{.name = "lb.example.com", .srv = "_x._tcp", .members = members, .member_count = 1},
       {.name = "*.w.example.com"}};
  const struct config config = {.path = "fuzz",
                                .zones = zones,
                                .zone_count = 1,
                                .services = services,
                                .service_count = 2};
  struct problems problems = {0};
  int image = -1;
  if (zones_compile(&config, &image, &problems) == STATUS_OK) {
    assert(problems.count == 0);
    check_image(image);
    close(image);
  } else {
    assert(problems.count > 0);
  }
  problems_release(&problems);
  close(input);
  return 0;
}
