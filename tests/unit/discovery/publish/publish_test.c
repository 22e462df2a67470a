/* With real stores and a configuration, against a server in a thread that takes every update and keeps the last. */
#include "discovery/publish/publish.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <ldns/ldns.h>

#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/model/registration.h"
#include "tests/unit/base/directory.h"

struct scene {
  char directory[64];
  struct store *durable, *live;
  struct house house;
  struct config *config;
  char *text;
  struct publisher *publisher;

  int fd;
  uint16_t port;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  ldns_pkt_rcode code; /* of answers to updates */
  size_t updates;
  ldns_pkt *last;
};

static void answer(struct scene *scene, const uint8_t *bytes, size_t size, const struct sockaddr_in *peer) {
  ldns_pkt *query = NULL;
  if (ldns_wire2pkt(&query, bytes, size) != LDNS_STATUS_OK)
    return;
  uint8_t reply[12] = {bytes[0], bytes[1], (uint8_t)(bytes[2] | 0x84)};
  pthread_mutex_lock(&scene->lock);
  if (ldns_pkt_get_opcode(query) == LDNS_PACKET_UPDATE) {
    reply[3] = (uint8_t)scene->code;
    ldns_pkt_free(scene->last);
    scene->last = query;
    scene->updates++;
    pthread_cond_signal(&scene->changed);
  } else {
    ldns_pkt_free(query);
  }
  pthread_mutex_unlock(&scene->lock);
  sendto(scene->fd, reply, sizeof reply, 0, (const struct sockaddr *)peer, sizeof *peer);
}

static void *serve(void *argument) {
  struct scene *scene = argument;
  for (;;) {
    uint8_t bytes[4096];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t size = recvfrom(scene->fd, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &length);
    if (size < 12)
      return NULL;
    answer(scene, bytes, (size_t)size, &peer);
  }
}

/* Waits for the count-th update. */
static void wait_for_update(struct scene *scene, size_t count) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 10;
  pthread_mutex_lock(&scene->lock);
  while (scene->updates < count)
    if (pthread_cond_timedwait(&scene->changed, &scene->lock, &until) != 0)
      break;
  size_t updates = scene->updates;
  pthread_mutex_unlock(&scene->lock);
  assert_true(updates >= count);
}

static bool last_has(struct scene *scene, const char *owner, ldns_rr_type type, ldns_rr_class class) {
  bool is_found = false;
  ldns_rdf *name = ldns_dname_new_frm_str(owner);
  pthread_mutex_lock(&scene->lock);
  const ldns_rr_list *changes = ldns_pkt_authority(scene->last);
  for (size_t i = 0; i < ldns_rr_list_rr_count(changes); i++) {
    const ldns_rr *record = ldns_rr_list_rr(changes, i);
    is_found |= ldns_rr_get_type(record) == type && ldns_rr_get_class(record) == class &&
                ldns_dname_compare(ldns_rr_owner(record), name) == 0;
  }
  pthread_mutex_unlock(&scene->lock);
  ldns_rdf_deep_free(name);
  return is_found;
}

static void write_balancer(struct scene *scene, bool is_accepting) {
  struct balancer_record record = {.is_alive = true,
                                   .is_accepting = is_accepting,
                                   .is_own = true,
                                   .name = "gslb-lb1",
                                   .address_count = 1,
                                   .weight = 1};
  uint8_t row[RECORD_SIZE_MOST];
  struct store_txn *txn;
  struct errbuf err;
  addr_parse_port("127.0.0.1@8300", &record.addresses[0]);
  assert_int_equal(store_begin(scene->live, true, &txn, &err), STATUS_OK);
  assert_int_equal(store_put(txn, STORE_DB_BALANCERS, (struct store_bytes){"lb1.example.net", 15},
                             (struct store_bytes){row, balancer_encode(&record, row)}, &err),
                   STATUS_OK);
  assert_int_equal(store_mark_changed(txn, STORE_BALANCERS, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
}

static void open_server(struct scene *scene) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  scene->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(scene->fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(scene->fd, (struct sockaddr *)&address, &length), 0);
  scene->port = ntohs(address.sin_port);
  pthread_mutex_init(&scene->lock, NULL);
  pthread_cond_init(&scene->changed, NULL);
  assert_int_equal(pthread_create(&scene->thread, NULL, serve, scene), 0);
}

static int set_up(void **state) {
  struct scene *scene = mem_alloc(sizeof *scene);
  struct errbuf err;
  struct problems problems = {0};
  strcpy(scene->directory, "/tmp/gslb-publish-test-XXXXXX");
  if (!mkdtemp(scene->directory) ||
      store_open(scene->directory, STORE_DURABLE, STORE_CREATE, &scene->durable, &err) != STATUS_OK ||
      store_open(scene->directory, STORE_LIVE, STORE_CREATE, &scene->live, &err) != STATUS_OK)
    return -1;
  scene->house = house_start(0);
  open_server(scene);
  write_balancer(scene, true);
  scene->text = mem_format("server: {identity: lb1.example.net, state: %s, listen: [127.0.0.1@5300]}\n"
                           "zones: [{name: example.com, file: example.com.zone}]\n"
                           "publish: [{server: 127.0.0.1@%u, zone: other.test, from: example.com}]\n",
                           scene->directory, scene->port);
  scene->config = config_parse("gslb.yaml", scene->text, strlen(scene->text), &problems);
  if (!scene->config)
    print_message("%s", problems_format(&problems));
  problems_release(&problems);
  *state = scene;
  return scene->config ? 0 : -1;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  publisher_stop(scene->publisher, true);
  shutdown(scene->fd, SHUT_RDWR);
  pthread_join(scene->thread, NULL);
  close(scene->fd);
  ldns_pkt_free(scene->last);
  config_free(scene->config);
  store_close(scene->durable);
  store_close(scene->live);
  directory_remove(scene->directory);
  free(scene->text);
  free(scene);
  return 0;
}

static void start(struct scene *scene) {
  struct publisher_links links = {.durable = scene->durable, .live = scene->live, .house = &scene->house};
  struct errbuf err;
  assert_int_equal(publisher_start(&links, scene->config, scene->text, strlen(scene->text), &scene->publisher, &err),
                   STATUS_OK);
}

static void what_is_there_is_told_and_taken_back(void **state) {
  struct scene *scene = *state;
  start(scene);
  wait_for_update(scene, 1);
  assert_true(last_has(scene, "_gslb-register._tcp.other.test", LDNS_RR_TYPE_SRV, LDNS_RR_CLASS_IN));
  assert_true(last_has(scene, "_gslb-register._tcp.other.test", LDNS_RR_TYPE_SRV, LDNS_RR_CLASS_ANY));
  assert_true(last_has(scene, "gslb-lb1.other.test", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN));
  publisher_stop(scene->publisher, true);
  scene->publisher = NULL;
  wait_for_update(scene, 2);
  assert_false(last_has(scene, "_gslb-register._tcp.other.test", LDNS_RR_TYPE_SRV, LDNS_RR_CLASS_IN));
}

static void a_change_is_told_when_woken(void **state) {
  struct scene *scene = *state;
  start(scene);
  wait_for_update(scene, 1);
  write_balancer(scene, false);
  publisher_wake(scene->publisher);
  wait_for_update(scene, 2);
}

static void a_refusal_is_shown(void **state) {
  struct scene *scene = *state;
  scene->code = LDNS_RCODE_REFUSED;
  start(scene);
  wait_for_update(scene, 2); /* it tries again */
  json_t *document = publisher_document(scene->publisher);
  const json_t *row = json_array_get(json_object_get(document, "publish"), 0);
  assert_string_equal(json_string_value(json_object_get(row, "state")), "failing");
  assert_string_equal(json_string_value(json_object_get(row, "error")), "the server answers REFUSED");
  assert_string_equal(json_string_value(json_object_get(row, "zone")), "other.test");
  json_decref(document);
}

static void what_a_reload_removes_is_taken_back(void **state) {
  struct scene *scene = *state;
  start(scene);
  wait_for_update(scene, 1);
  char *text = mem_strdup(scene->text);
  *strstr(text, "publish:") = '\0';
  publisher_configure(scene->publisher, "gslb.yaml", text, strlen(text));
  free(text);
  wait_for_update(scene, 2);
  assert_false(last_has(scene, "_gslb-register._tcp.other.test", LDNS_RR_TYPE_SRV, LDNS_RR_CLASS_IN));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_is_there_is_told_and_taken_back),
      TEST(a_change_is_told_when_woken),
      TEST(a_refusal_is_shown),
      TEST(what_a_reload_removes_is_taken_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
