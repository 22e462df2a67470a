/* tests/unit/zones/small_book.h
 * A book of one zone and a few balanced names, made from texts as gslbd would make it from files, for tests of the
 * answer path. One thread; aborts on any failure. */
#ifndef TESTS_SMALL_BOOK_H
#define TESTS_SMALL_BOOK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "gslb/decide/evaluate.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"
#include "zones/answer/answer.h"
#include "zones/compile/compile.h"

struct small_book {
  struct config *config;
  struct facts *facts;
  struct book *book;
  struct board_worker board;
  _Atomic uint64_t *answers;
  struct answerer answerer;
};

static inline void small_book_fail(const char *what) {
  fprintf(stderr, "small book: %s\n", what);
  abort();
}

static inline void small_book_make(struct small_book *small, const char *services, const char *zone_text) {
  char zone_path[] = "/tmp/gslb-zone-XXXXXX";
  int zone = mkstemp(zone_path);
  if (zone < 0 || write(zone, zone_text, strlen(zone_text)) != (ssize_t)strlen(zone_text))
    small_book_fail("zone file");
  close(zone);
  char *text = mem_format("server: {identity: t, state: /nonexistent, listen: [\"127.0.0.1@53\"], workers: 1}\n"
                          "zones: [{name: example.com, file: %s}]\n%s",
                          zone_path, services);
  struct problems problems = {0};
  int image = -1;
  memset(small, 0, sizeof *small);
  small->config = config_parse("test.yaml", text, strlen(text), &problems);
  if (!small->config || zones_compile(small->config, &image, &problems) != STATUS_OK)
    small_book_fail(problems_format(&problems));
  unlink(zone_path);
  free(text);
  struct errbuf err;
  small->book = book_new(small->config, image, 1, &err);
  if (!small->book)
    small_book_fail(err.text);
  close(image);
  small->facts = facts_new(small->config, NULL, NULL);
  uint32_t slot = 0; /* each member has a counter, as from control */
  for (size_t i = 0; i < small->config->service_count; i++) {
    struct arena arena = {0};
    struct evaluation evaluation;
    const struct service_facts *facts = facts_service(small->facts, i);
    for (size_t member = 0; member < small->config->services[i].member_count; member++)
      facts->members[member].slot = slot++;
    evaluate_service(small->config, facts, 1, &arena, &evaluation);
    small->book->tables[i] =
        table_build(&small->config->services[i], facts, &evaluation, topology_of(small->book->topology, i));
    arena_release(&arena);
  }
  small->answers = mem_array(BOARD_SLOTS, sizeof *small->answers);
  small->answerer = (struct answerer){.board = &small->board, .answers = small->answers, .udp_payload = 1232};
  random_seed(&small->answerer.random, 1);
}

static inline void small_book_release(struct small_book *small) {
  book_free(small->book);
  facts_free(small->facts);
  config_free(small->config);
  free(small->answers);
}

#endif
