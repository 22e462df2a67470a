#include "probes/journal.h"

#include <stdlib.h>

#include "gslb/base/memory.h"

enum due { DUE_NEVER, DUE_CALM, DUE_NEXT_TURN };

struct journal {
  char *run_directory;
  struct live_rows_writer writer;
  struct store *store; /* NULL: not open */
  struct loop_timer *timer;
  enum due timer_due;
  struct live_row_queue news, calm;
};

static void set_timer(struct journal *journal, enum due due) {
  if (!journal->store || journal->timer_due >= due)
    return;
  journal->timer_due = due;
  loop_timer_after(journal->timer, due == DUE_NEXT_TURN ? 0 : JOURNAL_CALM_MS);
}

static void timer_fired(void *context) {
  struct journal *journal = context;
  journal->timer_due = DUE_NEVER;
  /* what failed is tried again at the pace of the calm */
  if (!journal_flush(journal))
    set_timer(journal, DUE_CALM);
}

struct journal *journal_new(const char *run_directory, struct loop *loop, const struct house *house,
                            struct board *board, const struct board_bell *bell) {
  struct journal *journal = mem_alloc(sizeof *journal);
  journal->run_directory = mem_strdup(run_directory);
  journal->writer = (struct live_rows_writer){.house = house, .board = board, .bell = bell, .what = "probe results"};
  journal->timer = loop_timer_new(loop, timer_fired, journal);
  TAILQ_INIT(&journal->news);
  TAILQ_INIT(&journal->calm);
  return journal;
}

void journal_free(struct journal *journal) {
  if (!journal)
    return;
  live_rows_drop(&journal->news);
  live_rows_drop(&journal->calm);
  loop_timer_free(journal->timer);
  if (journal->store)
    store_close(journal->store);
  free(journal->run_directory);
  free(journal);
}

enum status journal_open(struct journal *journal, struct errbuf *err) {
  if (journal->store)
    return STATUS_OK;
  enum status status = store_open(journal->run_directory, STORE_LIVE, STORE_WRITE, &journal->store, err);
  if (status != STATUS_OK)
    return status;
  if (!TAILQ_EMPTY(&journal->news) || !TAILQ_EMPTY(&journal->calm))
    set_timer(journal, DUE_NEXT_TURN);
  return STATUS_OK;
}

struct store *journal_store(const struct journal *journal) {
  return journal->store;
}

void journal_put(struct journal *journal, struct live_row *row, bool is_news) {
  live_row_wait(row, is_news || row->is_news ? &journal->news : &journal->calm, is_news);
  set_timer(journal, is_news ? DUE_NEXT_TURN : DUE_CALM);
}

void journal_delete(struct journal *journal, enum store_db db, const struct record_key *key) {
  live_row_delete(db, key, &journal->news, true);
  set_timer(journal, DUE_NEXT_TURN);
}

bool journal_flush(struct journal *journal) {
  struct live_row_queue *const queues[] = {&journal->news, &journal->calm};
  return live_rows_write(&journal->writer, journal->store, queues, 2);
}

void journal_tidy(struct journal *journal) {
  unsigned cleared = 0;
  if (journal->store)
    store_check_readers(journal->store, &cleared);
}
