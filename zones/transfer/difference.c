#include "zones/transfer/difference.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "zones/image/find.h"
#include "zones/message/wire.h"
#include "zones/records/content.h"

#define ENTRY_HEAD_SIZE 9u /* owner's size, type, TTL, data's size */

struct blob { /* records one after the other, each with a head, owner and data */
  uint8_t *bytes;
  size_t used, capacity;
  uint64_t count;
  bool is_full;
};

struct difference {                 /* one step; immutable */
  struct difference *older, *newer; /* of all zones */
  struct history *history;
  uint32_t from, to; /* serials */
  struct blob blob;  /* in IXFR's order */
};

struct history { /* of one zone, oldest first */
  struct name name;
  size_t bytes;
  uint32_t count;
  struct difference *steps[DIFFERENCES_VERSIONS_MOST];
};

struct differences {
  pthread_mutex_t lock;
  struct history **histories; /* by the zone's index in the newest book; NULL: none */
  uint32_t zone_count;
  uint64_t bytes;
  struct difference *oldest, *newest;
};

struct differences *differences_new(void) {
  struct differences *differences = mem_alloc(sizeof *differences);
  pthread_mutex_init(&differences->lock, NULL);
  return differences;
}

/* Records in a blob */

static bool blob_add(void *context, const struct transfer_record *record) {
  struct blob *blob = context;
  size_t size = ENTRY_HEAD_SIZE + record->owner_size + record->size;
  if (blob->used + size > DIFFERENCES_ZONE_MOST) {
    blob->is_full = true;
    return false;
  }
  blob->bytes = mem_grow(blob->bytes, &blob->capacity, blob->used + size, 1);
  uint8_t *at = blob->bytes + blob->used;
  *at = record->owner_size;
  wire_set_u16(at + 1, record->type);
  wire_set_u32(at + 3, record->ttl_s);
  wire_set_u16(at + 7, record->size);
  memcpy(at + ENTRY_HEAD_SIZE, record->owner, record->owner_size);
  memcpy(at + ENTRY_HEAD_SIZE + record->owner_size, record->data, record->size);
  blob->used += size;
  blob->count++;
  return true;
}

static size_t entry_size(const uint8_t *at) {
  return ENTRY_HEAD_SIZE + *at + (size_t)wire_get_u16(at + 7);
}

static struct transfer_record entry_record(const uint8_t *at) {
  return (struct transfer_record){.owner_size = *at,
                                  .type = wire_get_u16(at + 1),
                                  .ttl_s = wire_get_u32(at + 3),
                                  .size = wire_get_u16(at + 7),
                                  .owner = at + ENTRY_HEAD_SIZE,
                                  .data = at + ENTRY_HEAD_SIZE + *at};
}

static void blob_append(struct blob *blob, const struct blob *more) {
  for (size_t at = 0; at < more->used && !blob->is_full; at += entry_size(more->bytes + at)) {
    struct transfer_record record = entry_record(more->bytes + at);
    blob_add(blob, &record);
  }
}

static void blob_release(struct blob *blob) {
  free(blob->bytes);
  *blob = (struct blob){0};
}

/* Comparing two versions of a zone */

struct comparison {
  const struct transfer_zone *old, *fresh;
  struct blob removed, added;
};

static bool rrset_equals(const struct image_rrset *a, const struct image_rrset *b) {
  return a->type == b->type && a->data_size == b->data_size && a->patch_count == b->patch_count &&
         memcmp(image_rrset_data(a), image_rrset_data(b), a->data_size) == 0;
}

static bool are_equal(const struct comparison *comparison, const struct image_node *old,
                      const struct image_node *fresh) {
  if (!transfer_zone_is_plain(comparison->old, old) || !transfer_zone_is_plain(comparison->fresh, fresh) ||
      old->rrset_count != fresh->rrset_count)
    return false;
  const struct image_rrset *one = image_node_rrsets(old), *other = image_node_rrsets(fresh);
  for (uint16_t i = 0; i < old->rrset_count; i++) {
    if (!rrset_equals(one, other))
      return false;
    one = image_rrset_next(one);
    other = image_rrset_next(other);
  }
  return true;
}

static int compare_entries(const void *a, const void *b) {
  const uint8_t *one = *(const uint8_t *const *)a, *other = *(const uint8_t *const *)b;
  size_t one_size = entry_size(one), other_size = entry_size(other);
  if (one_size != other_size)
    return one_size < other_size ? -1 : 1;
  return memcmp(one, other, one_size);
}

static const uint8_t **sort_entries(const struct blob *blob) {
  const uint8_t **entries = mem_array(blob->count, sizeof *entries);
  size_t count = 0;
  for (size_t at = 0; at < blob->used; at += entry_size(blob->bytes + at))
    entries[count++] = blob->bytes + at;
  qsort(entries, count, sizeof *entries, compare_entries);
  return entries;
}

static void put_entry(struct blob *out, const uint8_t *entry) {
  struct transfer_record record = entry_record(entry);
  blob_add(out, &record);
}

/* What only one of them has goes into removed or added. */
static void compare_blobs(struct comparison *comparison, const struct blob *old, const struct blob *fresh) {
  const uint8_t **olds = sort_entries(old), **freshes = sort_entries(fresh);
  size_t i = 0, j = 0;
  while (i < old->count || j < fresh->count) {
    int order = i == old->count ? 1 : j == fresh->count ? -1 : compare_entries(&olds[i], &freshes[j]);
    if (order < 0)
      put_entry(&comparison->removed, olds[i]);
    if (order > 0)
      put_entry(&comparison->added, freshes[j]);
    i += order <= 0;
    j += order >= 0;
  }
  free(olds);
  free(freshes);
}

static void compare_nodes(struct comparison *comparison, const struct image_node *old, const struct image_node *fresh) {
  if (old && fresh && are_equal(comparison, old, fresh))
    return;
  struct blob olds = {0}, freshes = {0};
  if (old)
    transfer_zone_visit_node(comparison->old, old, blob_add, &olds);
  if (fresh)
    transfer_zone_visit_node(comparison->fresh, fresh, blob_add, &freshes);
  compare_blobs(comparison, &olds, &freshes);
  comparison->removed.is_full |= olds.is_full;
  comparison->added.is_full |= freshes.is_full;
  blob_release(&olds);
  blob_release(&freshes);
}

static void compare_zones(struct comparison *comparison) {
  for (uint32_t i = 0; i < transfer_zone_node_count(comparison->old); i++) {
    const struct image_node *old = transfer_zone_node(comparison->old, i);
    compare_nodes(comparison, old, transfer_zone_find(comparison->fresh, image_node_name(old), old->name_size));
  }
  for (uint32_t i = 0; i < transfer_zone_node_count(comparison->fresh); i++) {
    const struct image_node *fresh = transfer_zone_node(comparison->fresh, i);
    if (!transfer_zone_find(comparison->old, image_node_name(fresh), fresh->name_size))
      compare_nodes(comparison, NULL, fresh);
  }
}

/* Histories */

static void unlink_step(struct differences *differences, const struct difference *step) {
  if (step->older)
    step->older->newer = step->newer;
  else
    differences->oldest = step->newer;
  if (step->newer)
    step->newer->older = step->older;
  else
    differences->newest = step->older;
}

static void drop_oldest(struct differences *differences, struct history *history) {
  struct difference *step = history->steps[0];
  history->count--;
  memmove(history->steps, history->steps + 1, history->count * sizeof(struct difference *));
  history->bytes -= step->blob.used;
  differences->bytes -= step->blob.used;
  unlink_step(differences, step);
  blob_release(&step->blob);
  free(step);
}

static void drop_history(struct differences *differences, struct history *history) {
  if (!history)
    return;
  while (history->count)
    drop_oldest(differences, history);
  free(history);
}

void differences_free(struct differences *differences) {
  if (!differences)
    return;
  for (uint32_t i = 0; i < differences->zone_count; i++)
    drop_history(differences, differences->histories[i]);
  free(differences->histories);
  pthread_mutex_destroy(&differences->lock);
  free(differences);
}

static const struct image_node *zone_apex(const struct transfer_zone *zone) {
  return image_node(zone->image, transfer_zone_image(zone)->apex);
}

static bool is_history_of(const struct history *history, const struct transfer_zone *zone) {
  const struct image_node *apex = zone_apex(zone);
  return history && history->name.size == apex->name_size &&
         memcmp(history->name.wire, image_node_name(apex), apex->name_size) == 0;
}

static struct history *new_history(const struct transfer_zone *zone) {
  const struct image_node *apex = zone_apex(zone);
  struct history *history = mem_alloc(sizeof *history);
  history->name.size = (uint8_t)apex->name_size;
  memcpy(history->name.wire, image_node_name(apex), apex->name_size);
  return history;
}

/* What became of a zone. */
enum change { CHANGE_NONE, CHANGE_STEP, CHANGE_BREAK };

static void log_unseen(const struct transfer_zone *zone, uint32_t old_serial) {
  uint32_t serial = transfer_zone_image(zone)->serial;
  log_warning("zone %s changed, and its serial went from %u to %u, which is no newer one: secondaries will not fetch "
              "it",
              zone->config->zones[zone->index].name, old_serial, serial);
}

/* The step from old to fresh, in *out for CHANGE_STEP. */
static enum change make_step(const struct transfer_zone *old, const struct transfer_zone *fresh,
                             struct difference **out) {
  struct comparison comparison = {.old = old, .fresh = fresh};
  uint32_t from = transfer_zone_image(old)->serial, to = transfer_zone_image(fresh)->serial;
  struct difference *step = mem_alloc(sizeof *step);
  step->from = from;
  step->to = to;
  compare_zones(&comparison);
  bool has_changed = comparison.removed.count || comparison.added.count || comparison.removed.is_full ||
                     comparison.added.is_full || from != to;
  enum change change = CHANGE_BREAK;
  if (!has_changed) {
    change = CHANGE_NONE;
  } else if (!soa_is_newer(to, from)) {
    log_unseen(fresh, from);
  } else if (!comparison.removed.is_full && !comparison.added.is_full) {
    transfer_zone_visit_soa(old, blob_add, &step->blob);
    blob_append(&step->blob, &comparison.removed);
    transfer_zone_visit_soa(fresh, blob_add, &step->blob);
    blob_append(&step->blob, &comparison.added);
    change = step->blob.is_full ? CHANGE_BREAK : CHANGE_STEP;
  }
  blob_release(&comparison.removed);
  blob_release(&comparison.added);
  if (change == CHANGE_STEP) {
    *out = step;
    return change;
  }
  blob_release(&step->blob);
  free(step);
  return change;
}

static void add_step(struct differences *differences, struct history *history, struct difference *step) {
  while (history->count == DIFFERENCES_VERSIONS_MOST ||
         (history->count && history->bytes + step->blob.used > DIFFERENCES_ZONE_MOST))
    drop_oldest(differences, history);
  /* the oldest of all is the oldest of its zone too */
  while (differences->oldest && differences->bytes + step->blob.used > DIFFERENCES_TOTAL_MOST)
    drop_oldest(differences, differences->oldest->history);
  step->history = history;
  step->blob.bytes = mem_resize(step->blob.bytes, step->blob.used, 1);
  step->older = differences->newest;
  if (differences->newest)
    differences->newest->newer = step;
  else
    differences->oldest = step;
  differences->newest = step;
  history->steps[history->count++] = step;
  history->bytes += step->blob.used;
  differences->bytes += step->blob.used;
}

/* The same zone in the old book; false when it had none, or nothing in it. */
static bool find_old(const struct book *old, const struct transfer_zone *fresh, struct transfer_zone *out) {
  if (!old)
    return false;
  const struct image_node *apex = zone_apex(fresh);
  const struct image_node *node =
      find_node(&old->image, image_node_name(apex), apex->name_size, name_hash(image_node_name(apex), apex->name_size));
  if (!node || !(node->flags & IMAGE_APEX))
    return false;
  *out = (struct transfer_zone){.image = &old->image, .config = old->config, .index = node->zone};
  return transfer_zone_is_loaded(out);
}

/* The history that the zone had in the old book, taken out of its place there. */
static struct history *take_history(struct differences *differences, const struct transfer_zone *old) {
  if (old->index >= differences->zone_count || !is_history_of(differences->histories[old->index], old))
    return NULL;
  struct history *history = differences->histories[old->index];
  differences->histories[old->index] = NULL;
  return history;
}

static struct history *follow_zone(struct differences *differences, const struct book *old,
                                   const struct transfer_zone *fresh) {
  struct transfer_zone before;
  if (!transfer_zone_is_shared(&fresh->config->zones[fresh->index]) || !transfer_zone_is_loaded(fresh) ||
      !find_old(old, fresh, &before))
    return NULL;
  struct difference *step = NULL;
  enum change change = make_step(&before, fresh, &step);
  pthread_mutex_lock(&differences->lock);
  struct history *history = take_history(differences, &before);
  if (change == CHANGE_BREAK) {
    drop_history(differences, history);
    history = NULL;
  } else if (change == CHANGE_STEP) {
    if (!history)
      history = new_history(fresh);
    add_step(differences, history, step);
  }
  pthread_mutex_unlock(&differences->lock);
  return history;
}

void differences_follow(struct differences *differences, const struct book *old, const struct book *fresh) {
  uint32_t count = image_head(&fresh->image)->zone_count;
  struct history **histories = mem_array(count, sizeof(struct history *));
  for (uint32_t i = 0; i < count; i++) {
    const struct transfer_zone zone = {.image = &fresh->image, .config = fresh->config, .index = i};
    histories[i] = follow_zone(differences, old, &zone);
  }
  pthread_mutex_lock(&differences->lock);
  for (uint32_t i = 0; i < differences->zone_count; i++)
    drop_history(differences, differences->histories[i]); /* of zones that are gone */
  free(differences->histories);
  differences->histories = histories;
  differences->zone_count = count;
  pthread_mutex_unlock(&differences->lock);
}

/* Whether a chain of steps leads from a serial to another: *first and *end number them, *records counts theirs. */
static bool find_chain(const struct history *history, uint32_t from, uint32_t to, uint32_t *first, uint32_t *end,
                       uint64_t *records) {
  uint32_t i = 0;
  while (i < history->count && history->steps[i]->from != from)
    i++;
  *first = i;
  *records = 0;
  for (uint32_t reached = from; i < history->count && history->steps[i]->from == reached; i++) {
    reached = history->steps[i]->to;
    *records += history->steps[i]->blob.count;
    *end = i + 1;
    if (reached == to)
      return true;
  }
  return false;
}

static bool visit_step(const struct difference *step, transfer_visit *visit, void *context) {
  for (size_t at = 0; at < step->blob.used; at += entry_size(step->blob.bytes + at)) {
    struct transfer_record record = entry_record(step->blob.bytes + at);
    if (!visit(context, &record))
      return false;
  }
  return true;
}

static enum status visit_chain(const struct history *history, uint32_t from, uint32_t to, uint64_t records_most,
                               transfer_visit *visit, void *context) {
  uint64_t records;
  uint32_t first, end;
  if (!find_chain(history, from, to, &first, &end, &records))
    return STATUS_NOTFOUND;
  if (records > records_most)
    return STATUS_LIMIT;
  for (uint32_t i = first; i < end; i++)
    if (!visit_step(history->steps[i], visit, context))
      return STATUS_CONFLICT;
  return STATUS_OK;
}

enum status differences_visit(struct differences *differences, const struct transfer_zone *zone, uint32_t from_serial,
                              uint64_t records_most, transfer_visit *visit, void *context) {
  enum status status = STATUS_NOTFOUND;
  pthread_mutex_lock(&differences->lock);
  /* for a moment the histories may belong to the next book already, and then the index leads to another zone or none */
  if (zone->index < differences->zone_count && is_history_of(differences->histories[zone->index], zone))
    status = visit_chain(differences->histories[zone->index], from_serial, transfer_zone_image(zone)->serial,
                         records_most, visit, context);
  pthread_mutex_unlock(&differences->lock);
  return status;
}

uint64_t differences_bytes(struct differences *differences) {
  pthread_mutex_lock(&differences->lock);
  uint64_t bytes = differences->bytes;
  pthread_mutex_unlock(&differences->lock);
  return bytes;
}
