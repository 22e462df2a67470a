#include "zones/answer/listed.h"

#include <urcu-qsbr.h>

#include "gslb/decide/directory.h"
#include "zones/image/find.h"
#include "zones/tables/registered.h"

/* Notes the target of a listed SRV record, wherever its name stands. */
static void note_listed_target(struct reply *reply, const uint8_t *target, size_t name_at) {
  const struct book *book = reply->book;
  struct name name = {.size = (uint8_t)name_size(target)};
  uint64_t hash = name_lower_copy(name.wire, target, name.size);
  const struct listing_name *listed = listing_find(rcu_dereference(book->listing), name.wire, name.size);
  if (listed) {
    reply_note_target(reply, TARGET_LISTED, listed, name_at);
    return;
  }
  struct find_result found;
  struct registered registered;
  find_name(&book->image, name.wire, name.size, hash, TYPE_A, &found);
  enum registered_kind kind = registered_find(book, &found, name.wire, name.size, &registered);
  if (kind == REGISTERED_NAME && (registered.node.flags & IMAGE_MEMBER))
    reply_note_target(reply, TARGET_MEMBER, &registered.table->targets[registered.node.member], name_at);
  else if (kind == REGISTERED_FOREIGN && found.kind == FIND_NAME)
    reply_note_target(reply, TARGET_NODE, found.node, name_at);
}

bool listed_answer(struct reply *reply, uint16_t type) {
  const struct listing *listing = rcu_dereference(reply->book->listing);
  const struct listing_name *listed = listing_find(listing, reply->name->wire, reply->name->size);
  if (!listed || !listed->set_count)
    return false;
  const struct listing_set *set = type == TYPE_ANY ? &listed->sets[0] : listing_set(listed, type);
  if (!set)
    return false;
  size_t start = reply->writer.used;
  if (!reply_put_row(reply, &set->row, reply->name_at, SECTION_ANSWER)) {
    reply->is_truncated = true;
    return true;
  }
  for (uint16_t i = 0; i < set->target_count; i++)
    note_listed_target(reply, set->row.records + set->targets[i], start + set->targets[i]);
  return true;
}

uint32_t listed_negative_ttl(const struct reply *reply) {
  const struct listing *listing = rcu_dereference(reply->book->listing);
  return listing_find(listing, reply->name->wire, reply->name->size) ? DIRECTORY_REGISTER_TTL_S : UINT32_MAX;
}
