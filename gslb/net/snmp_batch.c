#include "gslb/net/snmp_batch.h"

#include <stdlib.h>

void snmp_batch_release(struct snmp_batch *batch) {
  for (size_t i = 0; i < batch->count; i++)
    free(batch->readings[i].values);
  free(batch->readings);
  arena_release(&batch->arena);
  *batch = (struct snmp_batch){.count = 0};
}

size_t snmp_batch_find(const struct snmp_batch *batch, const struct object_id *name, bool is_branch, size_t most) {
  for (size_t i = 0; i < batch->count; i++) {
    const struct snmp_reading *reading = &batch->readings[i];
    if (reading->is_branch == is_branch && reading->most == most && object_id_compare(&reading->name, name) == 0)
      return i;
  }
  return SIZE_MAX;
}

size_t snmp_batch_add(struct snmp_batch *batch, const struct object_id *name, bool is_branch, size_t most) {
  size_t found = snmp_batch_find(batch, name, is_branch, most);
  if (found != SIZE_MAX)
    return found;
  batch->readings = mem_grow(batch->readings, &batch->capacity, batch->count + 1, sizeof *batch->readings);
  batch->readings[batch->count] =
      (struct snmp_reading){.name = *name, .is_branch = is_branch, .last = *name, .most = most};
  return batch->count++;
}

static void add_name(netsnmp_pdu *pdu, const struct object_id *name) {
  oid parts[OBJECT_ID_PARTS];
  for (uint32_t i = 0; i < name->count; i++)
    parts[i] = name->parts[i];
  snmp_add_null_var(pdu, parts, name->count);
}

netsnmp_pdu *snmp_batch_message(struct snmp_batch *batch) {
  bool is_bulk = true;
  if (!batch->together)
    batch->together = SNMP_TOGETHER_MOST;
  for (size_t i = 0; i < batch->count && is_bulk; i++)
    is_bulk = batch->readings[i].is_done || batch->readings[i].is_branch;
  batch->asked_count = 0;
  for (size_t i = 0; i < batch->count && batch->asked_count < batch->together; i++)
    if (!batch->readings[i].is_done && batch->readings[i].is_branch == is_bulk)
      batch->asked[batch->asked_count++] = i;
  if (batch->asked_count == 0)
    return NULL;
  netsnmp_pdu *pdu = snmp_pdu_create(is_bulk ? SNMP_MSG_GETBULK : SNMP_MSG_GET);
  if (is_bulk) {
    pdu->non_repeaters = 0;
    pdu->max_repetitions = (long)(batch->together / batch->asked_count);
  }
  for (size_t i = 0; i < batch->asked_count; i++)
    add_name(pdu, &batch->readings[batch->asked[i]].last);
  return pdu;
}

static void add_value(struct snmp_batch *batch, struct snmp_reading *reading, const netsnmp_variable_list *variable) {
  reading->values = mem_grow(reading->values, &reading->capacity, reading->count + 1, sizeof *reading->values);
  struct snmp_value *value = &reading->values[reading->count++];
  if (variable)
    snmp_library_value(variable, &batch->arena, value);
  else
    *value = (struct snmp_value){.kind = SNMP_KIND_ABSENT, .text = ""};
}

static void settle_object(struct snmp_batch *batch, struct snmp_reading *reading,
                          const netsnmp_variable_list *variable) {
  add_value(batch, reading, variable);
  reading->values[0].name = reading->name;
  reading->is_done = true;
}

/* One more row of a branch, or its end. */
static void take_row(struct snmp_batch *batch, struct snmp_reading *reading, const netsnmp_variable_list *variable) {
  struct object_id name;
  if (reading->is_done)
    return;
  snmp_library_name(variable->name, variable->name_length, &name);
  bool is_end = variable->type == SNMP_ENDOFMIBVIEW || variable->type == SNMP_NOSUCHOBJECT ||
                variable->type == SNMP_NOSUCHINSTANCE || !object_id_is_below(&name, &reading->name);
  /* a device that goes back, or stays, would keep us for ever */
  if (is_end || object_id_compare(&name, &reading->last) <= 0) {
    reading->is_done = true;
  } else if (reading->count == reading->most) {
    reading->is_done = reading->is_cut = true;
  } else {
    reading->last = name;
    add_value(batch, reading, variable);
  }
}

static const char *take_error(struct snmp_batch *batch, const netsnmp_pdu *response) {
  struct snmp_reading *first = &batch->readings[batch->asked[0]];
  long index = response->errindex;
  if (response->errstat == SNMP_ERR_TOOBIG && batch->together == 1)
    return "an object does not fit in a message";
  if (response->errstat == SNMP_ERR_TOOBIG) {
    batch->together /= 2;
    return NULL;
  }
  if (first->is_branch && batch->asked_count == 1) {
    first->is_done = true;
    return NULL;
  }
  if (index < 1 || (size_t)index > batch->asked_count)
    return snmp_errstring((int)response->errstat);
  /* what the device cannot tell is as good as absent; the others are asked for again */
  struct snmp_reading *reading = &batch->readings[batch->asked[index - 1]];
  if (reading->is_branch)
    reading->is_done = true;
  else
    settle_object(batch, reading, NULL);
  return NULL;
}

const char *snmp_batch_take(struct snmp_batch *batch, const netsnmp_pdu *response) {
  size_t count = 0, at = 0;
  const netsnmp_variable_list *variable = response->variables;
  if (response->errstat != SNMP_ERR_NOERROR)
    return take_error(batch, response);
  for (; variable; variable = variable->next_variable)
    count++;
  /* a device that answers with less would be asked for ever */
  if (count < batch->asked_count)
    return "an answer with fewer objects than asked for";
  for (variable = response->variables; variable; variable = variable->next_variable, at++) {
    struct snmp_reading *reading = &batch->readings[batch->asked[at % batch->asked_count]];
    if (reading->is_branch)
      take_row(batch, reading, variable);
    else if (at < batch->asked_count)
      settle_object(batch, reading, variable);
  }
  return NULL;
}
