#include "tests/unit/zones/compile/compile_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <ldns/ldns.h>

int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-compile-XXXXXX");
  assert_non_null(mkdtemp(fixture->directory));
  fixture->fd = -1;
  fixture->config = (struct config){.path = "gslb.yaml", .zones = fixture->zones, .services = fixture->services};
  *state = fixture;
  return 0;
}

int tear_down(void **state) {
  struct fixture *fixture = *state;
  for (size_t i = 0; i < fixture->config.zone_count; i++) {
    unlink(fixture->files[i]);
    free(fixture->files[i]);
  }
  rmdir(fixture->directory);
  problems_release(&fixture->problems);
  image_unmap(&fixture->image);
  if (fixture->fd >= 0)
    close(fixture->fd);
  free(fixture);
  return 0;
}

void add_zone(struct fixture *fixture, const char *name, const char *text) {
  size_t index = fixture->config.zone_count++;
  assert_true(index < ZONES_MOST);
  char *path = fixture->files[index] = mem_format("%s/%zu.zone", fixture->directory, index);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
  fixture->zones[index] = (struct config_zone){.pos = {.line = 2, .column = 1}, .name = name, .file = path};
}

struct config_service *add_service(struct fixture *fixture, const char *name, const char *srv) {
  size_t index = fixture->config.service_count++;
  assert_true(index < SERVICES_MOST);
  int line = 10 * (int)(index + 1);
  fixture->services[index] = (struct config_service){.pattern = CONFIG_NO_PATTERN,
                                                     .pos = {.line = line, .column = 3},
                                                     .name = name,
                                                     .srv = srv,
                                                     .srv_pos = {.line = line + 1, .column = 3},
                                                     .members = fixture->members[index]};
  return &fixture->services[index];
}

void add_member(struct config_service *service, const char *name, uint16_t srv_port) {
  size_t index = service->member_count++;
  service->members[index] = (struct config_member){.pos = {.line = service->pos.line + 2 + (int)index, .column = 5},
                                                   .name = name,
                                                   .site = UINT32_MAX,
                                                   .srv_port = srv_port};
}

void compile(struct fixture *fixture) {
  enum status status = zones_compile(&fixture->config, &fixture->fd, &fixture->problems);
  for (size_t i = 0; i < fixture->problems.count; i++)
    print_error("%d: %s\n", fixture->problems.items[i].line, fixture->problems.items[i].text);
  assert_int_equal(status, STATUS_OK);
  struct errbuf err;
  assert_int_equal(image_map(fixture->fd, &fixture->image, &err), STATUS_OK);
}

void assert_refused(struct fixture *fixture, const char *file, int line, int column, const char *text) {
  assert_int_equal(zones_compile(&fixture->config, &fixture->fd, &fixture->problems), STATUS_INVALID);
  assert_int_equal(fixture->fd, -1);
  const struct problem *first = &fixture->problems.items[0];
  assert_string_equal(first->text, text);
  assert_string_equal(first->file, file);
  assert_int_equal(first->line, line);
  assert_int_equal(first->column, column);
  assert_int_equal(fixture->problems.count, 1);
}

void assert_zone_refused(struct fixture *fixture, const char *zone_text, int line, const char *text) {
  char expected[512];
  add_zone(fixture, "example.com", zone_text);
  snprintf(expected, sizeof expected, text, fixture->files[0]);
  assert_refused(fixture, fixture->files[0], line, 0, expected);
}

const struct image_node *look_up(const struct fixture *fixture, const char *text) {
  struct name name;
  assert_int_equal(name_from_text(text, &name), STATUS_OK);
  uint64_t hash = name_hash(name.wire, name.size);
  find_prefetch(&fixture->image, hash);
  find_prefetch_node(&fixture->image, hash);
  return find_node(&fixture->image, name.wire, name.size, hash);
}

struct image_links links_of(const struct fixture *fixture, const char *name) {
  return image_node_links(look_up(fixture, name));
}

const struct image_rrset *rrset_of(const struct fixture *fixture, const char *name, uint16_t type) {
  return image_find_rrset(look_up(fixture, name), type);
}

uint32_t unit_of(const struct fixture *fixture, const char *name) {
  return (uint32_t)((const uint8_t *)look_up(fixture, name) - fixture->image.base) / IMAGE_UNIT;
}

char *expand(const struct image_node *node, const struct image_rrset *rrset) {
  uint8_t wire[65536 + 512] =
      {[2] = 0x84, [5] = 1, [6] = (uint8_t)(rrset->record_count >> 8), [7] = (uint8_t)rrset->record_count};
  size_t used = 12;
  memcpy(wire + used, image_node_name(node), node->name_size);
  used += node->name_size;
  const uint8_t question[4] = {(uint8_t)(rrset->type >> 8), (uint8_t)rrset->type, 0, 1};
  memcpy(wire + used, question, sizeof question);
  used += sizeof question;
  memcpy(wire + used, image_rrset_data(rrset), rrset->data_size);
  used += rrset->data_size;
  ldns_pkt *packet = NULL;
  assert_int_equal(ldns_wire2pkt(&packet, wire, used), LDNS_STATUS_OK);
  char *text = ldns_rr_list2str(ldns_pkt_answer(packet));
  for (char *at = text; *at; at++)
    if (*at == '\t')
      *at = ' ';
  ldns_pkt_free(packet);
  return text;
}

void assert_rrset(const struct fixture *fixture, const char *name, uint16_t type, const char *expected) {
  const struct image_node *node = look_up(fixture, name);
  assert_non_null(node);
  const struct image_rrset *rrset = image_find_rrset(node, type);
  assert_non_null(rrset);
  char *text = expand(node, rrset);
  assert_string_equal(text, expected);
  free(text);
}

void assert_target(const struct fixture *fixture, const char *name, uint16_t type, uint16_t index, const char *target) {
  const struct image_rrset *rrset = rrset_of(fixture, name, type);
  assert_non_null(rrset);
  assert_true(index < rrset->target_count);
  assert_int_equal(image_target_node(&image_rrset_targets(rrset)[index]), unit_of(fixture, target));
}
