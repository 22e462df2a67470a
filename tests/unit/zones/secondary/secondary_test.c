#include "zones/secondary/secondary.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/base/memory.h"
#include "tests/unit/zones/secondary/primary.h"
#include "zones/compile/compile.h"
#include "zones/image/find.h"
#include "zones/message/query.h"
#include "zones/secondary/copy.h"

#define SOA(serial) "example.org. 3600 IN SOA ns1.example.org. host.example.org. " #serial " 3600 1 7200 300\n"
#define NS "example.org. 3600 IN NS ns1.example.org.\n"
#define GLUE "ns1.example.org. 3600 IN A 192.0.2.1\n"
#define COPY(serial) "$TTL 60\n@ SOA ns1 host " #serial " 3600 1 7200 300\n@ NS ns1\nns1 A 192.0.2.1\n"
#define PATIENCE_S 10

struct fixture {
  char directory[64];
  char *file;
  struct primary primary;
  struct house house;
  struct fetch_limits limits;
  struct config_zone zones[2];
  struct config_key key;
  struct config_service service;
  struct config_member member;
  struct addr address;
  struct config config;
  struct secondary *secondary;
  pthread_mutex_t lock;
  pthread_cond_t news;
  unsigned changed_count, expired_count;
  struct errbuf err;
};

static void changed(void *context, const char *zone, const char *what) {
  struct fixture *fixture = context;
  pthread_mutex_lock(&fixture->lock);
  if (strcmp(zone, "example.org") == 0 && strcmp(what, "changed") == 0)
    fixture->changed_count++;
  if (strcmp(zone, "example.org") == 0 && strcmp(what, "expired") == 0)
    fixture->expired_count++;
  pthread_cond_broadcast(&fixture->news);
  pthread_mutex_unlock(&fixture->lock);
}

static void await(struct fixture *fixture, const unsigned *counter, unsigned count) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE_S;
  int failure = 0;
  pthread_mutex_lock(&fixture->lock);
  while (*counter < count && !failure)
    failure = pthread_cond_timedwait(&fixture->news, &fixture->lock, &until);
  unsigned reached = *counter;
  pthread_mutex_unlock(&fixture->lock);
  assert_int_equal(reached, count);
}

static struct secondary_state state_of(struct fixture *fixture) {
  size_t count;
  struct secondary_state *states = secondary_states(fixture->secondary, &count);
  assert_int_equal(count, 1);
  struct secondary_state state = states[0];
  free(states);
  return state;
}

/* Until the zone is at rest and was checked without the copy being changed. */
static struct secondary_state await_rest(struct fixture *fixture, bool has_failed) {
  struct secondary_state state = state_of(fixture);
  int64_t until_ms = mono_now_ms() + PATIENCE_S * 1000;
  while ((state.is_busy || (state.error[0] != 0) != has_failed || (!has_failed && !state.refreshed_ms)) &&
         mono_now_ms() < until_ms) {
    sched_yield();
    state = state_of(fixture);
  }
  return state;
}

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-secondary-XXXXXX");
  assert_non_null(mkdtemp(fixture->directory));
  fixture->file = mem_format("%s/example.org.zone", fixture->directory);
  fixture->house = house_start(0);
  fixture->limits = (struct fetch_limits){.reply_ms = 500, .idle_ms = 2000, .total_ms = 10000, .bytes = 1 << 24};
  primary_start(&fixture->primary);
  fixture->primary.soa.messages[0] = SOA(1);
  fixture->primary.axfr.messages[0] = SOA(1) NS GLUE SOA(1);
  fixture->zones[0] = (struct config_zone){.name = "example.org",
                                           .file = fixture->file,
                                           .primaries = &fixture->primary.addr,
                                           .primary_count = 1,
                                           .primary_key = CONFIG_NO_KEY};
  fixture->config = (struct config){.path = "gslb.yaml",
                                    .zones = fixture->zones,
                                    .zone_count = 1,
                                    .keys = &fixture->key,
                                    .key_count = 1,
                                    .services = &fixture->service};
  pthread_mutex_init(&fixture->lock, NULL);
  pthread_cond_init(&fixture->news, NULL);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  secondary_stop(fixture->secondary);
  primary_stop(&fixture->primary);
  DIR *open = opendir(fixture->directory);
  for (struct dirent *entry = readdir(open); entry; entry = readdir(open)) {
    char *path = mem_format("%s/%s", fixture->directory, entry->d_name);
    unlink(path);
    free(path);
  }
  closedir(open);
  rmdir(fixture->directory);
  free(fixture->file);
  free(fixture);
  return 0;
}

static void start(struct fixture *fixture) {
  const struct secondary_options options = {.house = &fixture->house,
                                            .limits = &fixture->limits,
                                            .changed = changed,
                                            .context = fixture};
  fixture->secondary = secondary_start(&options, &fixture->err);
  assert_non_null(fixture->secondary);
  secondary_configure(fixture->secondary, &fixture->config);
}

static void write_copy(struct fixture *fixture, const char *text, int64_t refreshed_ms) {
  FILE *file = fopen(fixture->file, "we");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(copy_touch(fixture->file, refreshed_ms, &fixture->err), STATUS_OK);
}

static bool has_file(const struct fixture *fixture, const char *ending) {
  char *path = mem_format("%s%s", fixture->file, ending);
  bool is_there = access(path, F_OK) == 0;
  free(path);
  return is_there;
}

static void zone_without_copy_is_fetched_at_once(void **state) {
  struct fixture *fixture = *state;
  int64_t before_ms = house_now_ms(&fixture->house);
  start(fixture);
  await(fixture, &fixture->changed_count, 1);
  struct secondary_state zone = await_rest(fixture, false);
  assert_string_equal(zone.zone, "example.org");
  assert_string_equal(zone.error, "");
  assert_true(zone.has_copy);
  assert_int_equal(zone.serial, 1);
  assert_true(zone.refreshed_ms >= before_ms);
  assert_true(zone.next_ms > zone.refreshed_ms + 3000000 && zone.next_ms <= zone.refreshed_ms + 3600000);
  assert_int_equal(zone.expire_ms, zone.refreshed_ms + 7200000);
  assert_int_equal(zones_check_copy("example.org", fixture->file, &fixture->err), STATUS_OK);
  assert_false(has_file(fixture, ".new"));
}

static void current_copy_is_confirmed_and_its_time_kept(void **state) {
  struct fixture *fixture = *state;
  struct content *content = content_new(1 << 20);
  struct name zone_name;
  int64_t written_ms = house_now_ms(&fixture->house) - 1000000, read_ms;
  write_copy(fixture, COPY(1), written_ms);
  start(fixture);
  int64_t until_ms = mono_now_ms() + PATIENCE_S * 1000;
  struct secondary_state zone = state_of(fixture);
  while ((zone.is_busy || zone.refreshed_ms == written_ms) && mono_now_ms() < until_ms) {
    sched_yield();
    zone = state_of(fixture);
  }
  assert_true(zone.refreshed_ms > written_ms);
  assert_int_equal(fixture->primary.soa_count, 1);
  assert_int_equal(fixture->primary.axfr_count + fixture->primary.ixfr_count, 0);
  assert_int_equal(name_from_text("example.org", &zone_name), STATUS_OK);
  assert_int_equal(copy_read(fixture->file, &zone_name, content, &read_ms, &fixture->err), STATUS_OK);
  assert_int_equal(read_ms, zone.refreshed_ms);
  assert_int_equal(fixture->changed_count, 0);
  content_free(content);
}

static void newer_version_comes_by_differences(void **state) {
  struct fixture *fixture = *state;
  write_copy(fixture, COPY(1), house_now_ms(&fixture->house));
  fixture->primary.soa.messages[0] = SOA(2);
  fixture->primary.ixfr.messages[0] =
      SOA(2) "example.org. 60 IN SOA ns1.example.org. host.example.org. 1 3600 1 7200 300\n" SOA(
          2) "www.example.org. 60 IN A 192.0.2.9\n" SOA(2);
  start(fixture);
  await(fixture, &fixture->changed_count, 1);
  assert_int_equal(await_rest(fixture, false).serial, 2);
  assert_int_equal(fixture->primary.ixfr_count, 1);
  assert_int_equal(fixture->primary.axfr_count, 0);
}

static void notify_of_a_primary_refreshes(void **state) {
  struct fixture *fixture = *state;
  struct addr other;
  start(fixture);
  await(fixture, &fixture->changed_count, 1);
  await_rest(fixture, false);
  fixture->primary.soa.messages[0] = SOA(2);
  fixture->primary.ixfr.messages[0] = SOA(2) NS GLUE SOA(2);
  struct addr from = fixture->primary.addr;
  from.port = 1;
  assert_int_equal(addr_parse("192.0.2.66", &other), STATUS_OK);
  assert_int_equal(secondary_notify(fixture->secondary, "example.org", &other), STATUS_FORBIDDEN);
  assert_int_equal(secondary_notify(fixture->secondary, "example.net", &from), STATUS_NOTFOUND);
  assert_int_equal(secondary_notify(fixture->secondary, "example.org", &from), STATUS_OK);
  await(fixture, &fixture->changed_count, 2);
  assert_int_equal(await_rest(fixture, false).serial, 2);
}

static void expired_copy_is_set_aside(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.soa = fixture->primary.axfr = (struct primary_answer){.rcode = RCODE_REFUSED};
  write_copy(fixture, COPY(1), house_now_ms(&fixture->house) - 7200001);
  start(fixture);
  await(fixture, &fixture->expired_count, 1);
  assert_false(has_file(fixture, ""));
  assert_true(has_file(fixture, ".expired"));
  assert_false(await_rest(fixture, true).has_copy);
}

static void copy_is_kept_while_the_primary_refuses(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.soa = (struct primary_answer){.rcode = RCODE_REFUSED};
  write_copy(fixture, COPY(1), house_now_ms(&fixture->house) - 7100000);
  start(fixture);
  struct secondary_state zone = await_rest(fixture, true);
  assert_non_null(strstr(zone.error, "the primary answers with code 5"));
  assert_true(zone.has_copy);
  assert_true(zone.expire_ms <= house_now_ms(&fixture->house) + 100000);
  assert_true(has_file(fixture, ""));
}

static void next_primary_is_asked_when_the_first_is_away(void **state) {
  struct fixture *fixture = *state;
  struct primary gone = {0};
  primary_start(&gone);
  primary_stop(&gone);
  struct addr both[] = {gone.addr, fixture->primary.addr};
  fixture->zones[0].primaries = both;
  fixture->zones[0].primary_count = 2;
  start(fixture);
  await(fixture, &fixture->changed_count, 1);
}

static void unfit_zone_does_not_replace_the_copy(void **state) {
  struct fixture *fixture = *state;
  write_copy(fixture, COPY(1), house_now_ms(&fixture->house));
  fixture->primary.soa.messages[0] = SOA(2);
  fixture->primary.ixfr = (struct primary_answer){
      .messages = {SOA(2) NS "www.example.org. 60 IN A 192.0.2.1\nwww.example.org. 60 IN CNAME example.org.\n" SOA(2)}};
  start(fixture);
  struct secondary_state zone = await_rest(fixture, true);
  assert_non_null(strstr(zone.error, "has a CNAME beside other data"));
  assert_int_equal(zone.serial, 1);
  assert_false(has_file(fixture, ".new"));
  assert_int_equal(fixture->changed_count, 0);
}

static void broken_copy_is_replaced(void **state) {
  struct fixture *fixture = *state;
  write_copy(fixture, "not a zone\n", house_now_ms(&fixture->house));
  start(fixture);
  await(fixture, &fixture->changed_count, 1);
  assert_int_equal(zones_check_copy("example.org", fixture->file, &fixture->err), STATUS_OK);
}

static void transfers_are_signed_with_the_zone_s_key(void **state) {
  struct fixture *fixture = *state;
  fixture->key = (struct config_key){.name = "transfer.example",
                                     .algorithm = KEY_HMAC_SHA256,
                                     .secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IDEyMw=="};
  fixture->zones[0].primary_key = 0;
  fixture->primary.key_name = "transfer.example.";
  fixture->primary.key_secret = fixture->key.secret;
  start(fixture);
  await(fixture, &fixture->changed_count, 1);
  assert_true(fixture->primary.has_verified);
}

static void reconfiguration_keeps_what_is_as_before(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  await(fixture, &fixture->changed_count, 1);
  struct secondary_state before = await_rest(fixture, false);
  secondary_configure(fixture->secondary, &fixture->config);
  struct secondary_state after = state_of(fixture);
  assert_int_equal(after.serial, 1);
  assert_int_equal(after.refreshed_ms, before.refreshed_ms);
  assert_int_equal(after.next_ms, before.next_ms);
  fixture->config.zone_count = 0;
  secondary_configure(fixture->secondary, &fixture->config);
  size_t count;
  free(secondary_states(fixture->secondary, &count));
  assert_int_equal(count, 0);
  assert_true(has_file(fixture, ""));
}

static void stop_breaks_a_transfer_off(void **state) {
  struct fixture *fixture = *state;
  fixture->limits.idle_ms = fixture->limits.total_ms = 3600000;
  fixture->primary.axfr = (struct primary_answer){.is_absent = true};
  start(fixture);
  int64_t until_ms = mono_now_ms() + PATIENCE_S * 1000;
  while (!fixture->primary.axfr_count && mono_now_ms() < until_ms)
    sched_yield();
  secondary_stop(fixture->secondary);
  fixture->secondary = NULL;
  assert_int_equal(fixture->primary.axfr_count, 1);
}

static void compile(struct fixture *fixture, struct image *image) {
  struct problems problems = {0};
  int fd = -1;
  enum status status = zones_compile(&fixture->config, &fd, &problems);
  for (size_t i = 0; i < problems.count; i++)
    print_error("%s:%d: %s\n", problems.items[i].file, problems.items[i].line, problems.items[i].text);
  problems_release(&problems);
  assert_int_equal(status, STATUS_OK);
  assert_int_equal(image_map(fd, image, &fixture->err), STATUS_OK);
  close(fd);
}

static const struct image_node *look_up(const struct image *image, const char *text) {
  struct name name;
  assert_int_equal(name_from_text(text, &name), STATUS_OK);
  return find_node(image, name.wire, name.size, name_hash(name.wire, name.size));
}

static void add_service(struct fixture *fixture) {
  fixture->service = (struct config_service){.name = "www.example.org",
                                             .pattern = CONFIG_NO_PATTERN,
                                             .members = &fixture->member,
                                             .member_count = 1};
  fixture->member = (struct config_member){.name = "m", .addresses = &fixture->address, .address_count = 1};
  fixture->config.service_count = 1;
}

static void zone_without_copy_compiles_as_absent(void **state) {
  struct fixture *fixture = *state;
  struct image image;
  static const char *const copies[] = {NULL, "not a zone\n", "@ 60 NS ns1\nns1 60 A 192.0.2.1\n",
                                       COPY(1) "a A 192.0.2.1\na CNAME b\n",
                                       COPY(1) "*.wild A 192.0.2.1\nbelow DNAME x\ncut NS ns1\n@ SOA a b 1 2 3 4 5\n"};
  add_service(fixture);
  for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
    if (copies[i])
      write_copy(fixture, copies[i], 0);
    compile(fixture, &image);
    const struct image_node *apex = look_up(&image, "example.org");
    assert_non_null(apex);
    assert_true(apex->flags & IMAGE_APEX);
    assert_int_equal(apex->rrset_count, 0);
    assert_int_equal(image_zone(&image, 0)->soa, 0);
    assert_int_equal(image_zone(&image, 0)->ns, 0);
    assert_int_equal(look_up(&image, "www.example.org")->service, 0);
    image_unmap(&image);
  }
}

static void copies_are_compiled_though_their_primary_is_careless(void **state) {
  struct fixture *fixture = *state;
  struct image image;
  write_copy(fixture, "@ 60 SOA ns1 host 7 2 3 4 5\n@ 60 NS ns1\nd 60 DNAME x\nbelow.d 60 A 192.0.2.1\n", 0);
  compile(fixture, &image);
  assert_int_equal(image_zone(&image, 0)->serial, 7);
  assert_true(image_zone(&image, 0)->soa != 0);
  image_unmap(&image);
}

static void records_of_a_copy_give_way_to_balanced_names(void **state) {
  struct fixture *fixture = *state;
  struct image image;
  add_service(fixture);
  write_copy(fixture, COPY(7) "www A 192.0.2.1\nwww AAAA ::1\nwww TXT kept\nm.www CNAME x\n", 0);
  compile(fixture, &image);
  const struct image_node *node = look_up(&image, "www.example.org");
  assert_int_equal(node->service, 0);
  assert_int_equal(node->rrset_count, 1);
  assert_non_null(image_find_rrset(node, TYPE_TXT));
  assert_int_equal(look_up(&image, "m.www.example.org")->rrset_count, 0);
  image_unmap(&image);
}

static void delegation_in_a_copy_hides_a_balanced_name(void **state) {
  struct fixture *fixture = *state;
  struct image image;
  add_service(fixture);
  write_copy(fixture, COPY(7) "www NS www\nwww A 192.0.2.1\n", 0);
  compile(fixture, &image);
  const struct image_node *node = look_up(&image, "www.example.org");
  assert_true(node->flags & IMAGE_CUT);
  assert_int_equal(node->rrset_count, 2);
  image_unmap(&image);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      test(zone_without_copy_is_fetched_at_once),
      test(current_copy_is_confirmed_and_its_time_kept),
      test(newer_version_comes_by_differences),
      test(notify_of_a_primary_refreshes),
      test(expired_copy_is_set_aside),
      test(copy_is_kept_while_the_primary_refuses),
      test(next_primary_is_asked_when_the_first_is_away),
      test(unfit_zone_does_not_replace_the_copy),
      test(broken_copy_is_replaced),
      test(transfers_are_signed_with_the_zone_s_key),
      test(reconfiguration_keeps_what_is_as_before),
      test(stop_breaks_a_transfer_off),
      test(zone_without_copy_compiles_as_absent),
      test(copies_are_compiled_though_their_primary_is_careless),
      test(records_of_a_copy_give_way_to_balanced_names),
      test(delegation_in_a_copy_hides_a_balanced_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
