/* tests/unit/discovery/registry/registry_fixture.h
 * A registry with real stores in a directory of its own, a real committer, and a house clock that the test moves. */
#ifndef GSLB_TESTS_UNIT_DISCOVERY_REGISTRY_REGISTRY_FIXTURE_H
#define GSLB_TESTS_UNIT_DISCOVERY_REGISTRY_REGISTRY_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "discovery/registry/registry.h"
#include "gslb/base/memory.h"

struct fixture {
  char directory[64];
  struct errbuf err;
  struct store *durable, *live;
  struct house house;
  struct config *config;
  struct committer *committer;
  struct feed *feed;
  struct registry *registry;
  pthread_mutex_t lock;
  pthread_cond_t moved;
  unsigned rings;
  bool probes_pass;
};

void stop_all(struct fixture *fixture);
void start_all(struct fixture *fixture);
int setup(void **state);
int teardown(void **state);
void pass_time(struct fixture *fixture, int64_t ms);
/* The clock; whoever waits for it looks at it again. */

/* Waits for a condition, looked at after each ring and every few milliseconds, with a deadline. */
typedef bool condition(struct fixture *fixture, const void *argument);
bool wait_for(struct fixture *fixture, condition *is_true, const void *argument);
struct principal token_named(const char *name, const char *resources);

/* A call that is waited for; errors and documents are copied out. */
struct waited {
  struct fixture *fixture;
  bool is_done;
  struct registry_outcome outcome;
  char text[512];
  char errors[2048];
};

void on_done(void *context, const struct registry_outcome *outcome);
void await(struct waited *waited);
void put_as(struct fixture *fixture, const struct registry_call *call, bool is_patch, const char *text,
            struct waited *waited);
void put(struct fixture *fixture, const char *id, const char *text, struct waited *waited);
enum status report(struct fixture *fixture, const char *id, const struct document_status *report,
                   struct registry_outcome *outcome);
bool get_row(struct store *store, enum store_db db, const void *key, size_t size, void *copy, size_t *length);
bool has_member(struct fixture *fixture, const char *service, const char *id);
bool has_resource(struct fixture *fixture, const char *id);
bool read_lease(struct fixture *fixture, const char *id, struct lease_record *out);

#endif
