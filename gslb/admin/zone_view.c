#include "gslb/admin/zone_view.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/domain.h"
#include "zones/message/query.h"
#include "zones/transfer/presentation.h"

struct zone_states { /* of the secondary zones; empty where nobody keeps them */
  struct secondary_state *list;
  size_t count;
  size_t next; /* where the zone that is looked for next is likely to be */
};

static struct zone_states states_take(const struct view *view) {
  const struct zone_links *links = view_sources(view)->zones;
  struct zone_states states = {0};
  if (links)
    states.list = links->states(links->context, &states.count);
  return states;
}

static const struct secondary_state *states_find(struct zone_states *states, const char *zone) {
  for (size_t i = 0; i < states->count; i++) {
    size_t at = (states->next + i) % states->count;
    if (strcmp(states->list[at].zone, zone) != 0)
      continue;
    states->next = at + 1;
    return &states->list[at];
  }
  return NULL;
}

static struct zone_shown show(const struct view *view, size_t zone, struct zone_states *states) {
  const struct image *image = view_image(view);
  const struct image_zone *loaded = image ? image_zone(image, (uint32_t)zone) : NULL;
  struct zone_shown shown = {.config = &view_config(view)->zones[zone],
                             .image = loaded && loaded->soa ? loaded : NULL,
                             .now_ms = house_now_ms(&view_sources(view)->house)};
  if (shown.config->primary_count)
    shown.state = states_find(states, shown.config->name);
  return shown;
}

void zone_view_each(struct view *view, zone_visit *visit, void *context) {
  struct zone_states states = states_take(view);
  for (size_t i = 0; i < view_config(view)->zone_count; i++) {
    struct zone_shown shown = show(view, i, &states);
    visit(context, &shown);
  }
  free(states.list);
}

static json_t *describe(const struct zone_shown *shown) {
  const struct config_zone *zone = shown->config;
  const struct secondary_state *state = shown->state;
  json_t *primaries = json_array();
  for (size_t i = 0; i < zone->primary_count; i++) {
    char text[ADDR_TEXT_SIZE];
    json_array_append_new(primaries, json_string(addr_format_port(&zone->primaries[i], text)));
  }
  bool has_error = state && state->error[0];
  return json_pack("{s:o, s:s, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", value_text(zone->name),
                   "kind", zone->primary_count ? "secondary" : "primary", "serial",
                   shown->image ? json_integer(shown->image->serial) : json_null(), "records",
                   (json_int_t)(shown->image ? shown->image->record_count : 0), "state",
                   shown->image ? "ready" : "absent", "file", value_text(zone->file), "primaries", primaries,
                   "refreshed_at", value_time(state ? state->refreshed_ms : 0), "refreshed_age_s",
                   value_age(state ? state->refreshed_ms : 0, shown->now_ms), "next_at",
                   value_time(state ? state->next_ms : 0), "expires_at", value_time(state ? state->expire_ms : 0),
                   "expires_in_s", state && state->expire_ms ? value_age(shown->now_ms, state->expire_ms) : json_null(),
                   "error", has_error ? value_text(state->error) : json_null());
}

static void add_zone(void *context, const struct zone_shown *shown) {
  json_array_append_new(context, describe(shown));
}

json_t *zone_view_list(struct view *view) {
  json_t *zones = json_array();
  zone_view_each(view, add_zone, zones);
  return json_pack("{s:o}", "zones", zones);
}

json_t *zone_view_one(struct view *view, size_t zone) {
  struct zone_states states = states_take(view);
  struct zone_shown shown = show(view, zone, &states);
  json_t *document = describe(&shown);
  free(states.list);
  return document;
}

size_t zone_view_find(const struct view *view, const char *name) {
  const struct config *config = view_config(view);
  char kept[DOMAIN_TEXT_SIZE];
  if (domain_read(name, DOMAIN_ROOT, kept, NULL) != STATUS_OK)
    return SIZE_MAX;
  for (size_t i = 0; i < config->zone_count; i++)
    if (strcmp(config->zones[i].name, kept) == 0)
      return i;
  return SIZE_MAX;
}

/* Records */

struct record_pick {
  struct name owner;
  uint16_t type; /* 0: all */
  json_t *records;
};

static bool pick_record(void *context, const struct transfer_record *record) {
  struct record_pick *pick = context;
  /* below a delegation to a zone of ours glue comes along, whose owner is another */
  if ((pick->type && record->type != pick->type) || record->owner_size != pick->owner.size ||
      memcmp(record->owner, pick->owner.wire, pick->owner.size) != 0)
    return true;
  char *text = presentation_text(record);
  json_array_append_new(pick->records, value_text(text));
  free(text);
  return true;
}

static json_t *owner_text(const char *service, const char *member) {
  if (!member[0])
    return value_text(service);
  char *id = mem_format("%s/%s", service, member);
  json_t *value = value_text(id);
  free(id);
  return value;
}

/* node: what the image has at the name; NULL for none. Names that registrations made are not in it. */
static json_t *balanced_by(struct view *view, const struct image_node *node, const char *name) {
  struct view_name owner;
  if (node && node->service != IMAGE_NONE) {
    const struct config_service *service = &view_config(view)->services[node->service];
    bool is_member = (node->flags & IMAGE_MEMBER) && node->member < service->member_count;
    return owner_text(service->name, is_member ? service->members[node->member].name : "");
  }
  return view_find_owner(view, name, &owner) ? owner_text(owner.service, owner.member) : json_null();
}

/* Members that a transfer would freeze into the zone are none of its records: the walk must leave them out. */
static struct config_zone *unfrozen(const struct config *config, uint32_t index) {
  if (config->zones[index].transfer_balanced != ZONE_BALANCED_FREEZE)
    return config->zones;
  struct config_zone *zones = mem_array(config->zone_count, sizeof *zones);
  zones[index] = config->zones[index];
  zones[index].transfer_balanced = ZONE_BALANCED_OMIT;
  return zones;
}

static enum status read_question(const struct config_zone *zone, const struct zone_question *question,
                                 struct record_pick *pick, struct errbuf *err) {
  struct name apex;
  if (!question->name || !question->name[0] || name_from_text(question->name, &pick->owner) != STATUS_OK)
    return errbuf_set(err, STATUS_INVALID, "name is a domain name, not \"%s\"", question->name ? question->name : "");
  if (name_from_text(zone->name, &apex) != STATUS_OK ||
      !name_is_below(pick->owner.wire, pick->owner.size, apex.wire, apex.size))
    return errbuf_set(err, STATUS_INVALID, "%s is not in the zone %s", question->name, zone->name);
  if (!question->type || strcasecmp(question->type, "ANY") == 0)
    return STATUS_OK;
  pick->type = rdata_type_parse(question->type);
  if (!pick->type)
    return errbuf_set(err, STATUS_INVALID, "type is a type of records, not \"%s\"", question->type);
  return STATUS_OK;
}

enum status zone_view_records(struct view *view, size_t zone, const struct zone_question *question, json_t **out,
                              struct errbuf *err) {
  const struct config *config = view_config(view);
  struct zone_states none = {0};
  struct record_pick pick = {0};
  enum status status = read_question(&config->zones[zone], question, &pick, err);
  if (status)
    return status;
  if (!show(view, zone, &none).image)
    return errbuf_set(err, STATUS_NODATA, "the zone %s is absent", config->zones[zone].name);
  struct config plain = *config;
  plain.zones = unfrozen(config, (uint32_t)zone);
  const struct transfer_zone walked = {.image = view_image(view), .config = &plain, .index = (uint32_t)zone};
  const struct image_node *node = transfer_zone_find(&walked, pick.owner.wire, pick.owner.size);
  bool is_apex = node && node->zone == zone && (node->flags & IMAGE_APEX);
  pick.records = json_array();
  if (is_apex)
    transfer_zone_visit_soa(&walked, pick_record, &pick);
  if (node)
    transfer_zone_visit_node(&walked, node, pick_record, &pick);
  if (plain.zones != config->zones)
    free(plain.zones);
  *out = json_pack("{s:o, s:o}", "records", pick.records, "balanced", balanced_by(view, node, question->name));
  return STATUS_OK;
}
