#include <stdlib.h>
#include <string.h>

#include "discovery/registry/registry_private.h"
#include "gslb/base/memory.h"

struct entry {
  const char *id;
  struct resource_record resource;
  struct lease_record lease;
};

struct listing {
  struct registry *registry;
  const struct registry_filter *filter;
  int64_t now_ms;
  struct arena arena;
  struct entry *entries;
  size_t count, capacity, limit;
};

static bool serves(const struct lease *lease, const char *service) {
  for (size_t i = 0; i < lease->service_count; i++)
    if (strcmp(lease->services[i].service->name, service) == 0)
      return true;
  return false;
}

/* Under the lock. lease NULL: removed, so only what its row says is known of it. */
static bool passes(const struct registry_filter *filter, const struct resource_record *resource,
                   const struct lease *lease) {
  const char *state = lease ? lease_word(&lease->record) : "removed";
  return (!filter->state || strcmp(filter->state, state) == 0) &&
         (!filter->owner || strcmp(filter->owner, resource->owner) == 0) &&
         (!filter->service || (lease && serves(lease, filter->service))) &&
         (!filter->site || (lease && strcmp(filter->site, lease->site) == 0)) &&
         (!filter->kind || (lease && strcmp(filter->kind, resource_kind_name(lease->kind)) == 0));
}

static bool list_resource(void *context, struct store_bytes key, struct store_bytes value) {
  struct listing *listing = context;
  struct registry *registry = listing->registry;
  char id[REGISTRATION_ID_MOST + 1];
  struct entry entry = {0};
  if (key.size >= sizeof id)
    return true;
  memcpy(id, key.data, key.size);
  id[key.size] = '\0';
  if (listing->filter->after && strcmp(id, listing->filter->after) <= 0)
    return true;
  if (resource_decode(value.data, value.size, &entry.resource) != STATUS_OK)
    return true;
  pthread_mutex_lock(&registry->lock);
  struct lease *lease = entry.resource.is_removed ? NULL : lease_table_find(registry->table, id);
  bool is_listed = (lease || registry_is_removed(&entry.resource, listing->now_ms)) &&
                   passes(listing->filter, &entry.resource, lease);
  if (lease)
    entry.lease = lease->record;
  pthread_mutex_unlock(&registry->lock);
  if (!is_listed)
    return true;
  entry.id = arena_strdup(&listing->arena, id);
  entry.resource.document = arena_strndup(&listing->arena, entry.resource.document ? entry.resource.document : "",
                                          entry.resource.document_size);
  listing->entries = mem_grow(listing->entries, &listing->capacity, listing->count + 1, sizeof entry);
  listing->entries[listing->count++] = entry;
  return listing->limit == 0 || listing->count < listing->limit;
}

enum status registry_each(struct registry *registry, const struct registry_filter *filter, registry_visit *visit,
                          void *context, struct errbuf *err) {
  static const struct registry_filter any;
  struct listing listing = {.registry = registry, .filter = filter ? filter : &any};
  struct store_txn *txn;
  if (!registry->links.durable)
    return errbuf_set(err, STATUS_IO, "the durable store is not open");
  enum status status = store_begin(registry->links.durable, false, &txn, err);
  if (status)
    return status;
  listing.now_ms = house_now_ms(registry->links.house);
  listing.limit = listing.filter->limit;
  status = store_scan(txn, STORE_DB_RESOURCES, (struct store_bytes){0}, list_resource, &listing);
  store_abort(txn);
  if (status)
    errbuf_set(err, status, "the registrations cannot be read");
  for (size_t i = 0; status == STATUS_OK && i < listing.count; i++)
    if (!visit(context, listing.entries[i].id, &listing.entries[i].resource, &listing.entries[i].lease))
      break;
  free(listing.entries);
  arena_release(&listing.arena);
  return status;
}

static void copy_lease(struct registry *registry, const char *id, struct lease_record *lease,
                       struct metrics_record *metrics) {
  pthread_mutex_lock(&registry->lock);
  const struct lease *found = lease_table_find(registry->table, id);
  if (found)
    *lease = found->record;
  if (found && metrics && found->metrics)
    metrics_decode(found->metrics, found->metrics_size, metrics);
  pthread_mutex_unlock(&registry->lock);
}

enum status registry_get(struct registry *registry, const char *id, struct arena *arena,
                         struct resource_record *resource, struct lease_record *lease, struct metrics_record *metrics,
                         struct errbuf *err) {
  char key[REGISTRATION_ID_MOST + 1];
  struct store_txn *txn;
  if (!registry->links.durable)
    return errbuf_set(err, STATUS_IO, "the durable store is not open");
  if (!registry_read_id(id, key))
    return errbuf_set(err, STATUS_NOTFOUND, "there is no resource of this name");
  enum status status = store_begin(registry->links.durable, false, &txn, err);
  if (status)
    return status;
  status = resource_read(txn, key, arena, resource);
  store_abort(txn);
  int64_t now_ms = house_now_ms(registry->links.house);
  if (status == STATUS_OK && resource->is_removed && !registry_is_removed(resource, now_ms))
    status = STATUS_NODATA;
  if (status == STATUS_NODATA)
    return errbuf_set(err, STATUS_NOTFOUND, "there is no resource %s", key);
  if (status)
    return errbuf_set(err, STATUS_IO, "the registration cannot be read: %s", status_name(status));
  *lease = (struct lease_record){0};
  if (metrics)
    *metrics = (struct metrics_record){0};
  if (!resource->is_removed)
    copy_lease(registry, key, lease, metrics);
  return STATUS_OK;
}
