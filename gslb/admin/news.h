/* gslb/admin/news.h
 * What the keeper found in one round and is about to store: events, and rows to put or delete; and which services'
 * on_empty commands are due. Collected by the keeper's thread, applied by the committer in one transaction. */
#ifndef GSLB_ADMIN_NEWS_H
#define GSLB_ADMIN_NEWS_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"

enum news_kind {
  NEWS_PUT,
  NEWS_DELETE,
  NEWS_DELETE_BELOW, /* the rows whose keys begin with the key and a NUL: a member's addresses */
  NEWS_END_OVERRIDE, /* delete unless an operator has set another in the meantime */
};

struct news_row {
  enum news_kind kind;
  enum store_db db;
  struct record_key key;
  const void *value; /* NEWS_PUT */
  size_t size;
  const char *service; /* whose change is marked; NULL for none */
};

struct news {
  struct arena arena; /* of all that the rows point to */
  struct event_record *events;
  size_t event_count, event_capacity;
  struct news_row *rows;
  size_t row_count, row_capacity;
  const char **empties; /* names of services whose on_empty command is to be run; nothing of them is stored */
  size_t empty_count, empty_capacity;
  int64_t now_ms; /* house time, decides whether an override has ended */
};
/* Zero-initialised is empty and ready. */

struct event_record *news_add_event(struct news *news, const char *kind, const char *service, const char *member);
/* With the time of the news; the caller fills in from, to and reason, until the next call. */
void news_add_row(struct news *news, const struct news_row *row);
/* Copies the row, the value and the service's name. */
void news_add_empty(struct news *news, const char *service);

enum status news_apply(void *news, struct store_txn *txn, struct errbuf *err);
/* A commit_apply. */

void news_release(struct news *news);

#endif
