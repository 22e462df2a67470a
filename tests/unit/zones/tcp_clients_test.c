#include "zones/tcp_clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gslb/base/random.h"

#define ADDRESSES 300u
#define CONNECTIONS 200u

static struct addr numbered(uint32_t number) {
  struct addr addr = {.family = 6, .port = (uint16_t)(number * 7 + 1), .bytes = {0x20, 0x01, 0x0d, 0xb8}};
  addr.bytes[14] = (uint8_t)(number >> 8);
  addr.bytes[15] = (uint8_t)number;
  return addr;
}

static void address_gets_its_share_and_no_more_whatever_its_port(void **state) {
  (void)state;
  struct tcp_clients *clients = tcp_clients_new(10);
  struct addr client = numbered(1), other = numbered(2);
  for (int i = 0; i < 3; i++, client.port++)
    assert_true(tcp_clients_add(clients, &client, 3));
  assert_false(tcp_clients_add(clients, &client, 3));
  assert_true(tcp_clients_add(clients, &other, 3));
  tcp_clients_remove(clients, &client);
  assert_true(tcp_clients_add(clients, &client, 3));
  assert_false(tcp_clients_add(clients, &client, 3));
  tcp_clients_free(clients);
}

static void every_address_is_counted_right_while_others_come_and_go(void **state) {
  (void)state;
  struct tcp_clients *clients = tcp_clients_new(CONNECTIONS);
  static uint32_t held[ADDRESSES];
  uint32_t all = 0;
  struct random random;
  random_seed(&random, 7);
  for (int turn = 0; turn < 200000; turn++) {
    uint32_t number = random_below(&random, ADDRESSES);
    struct addr client = numbered(number);
    if (all < CONNECTIONS && random_below(&random, 2)) {
      bool is_taken = tcp_clients_add(clients, &client, 3);
      assert_int_equal(is_taken, held[number] < 3);
      held[number] += is_taken;
      all += is_taken;
    } else if (held[number]) {
      tcp_clients_remove(clients, &client);
      held[number]--;
      all--;
    }
  }
  for (uint32_t number = 0; number < ADDRESSES; number++)
    for (struct addr client = numbered(number); held[number]; held[number]--)
      tcp_clients_remove(clients, &client);
  /* as empty as at first: all of one address fit */
  struct addr client = numbered(5);
  for (uint32_t i = 0; i < CONNECTIONS; i++)
    assert_true(tcp_clients_add(clients, &client, CONNECTIONS));
  assert_false(tcp_clients_add(clients, &client, CONNECTIONS));
  tcp_clients_free(clients);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(address_gets_its_share_and_no_more_whatever_its_port),
      cmocka_unit_test(every_address_is_counted_right_while_others_come_and_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
