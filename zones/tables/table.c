#include "zones/tables/table.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/decide/srv_weight.h"
#include "zones/message/query.h"
#include "zones/tables/record.h"
#include "zones/tables/whole.h"

/* What most tables need: a view, and for each member a target, a row, a record, weight and cell; where they are in SRV
 * answers too, another row, record, weight and cell; where they register, a name and its label. */
#define ROOM_OF_TABLE 320u
#define ROOM_OF_MEMBER 112u
#define ROOM_OF_SRV 96u
#define ROOM_OF_NAME 32u

/* Every answered member's records by type, before sites choose among them; count 0 where there are none. */
struct row_list {
  struct table_row *rows[TABLE_TYPES]; /* by member */
  uint32_t heaviest;                   /* as gslb/decide/srv_weight has it */
};

static bool *held_addresses(struct arena *scratch, const struct config_member *member, const struct member_state *state,
                            bool for_draw) {
  bool *is_held = arena_array(scratch, member->address_count, sizeof *is_held);
  bool holds_any = false;
  for (size_t i = 0; i < member->address_count; i++) {
    is_held[i] = for_draw ? state->addresses[i].is_answered : state->addresses[i].state != HEALTH_DOWN;
    holds_any |= is_held[i];
  }
  /* a target whose addresses all fail still resolves: its clients were told of it while it was well */
  for (size_t i = 0; i < member->address_count && !holds_any && !for_draw; i++)
    is_held[i] = true;
  return is_held;
}

struct making {          /* one table */
  struct arena *arena;   /* the table's */
  struct arena *scratch; /* released when it is made */
  const struct config_service *service;
  const struct evaluation *evaluation;
  const struct table_target *targets;
  uint32_t ttl_s;
  struct row_list list;
};

/* Records of its own are made only where they differ from those of the target, which has them already. */
static void make_address_rows(struct making *making, size_t index, const bool *is_held, const bool *is_target_held,
                              const struct table_target *target) {
  const struct config_member *member = &making->service->members[index];
  bool is_same = memcmp(is_held, is_target_held, member->address_count * sizeof *is_held) == 0;
  making->list.rows[TABLE_A][index] =
      is_same ? target->a : record_addresses(making->arena, member, 4, making->ttl_s, is_held);
  making->list.rows[TABLE_AAAA][index] =
      is_same ? target->aaaa : record_addresses(making->arena, member, 6, making->ttl_s, is_held);
}

static void make_rows(struct making *making, size_t index, const bool *is_target_held,
                      const struct table_target *target) {
  const struct config_service *service = making->service;
  const struct member_state *state = &making->evaluation->members[index];
  const bool *is_held = held_addresses(making->scratch, &service->members[index], state, true);
  struct arena *arena = making->arena;
  struct row_list *list = &making->list;
  uint32_t ttl_s = making->ttl_s;
  if (service->answer == ANSWER_ADDRESSES)
    make_address_rows(making, index, is_held, is_target_held, target);
  uint16_t weight = balance_srv_weight(state->weight, state->headroom, list->heaviest);
  /* those that clients choose from are copied where they are put together */
  list->rows[TABLE_SRV][index] = record_srv(making->scratch, service, index, weight, ttl_s);
  list->rows[TABLE_HTTPS][index] = record_binding(arena, service, index, TYPE_HTTPS, ttl_s, is_held);
  list->rows[TABLE_SVCB][index] = record_binding(arena, service, index, TYPE_SVCB, ttl_s, is_held);
  list->rows[TABLE_MX][index] = record_mx(making->scratch, service, index, ttl_s);
  list->rows[TABLE_CNAME][index] = record_cname(arena, service, index, ttl_s);
}

/* Whose clients are told all members, with a priority and a weight or a preference each, and choose by themselves. */
static bool is_chosen_by_clients(enum table_type type) {
  return type == TABLE_SRV || type == TABLE_MX;
}

/* How a type is drawn: clients of SRV and MX choose by themselves, so they are told all, and more than fit are drawn by
 * weight. */
static enum balance_method method_of(const struct config_service *service, enum table_type type, uint32_t *wanted) {
  *wanted = service->answers > TABLE_RECORDS_MOST ? TABLE_RECORDS_MOST : service->answers;
  if (service->method == METHOD_ALL)
    *wanted = TABLE_RECORDS_MOST;
  if (type == TABLE_CNAME)
    *wanted = 1;
  if (!is_chosen_by_clients(type))
    return service->method;
  *wanted = TABLE_RECORDS_MOST;
  return service->method == METHOD_FIRST ? METHOD_FIRST : METHOD_WEIGHTED;
}

/* The first site in order of nearness that has records of the type; UINT32_MAX: none has, so all members serve. */
static uint32_t choose_site(const struct config_service *service, const struct table_row *rows, uint32_t tier,
                            const uint32_t *sites, size_t site_count) {
  for (size_t s = 0; s < site_count; s++)
    for (size_t i = 0; i < service->member_count; i++)
      if (rows[i].count && service->members[i].tier <= tier && service->members[i].site == sites[s])
        return sites[s];
  return UINT32_MAX;
}

/* The lowest tier that has records of the type; where clients choose, they get all tiers. */
static uint32_t best_tier(const struct config_service *service, const struct table_row *rows, enum table_type type) {
  uint32_t tier = UINT32_MAX;
  if (is_chosen_by_clients(type))
    return tier;
  for (size_t i = 0; i < service->member_count; i++)
    if (rows[i].count && service->members[i].tier < tier)
      tier = service->members[i].tier;
  return tier;
}

struct choice { /* which members may be drawn: those of this tier or a lower one, at this site */
  uint32_t tier;
  uint32_t site; /* UINT32_MAX: any */
  bool is_by_clients;
  bool is_given; /* somebody has records of the type */
};

/* Members that are over have records of a type only where nobody else has. */
static void leave_over_out(const struct evaluation *evaluation, struct table_row *rows, size_t count) {
  bool has_better = false;
  for (size_t i = 0; i < count; i++)
    has_better |= rows[i].count && !evaluation->members[i].is_over;
  for (size_t i = 0; i < count && has_better; i++)
    if (evaluation->members[i].is_over)
      rows[i].count = 0;
}

static bool may_choose(const struct config_member *member, const struct table_row *row, const struct choice *choice) {
  return row->count && member->tier <= choice->tier && (choice->site == UINT32_MAX || member->site == choice->site);
}

/* Whether those that are less preferred wait behind others: not where clients are told all and choose by themselves. */
static bool has_preferred(const struct config_service *service, const struct evaluation *evaluation,
                          const struct table_row *rows, const struct choice *choice, uint32_t wanted) {
  for (size_t i = 0; i < service->member_count && wanted < TABLE_RECORDS_MOST; i++)
    if (may_choose(&service->members[i], &rows[i], choice) && !evaluation->members[i].is_less_preferred)
      return true;
  return false;
}

static void fill_set(struct making *making, const struct table_row *rows, const struct choice *choice,
                     struct table_set *set) {
  const struct config_service *service = making->service;
  const struct evaluation *evaluation = making->evaluation;
  bool is_picky = has_preferred(service, evaluation, rows, choice, set->wanted);
  uint32_t *chosen = arena_array(making->scratch, service->member_count, sizeof *chosen);
  for (size_t i = 0; i < service->member_count; i++)
    if (may_choose(&service->members[i], &rows[i], choice) && !(is_picky && evaluation->members[i].is_less_preferred))
      chosen[set->row_count++] = (uint32_t)i;
  set->rows = arena_array(making->arena, set->row_count, sizeof *set->rows);
  set->weights = arena_array(making->arena, set->row_count, sizeof *set->weights);
  for (uint32_t i = 0; i < set->row_count; i++) {
    set->rows[i] = rows[chosen[i]];
    set->weights[i] = evaluation->members[chosen[i]].weight;
  }
  if (set->wanted > set->row_count)
    set->wanted = set->row_count;
  if (choice->is_by_clients && set->method == METHOD_WEIGHTED && set->wanted == set->row_count)
    set->method = METHOD_ALL; /* the order need not be drawn */
  if (set->row_count && set->method == METHOD_WEIGHTED) {
    set->cells = arena_array(making->arena, set->row_count, sizeof *set->cells);
    alias_build(set->weights, set->row_count, set->cells);
  }
  set->whole = whole_new(making->arena, set, making->targets);
  for (uint32_t i = 0; i < set->row_count; i++) {
    struct table_row *row = &set->rows[i];
    if (set->whole)
      row->records = set->whole->records + set->whole->parts[i].records_at;
    else if (choice->is_by_clients)
      row->records = arena_copy(making->arena, row->records, row->size);
  }
}

static bool has_any(const struct table_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (rows[i].count)
      return true;
  return false;
}

struct projection {            /* what of a class matters for a view */
  uint32_t sites[TABLE_TYPES]; /* by type, as choose_site says */
};

struct projections { /* of the views so far, which stand in the same order */
  struct projection *items;
  struct table_view *views;
  uint32_t count;
  size_t item_room, view_room;
};

/* The view of what is seen from these sites, made from the sets of other views as far as they agree. */
static uint32_t find_view(struct making *making, const struct choice *choices, const struct projection *wanted,
                          struct projections *known) {
  for (uint32_t i = 0; i < known->count; i++)
    if (memcmp(&known->items[i], wanted, sizeof *wanted) == 0)
      return i;
  known->items = mem_grow(known->items, &known->item_room, known->count + 1, sizeof *known->items);
  known->views = mem_grow(known->views, &known->view_room, known->count + 1, sizeof *known->views);
  struct table_view *view = &known->views[known->count];
  known->items[known->count] = *wanted;
  *view = (struct table_view){0};
  for (int type = 0; type < TABLE_TYPES; type++) {
    if (!choices[type].is_given)
      continue;
    struct choice choice = choices[type];
    choice.site = wanted->sites[type];
    uint32_t same = 0;
    while (same < known->count && known->items[same].sites[type] != choice.site)
      same++;
    struct table_set *set = &view->sets[type];
    if (same < known->count) {
      *set = known->views[same].sets[type];
    } else {
      set->method = method_of(making->service, (enum table_type)type, &set->wanted);
      fill_set(making, making->list.rows[type], &choice, set);
    }
  }
  return known->count++;
}

static void choose(struct making *making, struct choice choices[TABLE_TYPES]) {
  for (int type = 0; type < TABLE_TYPES; type++) {
    struct table_row *rows = making->list.rows[type];
    choices[type] = (struct choice){.is_given = has_any(rows, making->service->member_count),
                                    .is_by_clients = is_chosen_by_clients((enum table_type)type)};
    if (!choices[type].is_given)
      continue;
    leave_over_out(making->evaluation, rows, making->service->member_count);
    choices[type].tier = best_tier(making->service, rows, (enum table_type)type);
  }
}

static void fill_views(struct making *making, struct table *table) {
  uint32_t class_count = table->tree ? topology_class_count(table->tree) : 1;
  struct choice choices[TABLE_TYPES];
  struct projections known = {0};
  uint32_t *view_of = arena_array(making->scratch, class_count, sizeof *view_of);
  choose(making, choices);
  for (uint32_t class = 0; class < class_count; class ++) {
    size_t site_count = 0;
    const uint32_t *sites = table->tree ? topology_class_sites(table->tree, class, &site_count) : NULL;
    struct projection wanted = {0};
    for (int type = 0; type < TABLE_TYPES; type++)
      if (choices[type].is_given)
        wanted.sites[type] =
            choose_site(making->service, making->list.rows[type], choices[type].tier, sites, site_count);
    view_of[class] = find_view(making, choices, &wanted, &known);
  }
  table->views = arena_copy(making->arena, known.views, known.count * sizeof *known.views);
  if (known.count > 1)
    table->view_of = arena_copy(making->arena, view_of, class_count * sizeof *view_of);
  free(known.items);
  free(known.views);
}

static const uint8_t *make_label(struct arena *arena, const char *text, size_t length) {
  uint8_t *label = arena_alloc(arena, length + 1);
  label[0] = (uint8_t)length;
  memcpy(label + 1, text, length);
  return label;
}

static int compare_labels(const uint8_t *a, const uint8_t *b) {
  size_t shorter = a[0] < b[0] ? a[0] : b[0];
  int order = memcmp(a + 1, b + 1, shorter);
  return order ? order : (int)a[0] - (int)b[0];
}

static int compare_names(const void *a, const void *b) {
  const struct table_name *one = a, *other = b;
  return compare_labels(one->label, other->label);
}

static void add_name(struct table *table, const char *text, size_t length, size_t index) {
  table->names[table->name_count++] =
      (struct table_name){.label = make_label(&table->arena, text, length), .index = (uint32_t)index};
}

static void sort_names(struct table *table) {
  if (table->name_count)
    qsort(table->names, table->name_count, sizeof *table->names, compare_names);
}

static void name_registered(struct table *table, const struct config_service *service) {
  if (service->pattern != CONFIG_NO_PATTERN)
    table->label = make_label(&table->arena, service->name, strcspn(service->name, "."));
  if (!service->accept.is_given)
    return;
  table->names = arena_array(&table->arena, service->member_count, sizeof *table->names);
  for (size_t i = 0; i < service->member_count && i < UINT16_MAX; i++)
    if (service->members[i].is_registered)
      add_name(table, service->members[i].name, strlen(service->members[i].name), i);
  sort_names(table);
}

struct table *table_build_pattern(const struct config *config, const struct facts *facts, size_t pattern) {
  struct table *table = mem_alloc(sizeof *table);
  table->ttl_s = config->services[pattern].ttl_min_s;
  table->views = arena_array(&table->arena, 1, sizeof *table->views);
  table->names = arena_array(&table->arena, config->services[pattern].accept.services_most, sizeof *table->names);
  for (size_t i = 0; i < config->service_count; i++) {
    const struct config_service *service = facts_service(facts, i)->service;
    if (service->pattern == pattern && service->name[0])
      add_name(table, service->name, strcspn(service->name, "."), i);
  }
  sort_names(table);
  return table;
}

const struct table_name *table_find_name(const struct table *table, const uint8_t *label) {
  const struct table_name wanted = {.label = label};
  if (!table->name_count)
    return NULL;
  return bsearch(&wanted, table->names, table->name_count, sizeof *table->names, compare_names);
}

static void make_member(struct making *making, const struct service_facts *facts, size_t index,
                        struct table_target *target) {
  const struct config_member *member = &making->service->members[index];
  const struct member_state *state = &making->evaluation->members[index];
  const bool *is_held = held_addresses(making->scratch, member, state, false);
  target->a = record_addresses(making->arena, member, 4, making->ttl_s, is_held);
  target->aaaa = record_addresses(making->arena, member, 6, making->ttl_s, is_held);
  if (!state->is_answered)
    return;
  make_rows(making, index, is_held, target);
  for (int type = 0; type < TABLE_TYPES; type++) {
    struct table_row *row = &making->list.rows[type][index];
    row->member = (uint16_t)index;
    row->slot = facts->members[index].slot;
    row->is_own_target = row->target_at && !member->target;
  }
}

static size_t room_of(const struct config_service *service) {
  size_t of_member = ROOM_OF_MEMBER;
  if (service->srv)
    of_member += ROOM_OF_SRV;
  if (service->accept.is_given)
    of_member += ROOM_OF_NAME;
  return ROOM_OF_TABLE + service->member_count * of_member;
}

struct table *table_build(const struct config_service *service, const struct service_facts *facts,
                          const struct evaluation *evaluation, const struct topology_tree *tree) {
  struct table *table = mem_alloc(sizeof *table);
  struct arena *arena = &table->arena;
  size_t count = service->member_count;
  arena_reserve(arena, room_of(service));
  table->tree = tree;
  table->ttl_s = evaluation->ttl_s;
  table->is_alias = service->answer == ANSWER_CNAME;
  table->is_doubtful = evaluation->mode == SERVICE_DOWN_ALL || evaluation->mode == SERVICE_DOWN_LAST;
  table->target_count = (uint32_t)count;
  table->targets = arena_array(arena, count, sizeof *table->targets);
  table->may_have[TABLE_A] = table->may_have[TABLE_AAAA] = service->answer == ANSWER_ADDRESSES;
  table->may_have[TABLE_SRV] = service->srv != NULL;
  table->may_have[TABLE_HTTPS] = service->https.is_given;
  table->may_have[TABLE_SVCB] = service->svcb.is_given;
  table->may_have[TABLE_MX] = service->answer == ANSWER_MX;
  struct arena scratch = {0};
  struct making making = {.arena = arena,
                          .scratch = &scratch,
                          .service = service,
                          .evaluation = evaluation,
                          .targets = table->targets,
                          .ttl_s = table->ttl_s,
                          .list = {.heaviest = balance_srv_heaviest(service, evaluation)}};
  for (int type = 0; type < TABLE_TYPES; type++)
    making.list.rows[type] = arena_array(&scratch, count, sizeof *making.list.rows[type]);
  for (size_t i = 0; i < count; i++)
    make_member(&making, facts, i, &table->targets[i]);
  name_registered(table, service);
  fill_views(&making, table);
  arena_release(&scratch);
  return table;
}

void table_free(struct table *table) {
  if (!table)
    return;
  arena_release(&table->arena);
  free(table);
}

int table_type_of(uint16_t type) {
  static const uint8_t types[] =
      {[TYPE_A] = 1 + TABLE_A,         [TYPE_AAAA] = 1 + TABLE_AAAA, [TYPE_SRV] = 1 + TABLE_SRV,
       [TYPE_HTTPS] = 1 + TABLE_HTTPS, [TYPE_SVCB] = 1 + TABLE_SVCB, [TYPE_MX] = 1 + TABLE_MX,
       [TYPE_CNAME] = 1 + TABLE_CNAME}; /* 0: none */
  return type < sizeof types ? types[type] - 1 : -1;
}

uint32_t table_draw_one(const struct table_set *set, struct random *random, uint32_t *turn) {
  uint32_t first = 0;
  switch (set->method) {
  case METHOD_WEIGHTED:
    first = alias_draw(set->cells, set->row_count, random_next(random));
    break;
  case METHOD_ROUND_ROBIN:
    /* moving on by what was handed out lets every member be first, second … equally often */
    first = *turn % set->row_count;
    *turn = first + (set->wanted == set->row_count ? 1 : set->wanted);
    break;
  case METHOD_ALL:
    first = random_below(random, set->row_count);
    break;
  case METHOD_FIRST:
    break;
  }
  return first;
}

uint32_t table_draw(const struct table_set *set, struct random *random, uint32_t *turn,
                    uint32_t drawn[TABLE_RECORDS_MOST]) {
  if (set->row_count == 0)
    return 0;
  if (set->method == METHOD_WEIGHTED && set->wanted > 1)
    return alias_draw_distinct(set->cells, set->weights, set->row_count, set->wanted, random, drawn);
  uint32_t next = table_draw_one(set, random, turn);
  for (uint32_t i = 0; i < set->wanted; i++) {
    drawn[i] = next;
    if (++next == set->row_count)
      next = 0;
  }
  return set->wanted;
}
