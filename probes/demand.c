#include "probes/demand.h"

#include <stdbool.h>
#include <stdlib.h>

#include "gslb/base/memory.h"
#include "gslb/model/records.h"

#define READ_AGAIN_MS 5000 /* control gives new members their slots soon after they come */

struct followed {
  size_t service;
  uint32_t *slots;
  size_t slot_count;
  bool is_known;   /* slots are those of all its members */
  int64_t read_ms; /* when they were last looked for; 0: not yet */
  uint64_t answers;
  int64_t asked_ms; /* when answers last grew */
};

struct demand {
  const struct board *board;
  struct followed *followed;
  size_t count;
  uint32_t *places; /* by service: index into followed plus 1; 0: not followed */
};

static bool is_to_follow(const struct config *config, const struct config_service *service) {
  for (size_t i = 0; i < service->monitor_count; i++)
    if (config->monitors[service->monitors[i]].idle_factor > 1)
      return true;
  return false;
}

struct demand *demand_new(const struct config *config, const struct board *board, int64_t now_ms) {
  struct demand *demand = mem_alloc(sizeof *demand);
  size_t capacity = 0;
  demand->board = board;
  demand->places = mem_array(config->service_count + 1, sizeof *demand->places);
  for (size_t i = 0; i < config->service_count; i++) {
    if (!is_to_follow(config, &config->services[i]))
      continue;
    demand->followed = mem_grow(demand->followed, &capacity, demand->count + 1, sizeof *demand->followed);
    demand->followed[demand->count++] = (struct followed){.service = i, .asked_ms = now_ms};
    demand->places[i] = (uint32_t)demand->count;
  }
  return demand;
}

void demand_free(struct demand *demand) {
  if (!demand)
    return;
  for (size_t i = 0; i < demand->count; i++)
    free(demand->followed[i].slots);
  free(demand->followed);
  free(demand->places);
  free(demand);
}

void demand_members_changed(struct demand *demand, size_t service) {
  if (demand->places[service])
    demand->followed[demand->places[service] - 1].is_known = false;
}

static void read_slots(struct followed *followed, struct store_txn *txn, const struct config_service *service) {
  followed->slots = mem_resize(followed->slots, service->member_count + 1, sizeof *followed->slots);
  followed->slot_count = 0;
  for (size_t m = 0; m < service->member_count; m++) {
    struct record_key key;
    struct store_bytes value;
    struct slot_record record;
    record_key_member(service->name, service->members[m].name, &key);
    if (store_get(txn, STORE_DB_SLOTS, (struct store_bytes){key.bytes, key.size}, &value) == STATUS_OK &&
        slot_decode(value.data, value.size, &record) == STATUS_OK)
      followed->slots[followed->slot_count++] = record.slot;
  }
  followed->is_known = followed->slot_count == service->member_count;
}

static void read_unknown(struct demand *demand, struct store *durable, demand_service *service, const void *context,
                         int64_t now_ms) {
  struct store_txn *txn = NULL;
  for (size_t i = 0; i < demand->count; i++) {
    struct followed *followed = &demand->followed[i];
    if (followed->is_known || (followed->read_ms && now_ms - followed->read_ms < READ_AGAIN_MS))
      continue;
    if (!txn && store_begin(durable, false, &txn, NULL) != STATUS_OK)
      return;
    followed->read_ms = now_ms;
    read_slots(followed, txn, service(context, followed->service));
  }
  store_abort(txn);
}

void demand_look(struct demand *demand, struct store *durable, demand_service *service, const void *context,
                 int64_t now_ms) {
  if (durable)
    read_unknown(demand, durable, service, context, now_ms);
  for (size_t i = 0; i < demand->count; i++) {
    struct followed *followed = &demand->followed[i];
    uint64_t answers = 0;
    for (size_t s = 0; s < followed->slot_count; s++)
      answers += board_answers(demand->board, followed->slots[s]);
    if (answers != followed->answers || !followed->is_known)
      followed->asked_ms = now_ms;
    followed->answers = answers;
  }
}

int64_t demand_quiet_ms(const struct demand *demand, size_t service, int64_t now_ms) {
  if (!demand->places[service])
    return 0;
  const struct followed *followed = &demand->followed[demand->places[service] - 1];
  return followed->is_known ? now_ms - followed->asked_ms : 0;
}
