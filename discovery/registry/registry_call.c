#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/documents/complaint.h"
#include "discovery/registry/registry_private.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/chronicle.h"

#define RETRY_LIMIT_S 30u
#define RETRY_IO_S 1u

struct operation *operation_new(struct registry *registry, enum operation_kind kind, const char *id) {
  struct operation *operation = mem_alloc(sizeof *operation);
  operation->registry = registry;
  operation->kind = kind;
  snprintf(operation->id, sizeof operation->id, "%s", id);
  return operation;
}

static void free_operation(struct operation *operation) {
  json_decref(operation->json);
  json_decref(operation->errors);
  arena_release(&operation->work);
  arena_release(&operation->arena);
  accept_rules_release(operation->rules);
  free(operation);
}

void operation_tell(struct operation *operation) {
  struct registry *registry = operation->registry;
  if (operation->done) {
    struct registry_outcome outcome = {.status = operation->status,
                                       .is_created = operation->is_created,
                                       .is_loop = operation->is_loop,
                                       .errors = operation->errors,
                                       .text = operation->err.text,
                                       .resource = operation->resource,
                                       .lease = operation->lease,
                                       .until_ms = operation->until_ms};
    if (operation->status == STATUS_LIMIT || operation->status == STATUS_IO)
      outcome.retry_after_s = operation->status == STATUS_LIMIT ? RETRY_LIMIT_S : RETRY_IO_S;
    operation->done(operation->context, &outcome);
  }
  pthread_mutex_lock(&registry->lock);
  if (operation->done && operation->status && operation->status != STATUS_NODATA)
    registry->totals.refused++;
  if (--registry->in_flight == 0)
    pthread_cond_signal(&registry->wake);
  pthread_mutex_unlock(&registry->lock);
  free_operation(operation);
}

static void land(struct operation *operation) {
  struct registry *registry = operation->registry;
  pthread_mutex_lock(&registry->lock);
  operation->next = NULL;
  *registry->landed_last = operation;
  registry->landed_last = &operation->next;
  pthread_cond_signal(&registry->wake);
  pthread_mutex_unlock(&registry->lock);
}

static void applied(void *context, enum status status, const struct errbuf *err) {
  struct operation *operation = context;
  tally_settle(operation->registry->tally, &operation->tally, status == STATUS_OK);
  if (status && (operation->is_written || !operation->is_judged)) {
    operation->status = errbuf_set(&operation->err, STATUS_IO, "it cannot be stored: %s", err->text);
    log_error("registration of %s: %s", operation->id, operation->err.text);
  }
  if (operation->kind == OPERATION_EXPIRE || (operation->status == STATUS_OK && !operation->is_dry_run))
    land(operation);
  else
    operation_tell(operation);
}

void operation_queue(struct operation *operation) {
  struct registry *registry = operation->registry;
  struct errbuf err;
  pthread_mutex_lock(&registry->lock);
  bool is_stopping = registry->is_stopping && operation->kind != OPERATION_EXPIRE;
  operation->rules = accept_rules_hold(registry->rules);
  registry->in_flight++;
  pthread_mutex_unlock(&registry->lock);
  enum status status = STATUS_IO;
  if (is_stopping)
    errbuf_set(&err, STATUS_IO, "the process is stopping");
  else
    status = commit_queue(registry->links.committer, operation_apply, applied, operation, &err);
  if (status == STATUS_OK)
    return;
  operation->status = errbuf_set(&operation->err, STATUS_IO, "%s", err.text);
  if (operation->kind == OPERATION_EXPIRE)
    land(operation);
  else
    operation_tell(operation);
}

/* The calls. */

static struct operation *begin_call(struct registry *registry, enum operation_kind kind,
                                    const struct registry_call *call, registry_done *done, void *context) {
  struct operation *operation = operation_new(registry, kind, "");
  operation->principal = *call->principal;
  operation->if_revision = call->if_revision;
  operation->if_absent = call->if_absent;
  operation->is_dry_run = call->is_dry_run;
  snprintf(operation->identity, sizeof operation->identity, "%s", call->identity ? call->identity : "");
  operation->done = done;
  operation->context = context;
  if (!registry_read_id(call->id, operation->id)) {
    complaint_add(&operation->errors, "", "must have an id of 1 to 63 letters, digits and \"-\" inside");
    operation->status = errbuf_set(&operation->err, STATUS_RANGE, "the id is no label of a host name");
  } else if (!registry->links.durable || !registry->links.live) {
    operation->status = errbuf_set(&operation->err, STATUS_IO, "the stores are not open");
  }
  return operation;
}

static void queue_or_tell(struct operation *operation) {
  if (operation->status == STATUS_OK) {
    operation_queue(operation);
    return;
  }
  pthread_mutex_lock(&operation->registry->lock);
  operation->registry->in_flight++;
  pthread_mutex_unlock(&operation->registry->lock);
  operation_tell(operation);
}

/* What can be told without the store is told before the queue, so that nonsense costs the committer nothing. */
static void check_given(struct operation *operation, const json_t *json) {
  struct registry *registry = operation->registry;
  operation->status = document_parse_registration(json, &operation->arena, &operation->given, &operation->errors);
  if (operation->status) {
    errbuf_set(&operation->err, operation->status, "the registration does not fit");
    return;
  }
  pthread_mutex_lock(&registry->lock);
  struct accept_rules *rules = accept_rules_hold(registry->rules);
  pthread_mutex_unlock(&registry->lock);
  operation->status =
      accept_check(rules, &operation->principal, operation->id, &operation->given, &operation->errors, &operation->err);
  accept_rules_release(rules);
}

void registry_register(struct registry *registry, const struct registry_call *call, const json_t *document,
                       bool is_patch, registry_done *done, void *context) {
  struct operation *operation = begin_call(registry, OPERATION_REGISTER, call, done, context);
  operation->is_patch = is_patch;
  if (operation->status == STATUS_OK && is_patch)
    operation->json = value_must(json_deep_copy(document));
  else if (operation->status == STATUS_OK)
    check_given(operation, document);
  queue_or_tell(operation);
}

void registry_deregister(struct registry *registry, const struct registry_call *call, registry_done *done,
                         void *context) {
  queue_or_tell(begin_call(registry, OPERATION_DEREGISTER, call, done, context));
}

static struct operation *begin_operators(struct registry *registry, enum operation_kind kind,
                                         const struct registry_call *call, registry_done *done, void *context) {
  struct operation *operation = begin_call(registry, kind, call, done, context);
  if (operation->status == STATUS_OK && call->principal->kind != PRINCIPAL_OPERATOR && !call->principal->may_admin)
    operation->status = errbuf_set(&operation->err, STATUS_FORBIDDEN, "only an operator may do that");
  return operation;
}

void registry_remove(struct registry *registry, const struct registry_call *call, int64_t until_ms, const char *why,
                     registry_done *done, void *context) {
  struct operation *operation = begin_operators(registry, OPERATION_REMOVE, call, done, context);
  operation->until_ms = until_ms;
  snprintf(operation->why, sizeof operation->why, "%s", why ? why : "");
  queue_or_tell(operation);
}

void registry_allow(struct registry *registry, const struct registry_call *call, registry_done *done, void *context) {
  queue_or_tell(begin_operators(registry, OPERATION_ALLOW, call, done, context));
}

/* Events of their own. */

static enum status apply_note(void *context, struct store_txn *txn, struct errbuf *err) {
  return chronicle_write_event(txn, context, err);
}

static void forget_note(void *context, enum status status, const struct errbuf *err) {
  const struct event_record *event = context;
  if (status)
    log_error("the event that %s is %s is not stored: %s", event->member, event->to, err->text);
  free(context);
}

void registry_note(struct registry *registry, const struct lease *lease, const char *from, const char *to,
                   const char *reason) {
  struct event_record *event = mem_alloc(sizeof *event);
  struct errbuf err;
  event->at_ms = house_now_ms(registry->links.house);
  snprintf(event->service, sizeof event->service, "%s", lease->service_count ? lease->services[0].service->name : "");
  snprintf(event->member, sizeof event->member, "%s", lease->id);
  strcpy(event->kind, "resource");
  snprintf(event->from, sizeof event->from, "%s", from);
  snprintf(event->to, sizeof event->to, "%s", to);
  snprintf(event->reason, sizeof event->reason, "%s", reason);
  enum status status = commit_queue(registry->links.committer, apply_note, forget_note, event, &err);
  if (status)
    forget_note(event, status, &err);
}
