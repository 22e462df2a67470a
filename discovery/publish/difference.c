#include "discovery/publish/difference.h"

#include <string.h>

#define SRV_WEIGHT_AT 2u
#define SRV_TARGET_AT 6u

struct slice { /* one set */
  const struct directory_record *records;
  size_t count;
};

struct work {
  struct difference *out;
  size_t set;
  bool is_sure;
};

static bool is_same_data(const struct directory_record *a, const struct directory_record *b) {
  return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static bool is_weight_apart(const struct directory_record *a, const struct directory_record *b) {
  return a->type == DIRECTORY_SRV && a->size == b->size && a->size > SRV_TARGET_AT && a->ttl_s == b->ttl_s &&
         memcmp(a->data, b->data, SRV_WEIGHT_AT) == 0 &&
         memcmp(a->data + SRV_WEIGHT_AT + 2, b->data + SRV_WEIGHT_AT + 2, a->size - SRV_WEIGHT_AT - 2) == 0;
}

static const struct directory_record *find(const struct slice *slice, const struct directory_record *record) {
  for (size_t i = 0; i < slice->count; i++)
    if (is_same_data(&slice->records[i], record))
      return &slice->records[i];
  return NULL;
}

static bool is_same_slice(const struct slice *a, const struct slice *b) {
  if (a->count != b->count || a->records[0].ttl_s != b->records[0].ttl_s)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (!is_same_data(&a->records[i], &b->records[i]))
      return false;
  return true;
}

/* SRV records are sorted by their weights too, so the other set is gone through for each. */
static bool differs_in_weights_alone(const struct slice *a, const struct slice *b) {
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++) {
    bool is_found = false;
    for (size_t j = 0; j < b->count && !is_found; j++)
      is_found = is_weight_apart(&a->records[i], &b->records[j]);
    if (!is_found)
      return false;
  }
  return true;
}

static void push(struct work *work, enum change_kind kind, const struct directory_record *record) {
  work->out->changes[work->out->count++] = (struct change){kind, record, work->set};
}

static void compare_shared(struct work *work, const struct slice *told, const struct slice *wanted) {
  size_t before = work->out->count;
  for (size_t i = 0; i < told->count; i++)
    if (told->records[i].size && !find(wanted, &told->records[i]))
      push(work, CHANGE_DELETE, &told->records[i]);
  for (size_t i = 0; i < wanted->count; i++) {
    const struct directory_record *known = find(told, &wanted->records[i]);
    if (!work->is_sure || !known || known->ttl_s != wanted->records[i].ttl_s)
      push(work, CHANGE_ADD, &wanted->records[i]);
  }
  work->out->is_urgent |= work->out->count > before;
}

static void compare_own(struct work *work, const struct slice *told, const struct slice *wanted) {
  if (work->is_sure && told->count && wanted->count && is_same_slice(told, wanted))
    return;
  push(work, CHANGE_DELETE_SET, told->count ? told->records : wanted->records);
  for (size_t i = 0; i < wanted->count; i++)
    push(work, CHANGE_ADD, &wanted->records[i]);
  work->out->is_urgent |= !work->is_sure || !differs_in_weights_alone(told, wanted);
}

static struct slice take_set(const struct directory *directory, size_t at) {
  struct slice slice = {.records = directory->records + at};
  while (at + slice.count < directory->count &&
         directory_is_same_set(&directory->records[at], &directory->records[at + slice.count]))
    slice.count++;
  return slice;
}

/* Which of the two sets comes first; 0: they are the same. An end comes last. */
static int compare_sets(const struct directory *a, size_t a_at, const struct directory *b, size_t b_at) {
  if (a_at >= a->count || b_at >= b->count)
    return a_at < a->count ? -1 : 1;
  int order = directory_compare_owners(&a->records[a_at].owner, &b->records[b_at].owner);
  return order ? order : a->records[a_at].type - b->records[b_at].type;
}

static bool is_type_set(const struct directory_record *record) {
  static const uint8_t head[] = "\x09_services\x07_dns-sd\x04_udp";
  return record->type == DIRECTORY_PTR && record->owner.size > sizeof head - 1 &&
         memcmp(record->owner.wire, head, sizeof head - 1) == 0;
}

static void put_types_last(struct difference *difference, struct arena *arena) {
  struct change *ordered = arena_array(arena, difference->count ? difference->count : 1, sizeof *ordered);
  size_t count = 0;
  for (int round = 0; round < 2; round++)
    for (size_t i = 0; i < difference->count; i++) {
      struct change change = difference->changes[i];
      bool is_type = change.kind == CHANGE_DELETE && is_type_set(change.record);
      if (is_type != (round == 1))
        continue;
      if (is_type)
        change.kind = CHANGE_DELETE_TYPE;
      ordered[count++] = change;
    }
  difference->changes = ordered;
}

void difference_make(const struct directory *told, const struct directory *wanted, bool is_sure, struct arena *arena,
                     struct difference *out) {
  struct work work = {.out = out, .is_sure = is_sure};
  *out =
      (struct difference){.changes = arena_array(arena, 2 * (told->count + wanted->count) + 1, sizeof *out->changes)};
  for (size_t i = 0, j = 0; i < told->count || j < wanted->count; work.set++) {
    int order = compare_sets(told, i, wanted, j);
    struct slice old = order <= 0 ? take_set(told, i) : (struct slice){0};
    struct slice new = order >= 0 ? take_set(wanted, j) : (struct slice){0};
    if ((old.count ? old.records : new.records)->type == DIRECTORY_PTR)
      compare_shared(&work, &old, &new);
    else
      compare_own(&work, &old, &new);
    i += old.count;
    j += new.count;
  }
  put_types_last(out, arena);
}
