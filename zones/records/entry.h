/* zones/records/entry.h
 * The entries of a master file (RFC 1035 section 5.1): one logical line each, joined over parentheses, freed of
 * comments and split into tokens. Knows nothing of names, types or directives. One thread. */
#ifndef GSLB_ZONES_RECORDS_ENTRY_H
#define GSLB_ZONES_RECORDS_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#define ENTRY_SIZE_MOST (1u << 20) /* bytes of one entry */

enum entry_result { ENTRY_READ, ENTRY_BAD, ENTRY_END };

struct entry_token {
  size_t at; /* in text; ends with NUL there */
  size_t size;
  bool is_quoted; /* stood in quotes, which are left out */
};

struct entry {
  const char *next, *end; /* what is still to be read; the caller's */
  int next_line;
  /* what was read: */
  int line;       /* of the first token */
  bool has_owner; /* the entry does not begin with a blank */
  struct entry_token *tokens;
  size_t token_count;
  char *text;        /* escapes are normalised: a quoted special character stands as \DDD, so no token has a bare one */
  const char *fault; /* of ENTRY_BAD; static */
  int fault_line;
  size_t token_capacity, text_used, text_capacity;
};

void entry_init(struct entry *entry, const char *text, size_t size);
/* Of a whole file; text is borrowed until entry_release. */
void entry_release(struct entry *entry);

enum entry_result entry_next(struct entry *entry);
/* Reads the next entry that is not empty. ENTRY_BAD: fault tells why, and the next call goes on behind it. What was
 * read lives until the next call. */

static inline const char *entry_text(const struct entry *entry, size_t token) {
  return entry->text + entry->tokens[token].at;
}

#endif
