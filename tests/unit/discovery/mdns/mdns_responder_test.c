/* Messages go through mdns_write and mdns_read, so both are tested here as well. */
#include "discovery/mdns/mdns_responder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVICE "_gslb-register._tcp.local"
#define INSTANCE "lb1." SERVICE
#define HOST "gslb-lb1.local"

struct scene {
  struct arena arena;
  struct directory own;
  struct mdns_message query;
  struct mdns_reply reply;
};

static int set_up(void **state) {
  static const struct directory_wish wish = {.origin = "local", .has_register = true, .is_multicast = true};
  struct scene *scene = mem_alloc(sizeof *scene);
  struct balancer_facts *balancer = mem_alloc(sizeof *balancer);
  strcpy(balancer->identity, "lb1");
  strcpy(balancer->record.name, "gslb-lb1");
  balancer->record.is_alive = balancer->record.is_accepting = balancer->record.is_own = true;
  balancer->record.address_count = 1;
  addr_parse_port("127.0.0.1@8300", &balancer->record.addresses[0]);
  directory_build_balancers(balancer, 1, &wish, &scene->arena, &scene->own);
  free(balancer);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  arena_release(&scene->arena);
  free(scene);
  return 0;
}

static struct mdns_question question(const char *name, uint16_t type) {
  struct mdns_question out = {.type = type};
  assert_int_equal(name_from_text(name, &out.name), STATUS_OK);
  return out;
}

/* A query of one question and known answers, as it comes in. */
static void ask(struct scene *scene, const char *name, uint16_t type, const struct directory *known, bool unicast) {
  uint8_t bytes[MDNS_MESSAGE_MOST];
  struct mdns_question asked = question(name, type);
  struct mdns_writing writing = {.questions = &asked, .question_count = 1, .wants_unicast = unicast};
  size_t size = mdns_write(&writing, known ? known : &(struct directory){0}, NULL, bytes, sizeof bytes);
  assert_true(size > 0);
  assert_int_equal(mdns_read(bytes, size, &scene->arena, &scene->query), STATUS_OK);
  assert_false(scene->query.is_response);
  mdns_answer(&scene->own, &scene->query, &scene->arena, &scene->reply);
}

static const struct directory_record *find(const struct directory *directory, const char *owner, uint16_t type) {
  struct name name;
  assert_int_equal(name_from_text(owner, &name), STATUS_OK);
  for (size_t i = 0; i < directory->count; i++)
    if (directory->records[i].type == type && directory->records[i].owner.size == name.size &&
        memcmp(directory->records[i].owner.wire, name.wire, name.size) == 0)
      return &directory->records[i];
  return NULL;
}

static void a_service_is_answered_with_all_that_leads_to_it(void **state) {
  struct scene *scene = *state;
  ask(scene, "_GSLB-Register._TCP.local", DIRECTORY_PTR, NULL, false);
  assert_int_equal(scene->reply.answers.count, 1);
  assert_true(scene->reply.is_shared);
  assert_false(scene->reply.wants_unicast);
  assert_non_null(find(&scene->reply.answers, SERVICE, DIRECTORY_PTR));
  assert_non_null(find(&scene->reply.additional, INSTANCE, DIRECTORY_SRV));
  assert_non_null(find(&scene->reply.additional, INSTANCE, DIRECTORY_TXT));
  assert_non_null(find(&scene->reply.additional, HOST, DIRECTORY_A));
  assert_int_equal(scene->reply.additional.count, 3);
}

static void the_bit_qu_asks_for_unicast(void **state) {
  struct scene *scene = *state;
  ask(scene, HOST, DIRECTORY_A, NULL, true);
  assert_int_equal(scene->reply.answers.count, 1);
  assert_true(scene->reply.wants_unicast);
  assert_false(scene->reply.is_shared);
}

static void known_answers_are_left_out_while_they_last(void **state) {
  struct scene *scene = *state;
  struct directory_record record = *find(&scene->own, SERVICE, DIRECTORY_PTR);
  struct directory known = {.records = &record, .count = 1};
  record.ttl_s = 2250;
  ask(scene, SERVICE, DIRECTORY_PTR, &known, false);
  assert_int_equal(scene->reply.answers.count, 0);
  record.ttl_s = 2249; /* less than half of 4500 */
  ask(scene, SERVICE, DIRECTORY_PTR, &known, false);
  assert_int_equal(scene->reply.answers.count, 1);
  record.ttl_s = 4500;
  mdns_suppress(&scene->reply, &known);
  assert_int_equal(scene->reply.answers.count, 0);
}

static void a_type_that_a_name_of_ours_lacks_is_denied(void **state) {
  struct scene *scene = *state;
  static const uint8_t expected[] = "\x08gslb-lb1\x05local\0\0\x05\x40\0\0\0\0"; /* A alone */
  ask(scene, HOST, DIRECTORY_AAAA, NULL, false);
  assert_int_equal(scene->reply.answers.count, 1);
  assert_int_equal(scene->reply.answers.records[0].type, MDNS_TYPE_NSEC);
  assert_int_equal(scene->reply.answers.records[0].size, sizeof expected - 1);
  assert_memory_equal(scene->reply.answers.records[0].data, expected, sizeof expected - 1);
}

static void other_names_are_met_with_silence(void **state) {
  struct scene *scene = *state;
  ask(scene, "gslb-lb2.local", DIRECTORY_A, NULL, false);
  assert_int_equal(scene->reply.answers.count, 0);
  ask(scene, SERVICE, DIRECTORY_A, NULL, false); /* shared names are not denied */
  assert_int_equal(scene->reply.answers.count, 0);
}

static void any_asks_for_every_type(void **state) {
  struct scene *scene = *state;
  ask(scene, INSTANCE, MDNS_TYPE_ANY, NULL, false);
  assert_int_equal(scene->reply.answers.count, 2);
}

static void read_back(struct scene *scene, const struct mdns_writing *writing, struct mdns_message *out) {
  uint8_t bytes[MDNS_MESSAGE_MOST];
  size_t size = mdns_write(writing, &scene->own, NULL, bytes, sizeof bytes);
  assert_true(size > 0);
  assert_int_equal(mdns_read(bytes, size, &scene->arena, out), STATUS_OK);
}

static void goodbyes_have_no_time_to_live(void **state) {
  struct scene *scene = *state;
  struct mdns_message message;
  read_back(scene, &(struct mdns_writing){.is_response = true, .is_goodbye = true}, &message);
  assert_true(message.is_response);
  assert_int_equal(message.answers.count, scene->own.count);
  for (size_t i = 0; i < message.answers.count; i++)
    assert_int_equal(message.answers.records[i].ttl_s, 0);
  assert_true(mdns_withdraws_ours(&scene->own, &message));
}

static void legacy_answers_are_short_lived_and_repeat_the_question(void **state) {
  struct scene *scene = *state;
  struct mdns_message message;
  struct mdns_question asked = question(HOST, DIRECTORY_A);
  read_back(scene,
            &(struct mdns_writing){.id = 77,
                                   .is_response = true,
                                   .is_legacy = true,
                                   .questions = &asked,
                                   .question_count = 1},
            &message);
  assert_int_equal(message.id, 77);
  assert_int_equal(message.question_count, 1);
  for (size_t i = 0; i < message.answers.count; i++)
    assert_in_range(message.answers.records[i].ttl_s, 1, 10);
}

static void additional_records_give_way(void **state) {
  struct scene *scene = *state;
  uint8_t bytes[MDNS_MESSAGE_MOST];
  struct directory first = {.records = scene->own.records, .count = 1};
  struct mdns_writing writing = {.is_response = true};
  struct mdns_message message;
  size_t alone = mdns_write(&writing, &first, NULL, bytes, sizeof bytes);
  size_t size = mdns_write(&writing, &first, &scene->own, bytes, alone + 40);
  assert_in_range(size, alone, alone + 40);
  assert_int_equal(mdns_read(bytes, size, &scene->arena, &message), STATUS_OK);
  assert_int_equal(message.answers.count, 1);
  assert_int_equal(mdns_write(&writing, &first, NULL, bytes, alone - 1), 0);
}

static void another_machine_with_our_name_is_a_conflict(void **state) {
  struct scene *scene = *state;
  struct mdns_message response = {.is_response = true};
  struct directory_record record = *find(&scene->own, HOST, DIRECTORY_A);
  response.answers = (struct directory){.records = &record, .count = 1};
  assert_false(mdns_conflicts(&scene->own, &response)); /* our own, heard again */
  record.data = (const uint8_t *)"\x7f\0\0\2";
  assert_true(mdns_conflicts(&scene->own, &response));
  record = *find(&scene->own, SERVICE, DIRECTORY_SRV);
  uint8_t other[64];
  memcpy(other, record.data, record.size);
  other[5]++;
  record.data = other;
  assert_false(mdns_conflicts(&scene->own, &response)); /* shared: another balancer */
}

static void malformed_messages_are_refused(void **state) {
  struct scene *scene = *state;
  struct mdns_message message;
  uint8_t bytes[MDNS_MESSAGE_MOST];
  size_t size = mdns_write(&(struct mdns_writing){.is_response = true}, &scene->own, NULL, bytes, sizeof bytes);
  for (size_t cut = 0; cut < size; cut++)
    assert_int_equal(mdns_read(bytes, cut, &scene->arena, &message), STATUS_INVALID);
  bytes[3] |= 3; /* a code */
  assert_int_equal(mdns_read(bytes, size, &scene->arena, &message), STATUS_INVALID);
  bytes[3] &= 0xf0;
  bytes[2] |= 5 << 3; /* an operation */
  assert_int_equal(mdns_read(bytes, size, &scene->arena, &message), STATUS_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_service_is_answered_with_all_that_leads_to_it),
      TEST(the_bit_qu_asks_for_unicast),
      TEST(known_answers_are_left_out_while_they_last),
      TEST(a_type_that_a_name_of_ours_lacks_is_denied),
      TEST(other_names_are_met_with_silence),
      TEST(any_asks_for_every_type),
      TEST(goodbyes_have_no_time_to_live),
      TEST(legacy_answers_are_short_lived_and_repeat_the_question),
      TEST(additional_records_give_way),
      TEST(another_machine_with_our_name_is_a_conflict),
      TEST(malformed_messages_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
