/* Multicast DNS: any bytes, as a query to a balancer, as a response that it hears, and as an answer that an agent
 * hears. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "discovery/mdns/mdns_message.h"
#include "discovery/mdns/mdns_query.h"
#include "discovery/mdns/mdns_responder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(struct arena *arena, struct directory *own) {
  static struct balancer_facts balancer = {.identity = "lb1"};
  static const struct directory_wish wish = {.origin = "local", .has_register = true, .is_multicast = true};
  strcpy(balancer.record.name, "gslb-lb1");
  balancer.record.is_accepting = balancer.record.is_own = true;
  balancer.record.address_count = 1;
  addr_parse_port("127.0.0.1@8300", &balancer.record.addresses[0]);
  directory_build_balancers(&balancer, 1, &wish, arena, own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena arena = {0};
  struct directory own;
  struct mdns_message message;
  struct mdns_reply reply;
  struct lookup_answer answer;
  struct name service;
  uint8_t bytes[MDNS_MESSAGE_MOST];
  build(&arena, &own);
  name_from_text(DIRECTORY_REGISTER ".local", &service);
  if (size <= 9000 && mdns_read(data, size, &arena, &message) == STATUS_OK) {
    struct mdns_writing writing = {.is_response = true, .is_legacy = true, .questions = message.questions};
    writing.question_count = message.question_count;
    mdns_answer(&own, &message, &arena, &reply);
    mdns_write(&writing, &reply.answers, &reply.additional, bytes, sizeof bytes);
    mdns_suppress(&reply, &message.answers);
    mdns_conflicts(&own, &message);
    mdns_withdraws_ours(&own, &message);
    directory_sort(&message.answers);
    mdns_query_collect(&message.answers, &service, &arena, &answer);
  }
  arena_release(&arena);
  return 0;
}
