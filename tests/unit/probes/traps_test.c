#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "probes/traps.h"
#include "tests/unit/net/peer.h"

/* SNMPv2-Trap-PDU of v2c with the community "told": sysUpTime.0 and an event of its own in snmpTrapOID.0 */
static const uint8_t trap[] = {
    0x30, 0x40, 0x02, 0x01, 0x01, 0x04, 0x04, 't',  'o',  'l',  'd',  0xa7, 0x35, 0x02, 0x01, 0x07, 0x02,
    0x01, 0x00, 0x02, 0x01, 0x00, 0x30, 0x2a, 0x30, 0x0d, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x02, 0x01, 0x01,
    0x03, 0x00, 0x43, 0x01, 0x01, 0x30, 0x19, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x06, 0x03, 0x01, 0x01, 0x04,
    0x01, 0x00, 0x06, 0x0b, 0x2b, 0x06, 0x01, 0x06, 0x03, 0x01, 0x01, 0x05, 0x03, 0x81, 0x00,
};

struct scene {
  struct loop *loop;
  struct snmp_client *client;
  struct traps *traps;
  struct addr addr;
  unsigned read, wanted;
  int64_t read_ms[8];
};

static bool knows(void *context, const struct addr *device) {
  (void)context;
  return addr_is_loopback(device);
}

static void read_device(void *context, const struct addr *device) {
  struct scene *scene = context;
  assert_true(addr_is_loopback(device));
  assert_true(scene->read < 8);
  scene->read_ms[scene->read++] = mono_now_ms();
  if (scene->read == scene->wanted)
    loop_stop(scene->loop);
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  struct config_snmp_access access = {.name = "told", .version = SNMP_V2C, .community = "told"};
  struct config config = {.snmp = &access, .snmp_count = 1};
  struct errbuf err;
  struct traps_readers readers = {knows, read_device, scene};
  scene->loop = loop_new();
  scene->client = snmp_client_new(scene->loop);
  int fd = peer_bound(SOCK_DGRAM, &scene->addr);
  config.trap_listen = scene->addr;
  scene->traps = traps_new(scene->loop, scene->client, &config, fd, &readers, &err);
  *state = scene;
  return scene->traps ? 0 : -1;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  traps_free(scene->traps);
  snmp_client_free(scene->client);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static void send_traps(struct scene *scene, unsigned count) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(&scene->addr, &sockaddr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(sendto(fd, trap, sizeof trap, 0, (struct sockaddr *)&sockaddr, length), sizeof trap);
  close(fd);
}

static void device_is_read_at_once(void **state) {
  struct scene *scene = *state;
  int64_t before_ms = mono_now_ms();
  scene->wanted = 1;
  send_traps(scene, 1);
  loop_run(scene->loop);
  assert_true(scene->read_ms[0] - before_ms < 500);
  assert_int_equal(traps_counts(scene->traps).heard, 1);
}

static void device_that_keeps_talking_is_read_every_second(void **state) {
  struct scene *scene = *state;
  scene->wanted = 2;
  send_traps(scene, 30);
  loop_run(scene->loop);
  assert_int_equal(scene->read, 2);
  assert_true(scene->read_ms[1] - scene->read_ms[0] >= TRAPS_EVERY_MS - 1);
  assert_int_equal(traps_counts(scene->traps).heard, 30);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(device_is_read_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(device_that_keeps_talking_is_read_every_second, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
