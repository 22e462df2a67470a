#include "zones/compile/compile.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "tests/unit/zones/compile/compile_fixture.h"

static void image_holds_every_record_as_it_was_written(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com",
           HEAD "@ NS Ns.Other.ORG.\n@ MX 10 Mail\n@ MX 20 mx.other.org.\nmail A 192.0.2.25\nmail AAAA 2001:db8::25\n"
                "www CNAME @\nptr PTR a.b.example.com.\n_x._tcp SRV 1 2 3 Mail\ntxt TXT \"Some Text\"\n"
                "*.w TXT \"w\"\nu TYPE65280 \\# 3 010203\nd DNAME mail\n");
  compile(fixture);
  assert_rrset(fixture, "example.com", SOA, "example.com. 300 IN SOA ns1.example.com. host.example.com. 5 6 7 8 60\n");
  assert_rrset(fixture, "example.com", NS,
               "example.com. 300 IN NS ns1.example.com.\nexample.com. 300 IN NS Ns.Other.ORG.\n");
  assert_rrset(fixture, "example.com", MX,
               "example.com. 300 IN MX 10 Mail.example.com.\nexample.com. 300 IN MX 20 mx.other.org.\n");
  assert_rrset(fixture, "mail.example.com", A, "mail.example.com. 300 IN A 192.0.2.25\n");
  assert_rrset(fixture, "mail.example.com", AAAA, "mail.example.com. 300 IN AAAA 2001:db8::25\n");
  assert_rrset(fixture, "www.example.com", CNAME, "www.example.com. 300 IN CNAME example.com.\n");
  assert_rrset(fixture, "ptr.example.com", 12, "ptr.example.com. 300 IN PTR a.b.example.com.\n");
  assert_rrset(fixture, "_x._tcp.example.com", SRV, "_x._tcp.example.com. 300 IN SRV 1 2 3 Mail.example.com.\n");
  assert_rrset(fixture, "txt.example.com", TXT, "txt.example.com. 300 IN TXT \"Some Text\"\n");
  assert_rrset(fixture, "*.w.example.com", TXT, "*.w.example.com. 300 IN TXT \"w\"\n");
  assert_rrset(fixture, "u.example.com", 65280, "u.example.com. 300 IN TYPE65280 \\# 3 010203\n");
  assert_rrset(fixture, "d.example.com", DNAME, "d.example.com. 300 IN DNAME mail.example.com.\n");
  assert_int_equal(image_head(&fixture->image)->zone_count, 1);
  assert_true(image_head(&fixture->image)->node_count * 3 <= image_head(&fixture->image)->bucket_count * 2);
}

static void image_is_sealed(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD);
  compile(fixture);
  assert_true(write(fixture->fd, "x", 1) < 0);
  assert_int_not_equal(ftruncate(fixture->fd, 0), 0);
  assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fixture->fd, 0), MAP_FAILED);
}

static void image_compresses_only_where_allowed(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD "@ MX 10 mail\nmail A 192.0.2.1\ns SRV 1 2 3 mail\nd DNAME mail\n");
  compile(fixture);
  const struct image_node *apex = look_up(fixture, "example.com");
  const struct image_rrset *mx = image_find_rrset(apex, MX);
  assert_int_equal(mx->data_size, 12 + 2 + 5 + 2);
  assert_int_equal(mx->patch_count, 1);
  assert_int_equal(image_rrset_patches(mx)[0], 12 + 2 + 5);
  assert_int_equal(image_rrset_data(mx)[11], 9); /* RDLENGTH */
  assert_int_equal(image_rrset_targets(mx)[0].at, 12 + 2);
  const struct image_rrset *soa = image_find_rrset(apex, SOA);
  assert_int_equal(soa->patch_count, 2);
  assert_int_equal(rrset_of(fixture, "s.example.com", SRV)->patch_count, 0);
  assert_int_equal(rrset_of(fixture, "d.example.com", DNAME)->patch_count, 0);
}

static void image_of_the_root_zone_needs_no_apex_pointers(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, ".", "$TTL 9\n@ SOA ns. host. 1 2 3 4 5\n@ NS ns.\nns A 192.0.2.1\ncom NS ns\n");
  compile(fixture);
  assert_rrset(fixture, ".", NS, ". 9 IN NS ns.\n");
  assert_rrset(fixture, ".", SOA, ". 9 IN SOA ns. host. 1 2 3 4 5\n");
  assert_int_equal(rrset_of(fixture, ".", SOA)->patch_count, 0);
  assert_int_equal(look_up(fixture, "com")->flags, IMAGE_CUT | IMAGE_LINKED);
}

static void image_has_negative_soa_with_lower_ttl(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD);
  add_zone(fixture, "example.net", "$TTL 20\n@ SOA a.example. b 9 6 7 8 60\n@ NS a.example.\n");
  compile(fixture);
  const struct image_zone *zone = image_zone(&fixture->image, 0);
  const struct image_node *apex = image_node(&fixture->image, zone->apex);
  assert_ptr_equal(apex, look_up(fixture, "example.com"));
  assert_int_equal(zone->minimum_s, 60);
  assert_int_equal(zone->serial, 5);
  assert_int_equal(zone->name_size, 13);
  assert_int_equal(zone->record_count, 3);
  char *text = expand(apex, image_rrset(&fixture->image, zone->soa));
  assert_string_equal(text, "example.com. 60 IN SOA ns1.example.com. host.example.com. 5 6 7 8 60\n");
  free(text);
  assert_int_equal(image_rrset(&fixture->image, zone->ns)->type, NS);
  assert_int_equal(image_zone(&fixture->image, 1)->minimum_s, 20);
  assert_int_equal(image_rrset_ttl(image_rrset(&fixture->image, image_zone(&fixture->image, 1)->soa)), 20);
}

static void image_has_empty_non_terminals(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD "a.b.c TXT x\n");
  compile(fixture);
  const struct image_node *node = look_up(fixture, "b.c.example.com");
  assert_non_null(node);
  assert_int_equal(node->rrset_count, 0);
  assert_int_equal(node->service, IMAGE_NONE);
  assert_int_equal(node->member, UINT16_MAX);
  assert_non_null(look_up(fixture, "c.example.com"));
  assert_null(look_up(fixture, "com"));
  assert_null(look_up(fixture, "x.example.com"));
}

static void image_links_wildcards(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD "*.w TXT x\n");
  compile(fixture);
  assert_int_equal(links_of(fixture, "w.example.com").wildcard, unit_of(fixture, "*.w.example.com"));
  assert_int_equal(look_up(fixture, "*.w.example.com")->flags, IMAGE_WILDCARD);
  assert_int_equal(links_of(fixture, "example.com").wildcard, 0);
}

static void image_links_cuts_and_keeps_only_glue_below(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com",
           HEAD "sub NS ns.sub\nsub NS ns1\nsub DS 1 8 2 00\nsub TXT hidden\n"
                "ns.sub A 192.0.2.2\nns.sub TXT hidden\ndeep.sub NS x.deep.sub\n*.sub A 192.0.2.3\n");
  compile(fixture);
  const struct image_node *cut = look_up(fixture, "sub.example.com");
  assert_int_equal(cut->flags, IMAGE_CUT | IMAGE_LINKED);
  assert_int_equal(image_node_links(cut).cut, unit_of(fixture, "sub.example.com"));
  assert_int_equal(image_node_links(cut).wildcard, 0);
  assert_int_equal(cut->rrset_count, 2);
  assert_rrset(fixture, "sub.example.com", DS, "sub.example.com. 300 IN DS 1 8 2 00\n");
  const struct image_node *glue = look_up(fixture, "ns.sub.example.com");
  assert_int_equal(glue->flags, IMAGE_BELOW_CUT | IMAGE_LINKED);
  assert_int_equal(image_node_links(glue).cut, image_node_links(cut).cut);
  assert_int_equal(glue->rrset_count, 1);
  const struct image_node *deep = look_up(fixture, "deep.sub.example.com");
  assert_int_equal(deep->flags, IMAGE_BELOW_CUT | IMAGE_LINKED);
  assert_int_equal(image_node_links(deep).cut, image_node_links(cut).cut);
  assert_int_equal(deep->rrset_count, 0);
  assert_target(fixture, "sub.example.com", NS, 0, "ns.sub.example.com");
  assert_target(fixture, "sub.example.com", NS, 1, "ns1.example.com");
}

static void image_flags_cname_and_dname(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD "c CNAME d\nd DNAME example.net.\n");
  compile(fixture);
  assert_int_equal(look_up(fixture, "c.example.com")->flags, IMAGE_CNAME);
  assert_int_equal(look_up(fixture, "d.example.com")->flags, IMAGE_DNAME);
}

static void rrsets_take_the_lowest_ttl_and_drop_repetitions(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com",
           HEAD "a 50 A 192.0.2.9\na 20 A 192.0.2.1\na 70 A 192.0.2.9\n"
                "m MX 1 NS1\nm MX 1 ns1\nt TXT x\nt TXT X\n");
  compile(fixture);
  assert_rrset(fixture, "a.example.com", A, "a.example.com. 20 IN A 192.0.2.9\na.example.com. 20 IN A 192.0.2.1\n");
  assert_rrset(fixture, "m.example.com", MX, "m.example.com. 300 IN MX 1 NS1.example.com.\n");
  assert_rrset(fixture, "t.example.com", TXT, "t.example.com. 300 IN TXT \"x\"\nt.example.com. 300 IN TXT \"X\"\n");
}

static void services_and_members_get_nodes(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "example.com", HEAD "@ MX 1 api\nwww TXT \"beside\"\nsrv SRV 1 1 1 a1.api\n");
  struct config_service *www = add_service(fixture, "www.example.com", NULL);
  add_member(www, "Fra-1", 0);
  add_member(www, "not.a.label", 0);
  struct config_service *api = add_service(fixture, "api.example.com", "_https._tcp");
  add_member(api, "a0", 1);
  add_member(api, "a1", 1);
  add_service(fixture, "*.x.example.com", NULL);
  add_member(&fixture->services[2], "m", 0);
  compile(fixture);
  const struct image_node *node = look_up(fixture, "www.example.com");
  assert_int_equal(node->service, 0);
  assert_int_equal(node->flags, 0);
  assert_int_equal(node->rrset_count, 1);
  node = look_up(fixture, "fra-1.www.example.com");
  assert_int_equal(node->service, 0);
  assert_int_equal(node->flags, IMAGE_MEMBER);
  assert_int_equal(node->member, 0);
  assert_null(look_up(fixture, "not.a.label.www.example.com"));
  node = look_up(fixture, "_https._tcp.api.example.com");
  assert_int_equal(node->service, 1);
  assert_int_equal(node->flags, IMAGE_SRV);
  assert_int_equal(node->member, UINT16_MAX);
  assert_int_equal(look_up(fixture, "_tcp.api.example.com")->service, IMAGE_NONE);
  assert_int_equal(look_up(fixture, "a1.api.example.com")->member, 1);
  assert_int_equal(look_up(fixture, "*.x.example.com")->service, 2);
  assert_int_equal(links_of(fixture, "x.example.com").wildcard, unit_of(fixture, "*.x.example.com"));
  assert_null(look_up(fixture, "m.*.x.example.com"));
  assert_target(fixture, "example.com", MX, 0, "api.example.com");
  assert_target(fixture, "srv.example.com", SRV, 0, "a1.api.example.com");
  assert_int_equal(image_head(&fixture->image)->service_count, 3);
}

static void parent_and_child_zone_stand_side_by_side(void **state) {
  struct fixture *fixture = *state;
  add_zone(fixture, "a.b.example.com", "$TTL 5\n@ SOA n h 1 2 3 4 5\n@ NS n\nn A 192.0.2.1\n");
  add_zone(fixture, "example.com", HEAD "a.b NS elsewhere.a.b\na.b DS 1 8 2 00\nn.a.b A 192.0.2.66\nx MX 1 n.a.b\n");
  compile(fixture);
  const struct image_node *apex = look_up(fixture, "a.b.example.com");
  assert_int_equal(apex->zone, 0);
  assert_int_equal(apex->flags, IMAGE_APEX);
  assert_int_equal(image_node_links(apex).cut, 0);
  assert_rrset(fixture, "a.b.example.com", NS, "a.b.example.com. 5 IN NS n.a.b.example.com.\n");
  assert_rrset(fixture, "a.b.example.com", DS, "a.b.example.com. 300 IN DS 1 8 2 00\n");
  assert_rrset(fixture, "n.a.b.example.com", A, "n.a.b.example.com. 5 IN A 192.0.2.1\n");
  assert_int_equal(look_up(fixture, "b.example.com")->zone, 1);
  assert_null(look_up(fixture, "elsewhere.a.b.example.com"));
  assert_target(fixture, "x.example.com", MX, 0, "n.a.b.example.com");
  assert_rrset(fixture, "x.example.com", MX, "x.example.com. 300 IN MX 1 n.a.b.example.com.\n");
}

/* Names of 22 bytes, which fill a line with their record, among others that do not. */
static void names_and_their_records_share_a_cache_line(void **state) {
  struct fixture *fixture = *state;
  char *text = NULL;
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  fputs(HEAD, stream);
  for (int i = 0; i < 200; i++)
    fprintf(stream, "host%04d A 192.0.2.1\n%s", i, i % 20 == 0 ? "w A 192.0.2.1\n" : "");
  fclose(stream);
  add_zone(fixture, "example.com", text);
  free(text);
  compile(fixture);
  int in_one = 0;
  for (int i = 0; i < 200; i++) {
    char name[64];
    snprintf(name, sizeof name, "host%04d.example.com", i);
    const struct image_node *node = look_up(fixture, name);
    const uint8_t *end = (const uint8_t *)image_rrset_next(image_find_rrset(node, A));
    assert_int_equal(end - (const uint8_t *)node, 64);
    in_one += (uintptr_t)node / 64 == (uintptr_t)(end - 1) / 64;
  }
  assert_true(in_one > 180);
  assert_true(fixture->image.size < 204 * 64 * 9 / 8 + 512 * sizeof(struct image_bucket) + 4096);
}

/* 400 names with 46 KB each. */
static void large_image_can_stand_on_huge_pages(void **state) {
  struct fixture *fixture = *state;
  char *text = NULL, filling[251];
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  memset(filling, 'x', sizeof filling - 1);
  filling[sizeof filling - 1] = '\0';
  fputs(HEAD, stream);
  for (int i = 0; i < 400; i++)
    for (int j = 0; j < 60; j++)
      fprintf(stream, "h%d TXT %s %s %s %d\n", i, filling, filling, filling, j);
  fclose(stream);
  add_zone(fixture, "example.com", text);
  free(text);
  compile(fixture);
  const struct image *image = &fixture->image;
  assert_true(image->size >= IMAGE_HUGE_LEAST);
  assert_int_equal((uintptr_t)image->base % IMAGE_HUGE_PAGE, 0);
  assert_int_equal(image->mapped % IMAGE_HUGE_PAGE, 0);
  assert_int_equal(rrset_of(fixture, "h0.example.com", TXT)->record_count, 60);
  assert_int_equal(rrset_of(fixture, "h399.example.com", TXT)->record_count, 60);
}

static void image_without_zones_is_empty(void **state) {
  struct fixture *fixture = *state;
  compile(fixture);
  assert_int_equal(image_head(&fixture->image)->node_count, 0);
  assert_null(look_up(fixture, "example.com"));
}

static void image_finds_each_of_many_names(void **state) {
  struct fixture *fixture = *state;
  char *text = NULL;
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  fputs(HEAD, stream);
  for (int i = 0; i < 3000; i++)
    fprintf(stream, "h%d.sub%d A 10.0.%d.%d\n", i, i % 7, i / 256, i % 256);
  fclose(stream);
  add_zone(fixture, "example.com", text);
  free(text);
  compile(fixture);
  for (int i = 0; i < 3000; i++) {
    char name[64];
    snprintf(name, sizeof name, "h%d.sub%d.example.com", i, i % 7);
    const struct image_node *node = look_up(fixture, name);
    assert_non_null(node);
    const uint8_t *data = image_rrset_data(image_find_rrset(node, A));
    assert_int_equal(data[14], i / 256);
    assert_int_equal(data[15], i % 256);
  }
  assert_int_equal(image_head(&fixture->image)->node_count, 3000 + 7 + 2);
  assert_int_equal(image_zone(&fixture->image, 0)->record_count, 3003);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(image_holds_every_record_as_it_was_written),
      TEST(image_is_sealed),
      TEST(image_compresses_only_where_allowed),
      TEST(image_of_the_root_zone_needs_no_apex_pointers),
      TEST(image_has_negative_soa_with_lower_ttl),
      TEST(image_has_empty_non_terminals),
      TEST(image_links_wildcards),
      TEST(image_links_cuts_and_keeps_only_glue_below),
      TEST(image_flags_cname_and_dname),
      TEST(rrsets_take_the_lowest_ttl_and_drop_repetitions),
      TEST(services_and_members_get_nodes),
      TEST(parent_and_child_zone_stand_side_by_side),
      TEST(names_and_their_records_share_a_cache_line),
      TEST(large_image_can_stand_on_huge_pages),
      TEST(image_without_zones_is_empty),
      TEST(image_finds_each_of_many_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
