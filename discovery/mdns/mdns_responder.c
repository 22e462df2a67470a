#include "discovery/mdns/mdns_responder.h"

#include <string.h>

#define SRV_TARGET_AT 6u
#define NSEC_TTL_S 120u
#define NSEC_BITS 5u /* bytes of the map of types: up to SRV */

static bool is_same_name(const struct name *a, const struct name *b) {
  return a->size == b->size && memcmp(a->wire, b->wire, a->size) == 0;
}

/* Where names begin in the data of a type; names compare without regard to case. */
static size_t name_at(const struct directory_record *record) {
  return record->type == DIRECTORY_PTR ? 0 : record->type == DIRECTORY_SRV ? SRV_TARGET_AT : record->size;
}

static bool is_same_record(const struct directory_record *a, const struct directory_record *b) {
  if (!directory_is_same_set(a, b) || a->size != b->size)
    return false;
  size_t from = name_at(a);
  if (from > a->size)
    from = a->size;
  if (memcmp(a->data, b->data, from) != 0)
    return false;
  for (size_t i = from; i < a->size; i++)
    if (name_lower(a->data[i]) != name_lower(b->data[i]))
      return false;
  return true;
}

static bool is_in(const struct directory *directory, const struct directory_record *record) {
  for (size_t i = 0; i < directory->count; i++)
    if (is_same_record(&directory->records[i], record))
      return true;
  return false;
}

static bool is_known(const struct directory *known, const struct directory_record *record) {
  for (size_t i = 0; i < known->count; i++)
    if (known->records[i].ttl_s >= record->ttl_s / 2 && is_same_record(&known->records[i], record))
      return true;
  return false;
}

static void add(struct directory *directory, const struct directory_record *record) {
  if (!is_in(directory, record))
    directory->records[directory->count++] = *record;
}

/* RFC 6762 section 6.1: the owner itself as next name, and the types that it has. */
static void add_nsec(const struct directory *own, const struct name *owner, struct arena *arena,
                     struct directory *answers) {
  uint8_t *data = arena_alloc(arena, owner->size + 2u + NSEC_BITS);
  uint8_t *bits = data + owner->size + 2;
  memcpy(data, owner->wire, owner->size);
  data[owner->size + 1] = NSEC_BITS;
  for (size_t i = 0; i < own->count; i++)
    if (is_same_name(&own->records[i].owner, owner))
      bits[own->records[i].type / 8] |= (uint8_t)(0x80 >> own->records[i].type % 8);
  add(answers, &(struct directory_record){.owner = *owner,
                                          .type = MDNS_TYPE_NSEC,
                                          .ttl_s = NSEC_TTL_S,
                                          .data = data,
                                          .size = (uint16_t)(owner->size + 2u + NSEC_BITS)});
}

/* Whether the question is for a name of ours. */
static bool answer_question(const struct directory *own, const struct mdns_question *question,
                            const struct directory *known, struct arena *arena, struct mdns_reply *out) {
  bool has_name = false, has_type = false, is_unique = false;
  size_t before = out->answers.count;
  for (size_t i = 0; i < own->count; i++) {
    const struct directory_record *record = &own->records[i];
    if (!is_same_name(&record->owner, &question->name))
      continue;
    has_name = true;
    is_unique |= mdns_is_unique(record);
    if (question->type != record->type && question->type != MDNS_TYPE_ANY)
      continue;
    has_type = true;
    if (is_known(known, record))
      continue;
    add(&out->answers, record);
    out->is_shared |= !mdns_is_unique(record);
  }
  if (has_name && !has_type && is_unique)
    add_nsec(own, &question->name, arena, &out->answers);
  return out->answers.count > before;
}

static void add_below(const struct directory *own, const struct name *owner, const struct directory *known,
                      struct mdns_reply *out) {
  for (size_t i = 0; i < own->count; i++)
    if (is_same_name(&own->records[i].owner, owner) && !is_known(known, &own->records[i]) &&
        !is_in(&out->answers, &own->records[i]))
      add(&out->additional, &own->records[i]);
}

/* What the records of a section lead to. */
static void add_followers(const struct directory *own, const struct directory *from, const struct directory *known,
                          struct mdns_reply *out) {
  for (size_t i = 0, count = from->count; i < count; i++) {
    struct name target;
    if (directory_target(&from->records[i], &target))
      add_below(own, &target, known, out);
  }
}

void mdns_answer(const struct directory *own, const struct mdns_message *query, struct arena *arena,
                 struct mdns_reply *out) {
  size_t room = own->count + query->question_count + 1;
  bool has_multicast = false;
  *out = (struct mdns_reply){0};
  out->answers.records = arena_array(arena, room, sizeof *out->answers.records);
  out->additional.records = arena_array(arena, room, sizeof *out->additional.records);
  for (size_t i = 0; i < query->question_count; i++)
    if (answer_question(own, &query->questions[i], &query->answers, arena, out))
      has_multicast |= !query->questions[i].wants_unicast;
  out->wants_unicast = !has_multicast;
  add_followers(own, &out->answers, &query->answers, out);
  add_followers(own, &out->additional, &query->answers, out); /* addresses of the instances' targets */
}

static void remove_known(struct directory *directory, const struct directory *known) {
  size_t kept = 0;
  for (size_t i = 0; i < directory->count; i++)
    if (!is_known(known, &directory->records[i]))
      directory->records[kept++] = directory->records[i];
  directory->count = kept;
}

void mdns_suppress(struct mdns_reply *reply, const struct directory *known) {
  remove_known(&reply->answers, known);
  remove_known(&reply->additional, known);
}

bool mdns_conflicts(const struct directory *own, const struct mdns_message *response) {
  for (size_t i = 0; i < response->answers.count; i++) {
    const struct directory_record *told = &response->answers.records[i];
    bool has_set = false;
    for (size_t j = 0; j < own->count; j++)
      has_set |= mdns_is_unique(&own->records[j]) && directory_is_same_set(&own->records[j], told);
    if (has_set && told->ttl_s && !is_in(own, told))
      return true;
  }
  return false;
}

bool mdns_withdraws_ours(const struct directory *own, const struct mdns_message *response) {
  for (size_t i = 0; i < response->answers.count; i++)
    if (!response->answers.records[i].ttl_s && is_in(own, &response->answers.records[i]))
      return true;
  return false;
}
