#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gslb/base/memory.h"
#include "gslb/net/snmp.h"
#include "tests/unit/net/peer.h"
#include "tests/unit/net/snmpd.h"

#define SYSTEM "1.3.6.1.2.1.1"
#define UP_TIME SYSTEM ".3.0"
#define NAME SYSTEM ".5.0"
#define OWN "1.3.6.1.4.1.8072.9999.9999."

static const char lines[] = "sysname device-1\n"
                            "override ." OWN "1.0 integer -42\n"
                            "override ." OWN "2.0 counter 4294967295\n"
                            "override ." OWN "3.0 octet_str \"0.25\"\n"
                            "override ." OWN "4.0 object_id .1.3.6.1.9\n"
                            "override ." OWN "5.1 integer 11\n"
                            "override ." OWN "5.2 integer 12\n"
                            "override ." OWN "5.3 integer 13\n";

struct scene {
  struct loop *loop;
  struct snmp_client *client;
  struct snmpd snmpd;
  struct peer peer;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  scene->client = snmp_client_new(scene->loop);
  peer_open(&scene->peer, scene->loop, SOCK_DGRAM, "127.0.0.1");
  if (snmpd_is_installed())
    snmpd_start(&scene->snmpd, scene->loop, scene->client, lines);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  snmpd_stop(&scene->snmpd);
  peer_close(&scene->peer);
  snmp_client_free(scene->client);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static void needs_snmpd(void) {
  if (!snmpd_is_installed())
    skip();
}

struct asked { /* one query and what came */
  struct scene *scene;
  struct snmp_request request;
  struct object_id names[80];
  struct snmp_query *query;
  unsigned *left;
  unsigned told;
  enum net_outcome outcome;
  char detail[96];
  struct snmp_value values[8];
  char texts[8][64];
  size_t rows, first_rows;
  bool is_cut;
};

static void keep(struct asked *asked, size_t at, const struct snmp_value *value) {
  if (at >= 8)
    return;
  asked->values[at] = *value;
  snprintf(asked->texts[at], sizeof asked->texts[at], "%s", value->text);
}

static void told(void *context, const struct snmp_answer *answer) {
  struct asked *asked = context;
  asked->told++;
  asked->outcome = answer->outcome;
  snprintf(asked->detail, sizeof asked->detail, "%s", answer->detail);
  if (answer->outcome == NET_ANSWERED) {
    for (size_t i = 0; i < asked->request.object_count; i++)
      keep(asked, i, answer->objects[i]);
    for (size_t r = 0; r < asked->request.root_count; r++) {
      for (size_t i = 0; i < answer->rows[r].count; i++)
        keep(asked, asked->rows++, &answer->rows[r].values[i]);
      asked->is_cut = asked->is_cut || answer->rows[r].is_cut;
      if (r == 0)
        asked->first_rows = answer->rows[0].count;
    }
  }
  if (--*asked->left == 0)
    loop_stop(asked->scene->loop);
}

static void ask(struct asked *asked, struct scene *scene, const struct snmp_identity *access, bool is_walk,
                const char *const *names, unsigned *left) {
  size_t count = 0;
  for (; names[count]; count++)
    assert_int_equal(object_id_parse(names[count], &asked->names[count]), STATUS_OK);
  asked->scene = scene;
  asked->left = left;
  asked->request = (struct snmp_request){.device = scene->snmpd.addr,
                                         .access = access,
                                         .timeout_ms = asked->request.timeout_ms ? asked->request.timeout_ms : 5000,
                                         .rows_most = asked->request.rows_most};
  if (is_walk) {
    asked->request.roots = asked->names;
    asked->request.root_count = count;
  } else {
    asked->request.objects = asked->names;
    asked->request.object_count = count;
  }
  ++*left;
  asked->query = snmp_ask(scene->client, &asked->request, told, asked);
  assert_non_null(asked->query);
}

static void run(struct asked *asked, struct scene *scene, const struct snmp_identity *access, bool is_walk,
                const char *const *names) {
  unsigned left = 0;
  ask(asked, scene, access, is_walk, names, &left);
  assert_int_equal(asked->told, 0);
  loop_run(scene->loop);
  assert_int_equal(asked->told, 1);
}

static const char *const two[] = {UP_TIME, NAME, NULL};

static void objects_are_read_by_v2c(void **state) {
  struct asked asked = {0};
  needs_snmpd();
  run(&asked, *state, &snmpd_v2c, false, two);
  assert_int_equal(asked.outcome, NET_ANSWERED);
  assert_int_equal(asked.values[0].kind, SNMP_KIND_TICKS);
  assert_true(asked.values[0].is_number);
  assert_string_equal(asked.texts[1], "device-1");
  assert_false(asked.values[1].is_number);
}

static void each_kind_of_value_is_understood(void **state) {
  struct asked asked = {0};
  needs_snmpd();
  run(&asked, *state, &snmpd_v2c, false,
      (const char *const[]){OWN "1.0", OWN "2.0", OWN "3.0", OWN "4.0", OWN "99.0", NULL});
  assert_int_equal(asked.outcome, NET_ANSWERED);
  assert_int_equal(asked.values[0].kind, SNMP_KIND_INTEGER);
  assert_true(asked.values[0].number == -42);
  assert_string_equal(asked.texts[0], "-42");
  assert_int_equal(asked.values[1].kind, SNMP_KIND_COUNTER);
  assert_true(asked.values[1].number == 4294967295.0);
  assert_int_equal(asked.values[2].kind, SNMP_KIND_TEXT);
  assert_true(asked.values[2].is_number && asked.values[2].number == 0.25);
  assert_int_equal(asked.values[3].kind, SNMP_KIND_OBJECT_ID);
  assert_string_equal(asked.texts[3], "1.3.6.1.9");
  assert_int_equal(asked.values[4].kind, SNMP_KIND_ABSENT);
}

static void v3_reads_with_authentication_and_privacy(void **state) {
  struct snmp_identity strong = snmpd_v3;
  strong.user = "strong";
  strong.digest = SNMP_DIGEST_SHA512;
  const struct snmp_identity *identities[] = {&snmpd_v3, &snmpd_v3_open, &strong, &snmpd_v3};
  needs_snmpd();
  for (size_t i = 0; i < 4; i++) {
    struct asked asked = {0};
    run(&asked, *state, identities[i], false, two);
    assert_string_equal(asked.detail, "");
    assert_int_equal(asked.outcome, NET_ANSWERED);
    assert_string_equal(asked.texts[1], "device-1");
  }
}

static void v3_tells_what_the_device_refuses(void **state) {
  needs_snmpd();
  struct snmp_identity identity = snmpd_v3;
  identity.auth_secret = "not-the-secret";
  struct asked wrong_secret = {0}, wrong_privacy = {.request = {.timeout_ms = 300}}, unknown = {0}, right = {0};
  run(&wrong_secret, *state, &identity, false, two);
  assert_int_equal(wrong_secret.outcome, NET_PROTOCOL);
  assert_string_equal(wrong_secret.detail, "the device refuses the authentication secret");
  identity = snmpd_v3;
  identity.privacy_secret = "not-the-secret";
  run(&wrong_privacy, *state, &identity, false, two);
  assert_true(wrong_privacy.outcome == NET_PROTOCOL || wrong_privacy.outcome == NET_TIMEOUT_ANSWER);
  identity = snmpd_v3;
  identity.user = "nobody";
  run(&unknown, *state, &identity, false, two);
  assert_string_equal(unknown.detail, "the device does not know the user");
  /* the keys of before are not kept */
  run(&right, *state, &snmpd_v3, false, two);
  assert_int_equal(right.outcome, NET_ANSWERED);
}

static void v3_finds_the_engine_again_when_the_device_was_replaced(void **state) {
  struct scene *scene = *state;
  struct asked before = {0}, after = {0};
  needs_snmpd();
  run(&before, scene, &snmpd_v3, false, two);
  assert_int_equal(before.outcome, NET_ANSWERED);
  char engine[1024];
  snprintf(engine, sizeof engine, "%sexactEngineID 0x8000000001020305\n", lines);
  snmpd_stop(&scene->snmpd);
  snmpd_start(&scene->snmpd, scene->loop, scene->client, engine);
  run(&after, scene, &snmpd_v3, false, two);
  assert_string_equal(after.detail, "");
  assert_int_equal(after.outcome, NET_ANSWERED);
}

static void more_objects_than_fit_in_a_message_are_read_in_several(void **state) {
  const char *names[71];
  struct asked asked = {0};
  needs_snmpd();
  char texts[70][40];
  for (unsigned i = 0; i < 70; i++) {
    snprintf(texts[i], sizeof texts[i], OWN "100.%u", i);
    names[i] = i == 69 ? NAME : i == 0 ? OWN "1.0" : texts[i];
  }
  names[70] = NULL;
  run(&asked, *state, &snmpd_v2c, false, names);
  assert_int_equal(asked.outcome, NET_ANSWERED);
  assert_true(asked.values[0].number == -42);
  assert_int_equal(asked.values[1].kind, SNMP_KIND_ABSENT);
}

static void columns_are_walked_together(void **state) {
  struct asked asked = {0};
  needs_snmpd();
  run(&asked, *state, &snmpd_v2c, true, (const char *const[]){OWN "5", OWN "77", OWN "4", NULL});
  assert_int_equal(asked.outcome, NET_ANSWERED);
  assert_int_equal(asked.rows, 4);
  assert_int_equal(asked.first_rows, 3);
  assert_true(asked.values[0].number == 11 && asked.values[2].number == 13);
  char text[OBJECT_ID_TEXT_SIZE];
  assert_string_equal(object_id_format(&asked.values[1].name, text), OWN "5.2");
  assert_false(asked.is_cut);
}

static void whole_branch_is_walked_by_v3(void **state) {
  struct asked asked = {0}, cut = {.request = {.rows_most = 2}};
  needs_snmpd();
  run(&asked, *state, &snmpd_v3, true, (const char *const[]){SYSTEM, NULL});
  assert_int_equal(asked.outcome, NET_ANSWERED);
  assert_true(asked.rows > SNMP_TOGETHER_MOST); /* that took several messages */
  run(&cut, *state, &snmpd_v3, true, (const char *const[]){OWN "5", NULL});
  assert_int_equal(cut.rows, 2);
  assert_true(cut.is_cut);
}

static void what_is_asked_together_shares_messages(void **state) {
  struct scene *scene = *state;
  unsigned left = 0;
  struct asked first = {0}, second = {0}, third = {0};
  needs_snmpd();
  ask(&first, scene, &snmpd_v2c, false, two, &left);
  ask(&second, scene, &snmpd_v2c, false, (const char *const[]){NAME, OWN "1.0", NULL}, &left);
  ask(&third, scene, &snmpd_v2c, true, (const char *const[]){OWN "5", NULL}, &left);
  loop_run(scene->loop);
  assert_string_equal(first.texts[1], "device-1");
  assert_string_equal(second.texts[0], "device-1");
  assert_true(second.values[1].number == -42);
  assert_int_equal(third.rows, 3);
}

static void cancelled_query_is_not_told(void **state) {
  struct scene *scene = *state;
  unsigned left = 0;
  struct asked first = {0}, second = {0};
  needs_snmpd();
  ask(&first, scene, &snmpd_v2c, false, two, &left);
  ask(&second, scene, &snmpd_v2c, false, two, &left);
  snmp_cancel(first.query);
  left--;
  loop_run(scene->loop);
  assert_int_equal(first.told, 0);
  assert_int_equal(second.told, 1);
  ask(&first, scene, &snmpd_v2c, false, two, &left);
  snmp_cancel(first.query);
}

static void closed_port_is_refused_at_once(void **state) {
  struct scene *scene = *state;
  struct addr snmpd = scene->snmpd.addr;
  struct asked asked = {0}, secret = {0};
  scene->snmpd.addr = peer_nobody(SOCK_DGRAM);
  int64_t before_ms = mono_now_ms();
  run(&asked, scene, &snmpd_v2c, false, two);
  assert_int_equal(asked.outcome, NET_REFUSED);
  run(&secret, scene, &snmpd_v3, false, two);
  assert_int_equal(secret.outcome, NET_REFUSED);
  assert_true(mono_now_ms() - before_ms < 1000);
  scene->snmpd.addr = snmpd;
}

static void silence_and_a_wrong_community_end_at_the_time_out(void **state) {
  struct scene *scene = *state;
  struct addr snmpd = scene->snmpd.addr;
  struct snmp_identity wrong = {.community = "wrong"};
  struct asked silent = {.request = {.timeout_ms = 90}}, community = {.request = {.timeout_ms = 90}};
  scene->snmpd.addr = scene->peer.addr;
  int64_t before_ms = mono_now_ms();
  run(&silent, scene, &snmpd_v2c, false, two);
  assert_int_equal(silent.outcome, NET_TIMEOUT_ANSWER);
  assert_in_range(mono_now_ms() - before_ms, 85, 1000);
  scene->snmpd.addr = snmpd;
  needs_snmpd();
  run(&community, scene, &wrong, false, two);
  assert_int_equal(community.outcome, NET_TIMEOUT_ANSWER);
}

static void rubbish_is_no_answer(void **state) {
  static const uint8_t rubbish[] = {0x30, 0x82, 0xff, 0xff, 0x02, 0x01, 0x01, 0x04, 0x84, 0xff, 0xff, 0xff, 0xff};
  struct scene *scene = *state;
  struct addr snmpd = scene->snmpd.addr;
  struct asked asked = {.request = {.timeout_ms = 90}};
  scene->snmpd.addr = scene->peer.addr;
  scene->peer.answer = rubbish;
  scene->peer.answer_size = sizeof rubbish;
  run(&asked, scene, &snmpd_v2c, false, two);
  assert_int_equal(asked.outcome, NET_TIMEOUT_ANSWER);
  scene->peer.answer = NULL;
  scene->snmpd.addr = snmpd;
}

static void client_ends_what_is_under_way(void **state) {
  struct scene *scene = *state;
  struct loop *loop = loop_new();
  struct snmp_client *client = snmp_client_new(loop);
  struct object_id name;
  object_id_parse(NAME, &name);
  struct snmp_request request = {.device = scene->peer.addr,
                                 .access = &snmpd_v2c,
                                 .timeout_ms = 5000,
                                 .objects = &name,
                                 .object_count = 1};
  snmp_ask(client, &request, told, NULL);
  snmp_client_free(client);
  loop_free(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(objects_are_read_by_v2c),
      cmocka_unit_test(each_kind_of_value_is_understood),
      cmocka_unit_test(v3_reads_with_authentication_and_privacy),
      cmocka_unit_test(v3_tells_what_the_device_refuses),
      cmocka_unit_test(more_objects_than_fit_in_a_message_are_read_in_several),
      cmocka_unit_test(columns_are_walked_together),
      cmocka_unit_test(whole_branch_is_walked_by_v3),
      cmocka_unit_test(what_is_asked_together_shares_messages),
      cmocka_unit_test(cancelled_query_is_not_told),
      cmocka_unit_test(closed_port_is_refused_at_once),
      cmocka_unit_test(silence_and_a_wrong_community_end_at_the_time_out),
      cmocka_unit_test(rubbish_is_no_answer),
      cmocka_unit_test(client_ends_what_is_under_way),
      cmocka_unit_test(v3_finds_the_engine_again_when_the_device_was_replaced),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
