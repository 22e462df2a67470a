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
#define LISTING_PAUSE 10 /* times as long as it took to build */
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
  uint32_t *dirty;         /* those, in the order in which they were marked */
  size_t dirty_count;
  struct listing *listing; /* published by RCU in the book; NULL: no zone wants one */
  bool is_listing_wanted, is_listing_dirty;
  int64_t listing_next_ms; /* mono: not built anew before, so that it takes a tenth of the thread's time at most */
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
  listing_free(builder->listing);
  differences_free(builder->differences);
  free(builder->cookies);
  facts_free(builder->facts);
  close_stores(builder);
  config_free(builder->config);
  free(builder->valid_until_ms);
  free(builder->is_dirty);
  free(builder->dirty);
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

static void mark_table(struct builder *builder, size_t service) {
  if (builder->is_dirty[service])
    return;
  builder->is_dirty[service] = true;
  builder->dirty[builder->dirty_count++] = (uint32_t)service;
}

struct marking {
  struct builder *builder;
  const struct config *config; /* whose facts change */
};

static void mark_dirty(void *context, size_t service) {
  const struct marking *marking = context;
  struct builder *builder = marking->builder;
  if (service == FACTS_BALANCERS) {
    builder->is_listing_dirty = true;
    return;
  }
  const struct config_service *configured = &marking->config->services[service];
  builder->is_listing_dirty |= marking->config->zones[configured->zone].has_browse;
  mark_table(builder, service);
  /* what is created from a pattern has its name in the pattern's table */
  if (configured->pattern != CONFIG_NO_PATTERN)
    mark_table(builder, configured->pattern);
}

static void refresh_facts(struct builder *builder, const struct config *config, struct facts *facts) {
  struct errbuf err = {""};
  struct marking marking = {builder, config};
  if (facts_refresh(facts, mark_dirty, &marking, &err) != STATUS_OK)
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
  atomic_fetch_add_explicit(&builder->board->gauges[BOARD_DNS_TABLES_BUILT], 1, memory_order_relaxed);
  if (config_service_is_pattern(&book->config->services[service])) {
    builder->valid_until_ms[service] = INT64_MAX;
    return table_build_pattern(book->config, facts, service);
  }
  struct arena arena = {0};
  struct evaluation evaluation;
  const struct service_facts *known = facts_service(facts, service);
  evaluate_service(book->config, known, now_ms, &arena, &evaluation);
  builder->valid_until_ms[service] = evaluation.valid_until_ms;
  struct table *table = table_build(known->service, known, &evaluation, topology_of(book->topology, service));
  arena_release(&arena);
  return table;
}

static void find_next_expiry(struct builder *builder) {
  builder->next_expiry_ms = INT64_MAX;
  for (size_t i = 0; i < builder->config->service_count; i++)
    if (builder->valid_until_ms[i] < builder->next_expiry_ms)
      builder->next_expiry_ms = builder->valid_until_ms[i];
}

/* NULL where no zone wants one. */
static struct listing *make_listing(struct builder *builder, const struct config *config, const struct facts *facts,
                                    int64_t now_ms) {
  builder->is_listing_wanted = builder->is_listing_dirty = false;
  for (size_t i = 0; i < config->zone_count; i++)
    builder->is_listing_wanted |= listing_is_wanted(&config->zones[i]);
  if (!builder->is_listing_wanted)
    return NULL;
  int64_t start_ms = mono_now_ms();
  struct listing *listing = listing_build(config, facts, now_ms);
  int64_t end_ms = mono_now_ms();
  builder->listing_next_ms = end_ms + LISTING_PAUSE * (end_ms - start_ms);
  return listing;
}

enum status builder_switch(struct builder *builder, struct config *config, int image_fd, uint32_t worker_count,
                           struct errbuf *err) {
  struct book *fresh = book_new(config, image_fd, worker_count, err);
  if (!fresh)
    return STATUS_INVALID;
  open_stores(builder, config);
  free(builder->valid_until_ms);
  free(builder->is_dirty);
  free(builder->dirty);
  builder->valid_until_ms = mem_array(config->service_count, sizeof *builder->valid_until_ms);
  builder->is_dirty = mem_array(config->service_count, sizeof *builder->is_dirty);
  builder->dirty = mem_array(config->service_count, sizeof *builder->dirty);
  builder->dirty_count = 0;
  struct facts *facts = facts_new(config, builder->durable, builder->live);
  refresh_facts(builder, config, facts);
  int64_t now_ms = house_now_ms(&builder->house);
  for (size_t i = 0; i < config->service_count; i++) {
    fresh->tables[i] = build_table(builder, fresh, facts, i, now_ms);
    builder->is_dirty[i] = false;
  }
  builder->dirty_count = 0;
  struct listing *old_listing = builder->listing;
  fresh->listing = builder->listing = make_listing(builder, config, facts, now_ms);
  struct book *old = builder->book;
  struct cookie_secrets *old_cookies = builder->cookies;
  fresh->cookies = builder->cookies = make_cookies(builder, fresh);
  if (!book_has_same_image(old, fresh)) /* and then its zones are those of the same configuration */
    differences_follow(builder->differences, old, fresh);
  rcu_assign_pointer(builder->book, fresh);
  if (old) {
    synchronize_rcu();
    book_free(old);
  }
  free(old_cookies);
  listing_free(old_listing);
  facts_free(builder->facts);
  config_free(builder->config);
  builder->facts = facts;
  builder->config = config;
  find_next_expiry(builder);
  mem_give_back(); /* rows of facts, and the old book */
  return STATUS_OK;
}

static void mark_expired(struct builder *builder, int64_t now_ms) {
  if (builder->next_expiry_ms > now_ms)
    return;
  for (size_t i = 0; i < builder->config->service_count; i++)
    if (builder->valid_until_ms[i] <= now_ms)
      mark_table(builder, i);
}

static int compare_descending(const void *a, const void *b) {
  uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
  return (one < other) - (one > other);
}

/* Rebuilds what is marked; returns what to free after a grace period, the listing that was replaced in *listing. A
 * created service comes before the pattern that names it, since vacancies stand behind all patterns. */
static struct table **replace_dirty(struct builder *builder, int64_t now_ms, struct listing **listing) {
  struct table **retired = mem_array(builder->dirty_count, sizeof *retired);
  if (builder->dirty_count)
    qsort(builder->dirty, builder->dirty_count, sizeof *builder->dirty, compare_descending);
  for (size_t i = 0; i < builder->dirty_count; i++) {
    uint32_t service = builder->dirty[i];
    builder->is_dirty[service] = false;
    struct table *fresh = build_table(builder, builder->book, builder->facts, service, now_ms);
    retired[i] = builder->book->tables[service];
    rcu_assign_pointer(builder->book->tables[service], fresh);
  }
  *listing = NULL;
  if (builder->is_listing_wanted && builder->is_listing_dirty && builder->listing_next_ms <= mono_now_ms()) {
    *listing = builder->listing;
    builder->listing = make_listing(builder, builder->config, builder->facts, now_ms);
    rcu_assign_pointer(builder->book->listing, builder->listing);
  }
  return retired;
}

static void rebuild_dirty(struct builder *builder, int64_t now_ms) {
  struct listing *listing;
  mark_expired(builder, now_ms);
  size_t count = builder->dirty_count;
  struct table **retired = replace_dirty(builder, now_ms, &listing);
  builder->dirty_count = 0;
  if (count || listing)
    synchronize_rcu();
  if (count)
    find_next_expiry(builder);
  for (size_t i = 0; i < count; i++)
    table_free(retired[i]);
  free(retired);
  listing_free(listing);
}

int64_t builder_refresh(struct builder *builder) {
  if ((!builder->durable || !builder->live) && open_stores(builder, builder->config)) {
    facts_free(builder->facts);
    builder->facts = facts_new(builder->config, builder->durable, builder->live);
  }
  refresh_facts(builder, builder->config, builder->facts);
  rebuild_dirty(builder, house_now_ms(&builder->house));
  rotate_cookies(builder);
  if (!builder->durable || !builder->live)
    return BUILDER_STORE_RETRY_MS;
  int64_t left_ms = builder->next_expiry_ms - house_now_ms(&builder->house);
  if (builder->is_listing_wanted && builder->is_listing_dirty) {
    int64_t pause_ms = builder->listing_next_ms - mono_now_ms();
    left_ms = pause_ms < left_ms ? pause_ms : left_ms;
  }
  if (left_ms < 0)
    left_ms = 0;
  return left_ms < BUILDER_WAIT_MOST_MS ? left_ms : BUILDER_WAIT_MOST_MS;
}
