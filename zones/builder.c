#include "zones/builder.h"

#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/decide/evaluate.h"
#include "gslb/model/facts.h"
#include "gslb/model/store.h"

#define BUILDER_WAIT_MOST_MS 60000
#define BUILDER_STORE_RETRY_MS 1000
#define BUILDER_COOKIE_LIFE_MS (24 * 3600 * INT64_C(1000))

struct builder {
  struct board *board;
  struct house house;
  struct config *config;
  struct book *book; /* published by RCU */
  struct differences *differences;
  struct cookie_secrets *cookies; /* published by RCU in the book; NULL: off */
  struct facts *facts;
  struct store *durable, *live;
  bool has_logged_store;   /* once while it is missing, not each second */
  int64_t *valid_until_ms; /* by service, house time */
  int64_t next_expiry_ms;  /* the least of them */
  bool *is_dirty;          /* by service */
};

struct builder *builder_new(struct board *board, const struct house *house) {
  struct builder *builder = mem_alloc(sizeof *builder);
  builder->board = board;
  builder->house = *house;
  builder->differences = differences_new();
  return builder;
}

static void close_stores(struct builder *builder) {
  if (builder->durable)
    store_close(builder->durable);
  if (builder->live)
    store_close(builder->live);
  builder->durable = builder->live = NULL;
}

void builder_free(struct builder *builder) {
  if (!builder)
    return;
  book_free(builder->book);
  differences_free(builder->differences);
  free(builder->cookies);
  facts_free(builder->facts);
  close_stores(builder);
  config_free(builder->config);
  free(builder->valid_until_ms);
  free(builder->is_dirty);
  free(builder);
}

struct differences *builder_differences(struct builder *builder) {
  return builder->differences;
}

struct book *const *builder_book(const struct builder *builder) {
  return &builder->book;
}

/* Opens what is not open yet; true when something was opened, so that the facts must be read afresh. */
static bool open_stores(struct builder *builder, const struct config *config) {
  struct errbuf err = {""};
  bool opened = false;
  if (!builder->durable)
    opened |= store_open(config->server.state, STORE_DURABLE, STORE_READ, &builder->durable, &err) == STATUS_OK;
  if (!builder->live)
    opened |= store_open(config->server.run, STORE_LIVE, STORE_READ, &builder->live, &err) == STATUS_OK;
  bool is_missing = !builder->durable || !builder->live;
  if (is_missing && !builder->has_logged_store)
    log_warning("answering without stored facts: %s", err.text);
  if (!is_missing && builder->has_logged_store)
    log_info("the stores are there again");
  builder->has_logged_store = is_missing;
  return opened;
}

static void mark_dirty(void *context, size_t service) {
  struct builder *builder = context;
  builder->is_dirty[service] = true;
}

static void refresh_facts(struct builder *builder, struct facts *facts) {
  struct errbuf err = {""};
  if (facts_refresh(facts, mark_dirty, builder, &err) != STATUS_OK)
    log_warning("facts: %s", err.text);
}

/* Makes a secret up where there is none or the newest is a day old; true when there is a new one. */
static bool renew_secrets(struct board_cookies *cookies, int64_t now_ms) {
  if (cookies->count && now_ms - cookies->made_ms < BUILDER_COOKIE_LIFE_MS)
    return false;
  memmove(cookies->secrets[1], cookies->secrets[0], sizeof cookies->secrets - sizeof cookies->secrets[0]);
  random_secret(cookies->secrets[0], sizeof cookies->secrets[0]);
  cookies->made_ms = now_ms;
  if (cookies->count < BOARD_COOKIE_SECRETS)
    cookies->count++;
  return true;
}

/* The secrets of the configured file, or those on the board; NULL: cookies are off. */
static struct cookie_secrets *make_cookies(struct builder *builder, const struct book *book) {
  if (!book->config->server.has_cookies)
    return NULL;
  struct cookie_secrets *cookies = mem_alloc(sizeof *cookies);
  *cookies = image_head(&book->image)->cookies;
  if (cookies->count)
    return cookies;
  struct board_cookies *made_up = &builder->board->cookies;
  renew_secrets(made_up, house_now_ms(&builder->house));
  cookies->count = (uint8_t)made_up->count;
  memcpy(cookies->secrets, made_up->secrets, sizeof made_up->secrets);
  return cookies;
}

static void rotate_cookies(struct builder *builder) {
  struct book *book = builder->book;
  if (!builder->cookies || image_head(&book->image)->cookies.count ||
      !renew_secrets(&builder->board->cookies, house_now_ms(&builder->house)))
    return;
  struct cookie_secrets *old = builder->cookies;
  builder->cookies = make_cookies(builder, book);
  rcu_assign_pointer(book->cookies, builder->cookies);
  synchronize_rcu();
  free(old);
}

static struct table *build_table(struct builder *builder, const struct book *book, const struct facts *facts,
                                 size_t service, int64_t now_ms) {
  struct arena arena = {0};
  struct evaluation evaluation;
  const struct service_facts *known = facts_service(facts, service);
  evaluate_service(book->config, known, now_ms, &arena, &evaluation);
  builder->valid_until_ms[service] = evaluation.valid_until_ms;
  struct table *table = table_build(known->service, known, &evaluation, topology_of(book->topology, service));
  arena_release(&arena);
  atomic_fetch_add_explicit(&builder->board->gauges[BOARD_DNS_TABLES_BUILT], 1, memory_order_relaxed);
  return table;
}

static void find_next_expiry(struct builder *builder) {
  builder->next_expiry_ms = INT64_MAX;
  for (size_t i = 0; i < builder->config->service_count; i++)
    if (builder->valid_until_ms[i] < builder->next_expiry_ms)
      builder->next_expiry_ms = builder->valid_until_ms[i];
}

enum status builder_switch(struct builder *builder, struct config *config, int image_fd, uint32_t worker_count,
                           struct errbuf *err) {
  struct book *fresh = book_new(config, image_fd, worker_count, err);
  if (!fresh)
    return STATUS_INVALID;
  open_stores(builder, config);
  free(builder->valid_until_ms);
  free(builder->is_dirty);
  builder->valid_until_ms = mem_array(config->service_count, sizeof *builder->valid_until_ms);
  builder->is_dirty = mem_array(config->service_count, sizeof *builder->is_dirty);
  struct facts *facts = facts_new(config, builder->durable, builder->live);
  refresh_facts(builder, facts);
  int64_t now_ms = house_now_ms(&builder->house);
  for (size_t i = 0; i < config->service_count; i++) {
    fresh->tables[i] = build_table(builder, fresh, facts, i, now_ms);
    builder->is_dirty[i] = false;
  }
  struct book *old = builder->book;
  struct cookie_secrets *old_cookies = builder->cookies;
  fresh->cookies = builder->cookies = make_cookies(builder, fresh);
  differences_follow(builder->differences, old, fresh);
  rcu_assign_pointer(builder->book, fresh);
  if (old) {
    synchronize_rcu();
    book_free(old);
  }
  free(old_cookies);
  facts_free(builder->facts);
  config_free(builder->config);
  builder->facts = facts;
  builder->config = config;
  find_next_expiry(builder);
  return STATUS_OK;
}

/* Rebuilds what is marked and frees the old tables after one grace period for all of them. */
static void rebuild_dirty(struct builder *builder, int64_t now_ms) {
  size_t count = builder->config->service_count, retired_count = 0, retired_room = 0;
  struct table **retired = NULL;
  for (size_t i = 0; i < count; i++) {
    if (!builder->is_dirty[i] && builder->valid_until_ms[i] > now_ms)
      continue;
    builder->is_dirty[i] = false;
    struct table *fresh = build_table(builder, builder->book, builder->facts, i, now_ms);
    retired = mem_grow(retired, &retired_room, retired_count + 1, sizeof *retired);
    retired[retired_count++] = builder->book->tables[i];
    rcu_assign_pointer(builder->book->tables[i], fresh);
  }
  if (retired_count) {
    synchronize_rcu();
    find_next_expiry(builder);
  }
  for (size_t i = 0; i < retired_count; i++)
    table_free(retired[i]);
  free(retired);
}

int64_t builder_refresh(struct builder *builder) {
  if ((!builder->durable || !builder->live) && open_stores(builder, builder->config)) {
    facts_free(builder->facts);
    builder->facts = facts_new(builder->config, builder->durable, builder->live);
  }
  refresh_facts(builder, builder->facts);
  rebuild_dirty(builder, house_now_ms(&builder->house));
  rotate_cookies(builder);
  if (!builder->durable || !builder->live)
    return BUILDER_STORE_RETRY_MS;
  int64_t left_ms = builder->next_expiry_ms - house_now_ms(&builder->house);
  if (left_ms < 0)
    left_ms = 0;
  return left_ms < BUILDER_WAIT_MOST_MS ? left_ms : BUILDER_WAIT_MOST_MS;
}
