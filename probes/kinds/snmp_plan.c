#include "probes/kinds/snmp_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define NOT_ASKED SIZE_MAX

struct planned {
  const struct snmp_row *row;
  size_t value, over, where, label; /* index of the object, or of the root, that is asked for */
};

struct snmp_plan {
  struct snmp_row *own; /* made of a source's metrics; NULL: the rows are borrowed */
  struct planned *rows;
  size_t count;
  struct object_id *objects, *roots;
  size_t object_count, root_count;
  struct arena names; /* of the values */
  struct source_value values[METRICS_MOST];
  size_t value_count;
};

static size_t find_or_add(struct object_id *list, size_t *count, const struct object_id *id) {
  for (size_t i = 0; i < *count; i++)
    if (object_id_compare(&list[i], id) == 0)
      return i;
  list[*count] = *id;
  return (*count)++;
}

/* false: text is there, and no object identifier. */
static bool plan_name(struct snmp_plan *plan, const char *text, bool is_column, size_t *index) {
  struct object_id id;
  *index = NOT_ASKED;
  if (!text)
    return true;
  if (object_id_parse(text, &id) != STATUS_OK)
    return false;
  *index = is_column ? find_or_add(plan->roots, &plan->root_count, &id)
                     : find_or_add(plan->objects, &plan->object_count, &id);
  return true;
}

struct snmp_plan *snmp_plan_new(const struct snmp_row *rows, size_t count) {
  struct snmp_plan *plan = mem_alloc(sizeof *plan);
  plan->rows = mem_array(count + 1, sizeof *plan->rows);
  plan->objects = mem_array(2 * count + 1, sizeof *plan->objects);
  plan->roots = mem_array(4 * count + 1, sizeof *plan->roots);
  for (size_t i = 0; i < count; i++) {
    const struct snmp_row *row = &rows[i];
    bool is_column = row->pick != SNMP_PICK_OBJECT;
    struct planned planned = {.row = row};
    if (plan_name(plan, row->oid, is_column, &planned.value) && planned.value != NOT_ASKED &&
        plan_name(plan, row->over_oid, is_column, &planned.over) &&
        plan_name(plan, row->where_oid, true, &planned.where) && plan_name(plan, row->label_oid, true, &planned.label))
      plan->rows[plan->count++] = planned;
  }
  return plan;
}

struct snmp_plan *snmp_plan_of_source(const struct config_source *source) {
  const struct snmp_table *table = source->table ? snmp_table_find(source->table) : NULL;
  if (table)
    return snmp_plan_new(table->rows, table->count);
  struct snmp_row *own = mem_array(source->metric_count + 1, sizeof *own);
  for (size_t i = 0; i < source->metric_count; i++) {
    const struct config_source_metric *metric = &source->metrics[i];
    own[i] = (struct snmp_row){
        .name = metric->name,
        .oid = metric->oid,
        .pick = metric->where_oid ? SNMP_PICK_WHERE : SNMP_PICK_OBJECT,
        .where_oid = metric->where_oid,
        .where_value = metric->where_value,
        .is_counter = metric->is_rate,
        .scale = metric->scale,
    };
  }
  struct snmp_plan *plan = snmp_plan_new(own, source->metric_count);
  plan->own = own;
  return plan;
}

void snmp_plan_free(struct snmp_plan *plan) {
  if (!plan)
    return;
  arena_release(&plan->names);
  free(plan->own);
  free(plan->rows);
  free(plan->objects);
  free(plan->roots);
  free(plan);
}

void snmp_plan_request(const struct snmp_plan *plan, struct snmp_request *request) {
  request->objects = plan->objects;
  request->object_count = plan->object_count;
  request->roots = plan->roots;
  request->root_count = plan->root_count;
}

/* Whether two values stand in the same row of their tables. */
static bool same_index(const struct snmp_value *a, uint32_t a_root, const struct snmp_value *b, uint32_t b_root) {
  uint32_t count = a->name.count - a_root;
  return b->name.count - b_root == count &&
         memcmp(a->name.parts + a_root, b->name.parts + b_root, count * sizeof *a->name.parts) == 0;
}

static const struct snmp_value *beside(const struct snmp_plan *plan, const struct snmp_answer *answer, size_t root,
                                       const struct snmp_value *value, size_t value_root) {
  const struct snmp_rows *rows = &answer->rows[root];
  for (size_t i = 0; i < rows->count; i++)
    if (same_index(&rows->values[i], plan->roots[root].count, value, plan->roots[value_root].count))
      return &rows->values[i];
  return NULL;
}

static void add(struct snmp_plan *plan, const struct snmp_row *row, const char *name, double number) {
  double value = number * (row->scale != 0 ? row->scale : 1);
  if (row->is_complement)
    value = 1 - value;
  if (isfinite(value) && plan->value_count < METRICS_MOST)
    plan->values[plan->value_count++] = (struct source_value){name, value, row->is_counter};
}

/* As add, after the division that the row may ask for. */
static void add_quotient(struct snmp_plan *plan, const struct planned *planned, const char *name,
                         const struct snmp_value *value, const struct snmp_value *over) {
  if (!value->is_number)
    return;
  if (planned->over == NOT_ASKED)
    add(plan, planned->row, name, value->number);
  else if (over && over->is_number && over->number != 0)
    add(plan, planned->row, name, value->number / over->number);
}

static const struct snmp_value *over_of(const struct snmp_plan *plan, const struct snmp_answer *answer,
                                        const struct planned *planned, const struct snmp_value *value) {
  return planned->over == NOT_ASKED ? NULL : beside(plan, answer, planned->over, value, planned->value);
}

static void add_together(struct snmp_plan *plan, const struct planned *planned, const struct snmp_rows *rows) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < rows->count; i++)
    if (rows->values[i].is_number) {
      sum += rows->values[i].number;
      count++;
    }
  if (count > 0)
    add(plan, planned->row, planned->row->name, planned->row->pick == SNMP_PICK_MEAN ? sum / (double)count : sum);
}

/* <name>.<label, or index>, without what a name cannot have. */
static const char *row_name(struct snmp_plan *plan, const struct snmp_answer *answer, const struct planned *planned,
                            const struct snmp_value *value) {
  const struct snmp_value *label =
      planned->label == NOT_ASKED ? NULL : beside(plan, answer, planned->label, value, planned->value);
  char index[OBJECT_ID_TEXT_SIZE];
  struct object_id rest = {.count = value->name.count - plan->roots[planned->value].count};
  memcpy(rest.parts, value->name.parts + plan->roots[planned->value].count, rest.count * sizeof *rest.parts);
  char *name = mem_format("%s.%s", planned->row->name,
                          label && label->text_size > 0 ? label->text : object_id_format(&rest, index));
  if (strlen(name) >= METRICS_NAME_SIZE)
    name[METRICS_NAME_SIZE - 1] = '\0';
  for (char *at = name; *at; at++)
    if (*at <= ' ' || *at > '~')
      *at = '_';
  const char *kept = arena_strdup(&plan->names, name);
  free(name);
  return kept;
}

static void add_each(struct snmp_plan *plan, const struct planned *planned, const struct snmp_answer *answer) {
  const struct snmp_rows *rows = &answer->rows[planned->value];
  for (size_t i = 0; i < rows->count && plan->value_count < METRICS_MOST; i++)
    add_quotient(plan, planned, row_name(plan, answer, planned, &rows->values[i]), &rows->values[i],
                 over_of(plan, answer, planned, &rows->values[i]));
}

static bool says(const struct snmp_value *value, const char *wanted) {
  if (value->kind == SNMP_KIND_OBJECT_ID && *wanted == '.')
    wanted++;
  return strcmp(value->text, wanted) == 0;
}

static void add_where(struct snmp_plan *plan, const struct planned *planned, const struct snmp_answer *answer) {
  const struct snmp_rows *searched = &answer->rows[planned->where];
  for (size_t i = 0; i < searched->count; i++) {
    if (!says(&searched->values[i], planned->row->where_value))
      continue;
    const struct snmp_value *value = beside(plan, answer, planned->value, &searched->values[i], planned->where);
    if (!value)
      continue;
    add_quotient(plan, planned, planned->row->name, value, over_of(plan, answer, planned, value));
    return;
  }
}

size_t snmp_plan_values(struct snmp_plan *plan, const struct snmp_answer *answer, const struct source_value **values) {
  arena_release(&plan->names);
  plan->value_count = 0;
  for (size_t i = 0; i < plan->count; i++) {
    const struct planned *planned = &plan->rows[i];
    switch (planned->row->pick) {
    case SNMP_PICK_OBJECT:
      add_quotient(plan, planned, planned->row->name, answer->objects[planned->value],
                   planned->over == NOT_ASKED ? NULL : answer->objects[planned->over]);
      break;
    case SNMP_PICK_SUM:
    case SNMP_PICK_MEAN:
      add_together(plan, planned, &answer->rows[planned->value]);
      break;
    case SNMP_PICK_EACH:
      add_each(plan, planned, answer);
      break;
    case SNMP_PICK_WHERE:
      add_where(plan, planned, answer);
      break;
    }
  }
  *values = plan->values;
  return plan->value_count;
}

static enum snmp_digest digest_of(enum snmp_auth auth) {
  static const enum snmp_digest digests[] = {
      [SNMP_AUTH_NONE] = SNMP_DIGEST_NONE,
      [SNMP_AUTH_SHA] = SNMP_DIGEST_SHA1,
      [SNMP_AUTH_SHA256] = SNMP_DIGEST_SHA256,
      [SNMP_AUTH_SHA512] = SNMP_DIGEST_SHA512,
  };
  return digests[auth];
}

void snmp_identity_of(const struct config_snmp_access *access, struct snmp_identity *out) {
  *out = (struct snmp_identity){
      .is_v3 = access->version == SNMP_V3,
      .community = access->community,
      .user = access->user,
      .digest = digest_of(access->auth),
      .auth_secret = access->auth_secret,
      .is_private = access->privacy == SNMP_PRIVACY_AES,
      .privacy_secret = access->privacy_secret,
      .context = access->context,
  };
}
