#include "zones/records/entry.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define END (-1) /* of the file */

void entry_init(struct entry *entry, const char *text, size_t size) {
  *entry = (struct entry){.next = text, .end = text + size, .next_line = 1};
}

void entry_release(struct entry *entry) {
  free(entry->tokens);
  free(entry->text);
  *entry = (struct entry){0};
}

static int take(struct entry *entry) {
  if (entry->next == entry->end)
    return END;
  int byte = (unsigned char)*entry->next++;
  if (byte == '\n')
    entry->next_line++;
  return byte;
}

static void give_back(struct entry *entry, int byte) {
  if (byte == END)
    return;
  if (byte == '\n')
    entry->next_line--;
  entry->next--;
}

static void set_fault(struct entry *entry, const char *fault) {
  if (entry->fault)
    return;
  entry->fault = fault;
  entry->fault_line = entry->next_line;
}

static void put_run(struct entry *entry, const char *bytes, size_t size) {
  if (size > ENTRY_SIZE_MOST - entry->text_used) {
    set_fault(entry, "the record is longer than 1 MiB");
    return;
  }
  entry->text = mem_grow(entry->text, &entry->text_capacity, entry->text_used + size, 1);
  memcpy(entry->text + entry->text_used, bytes, size);
  entry->text_used += size;
}

static void put(struct entry *entry, int byte) {
  const char one = (char)byte;
  put_run(entry, &one, 1);
}

static void put_decimal(struct entry *entry, int byte) {
  put(entry, '\\');
  put(entry, '0' + byte / 100);
  put(entry, '0' + byte / 10 % 10);
  put(entry, '0' + byte % 10);
}

/* What follows a backslash. */
static void read_escape(struct entry *entry) {
  int byte = take(entry);
  if (byte == END || byte == '\n') {
    give_back(entry, byte);
    set_fault(entry, "a backslash ends the line");
  } else if ((byte >= '0' && byte <= '9') || byte == '#') {
    put(entry, '\\'); /* \DDD, judged by who reads the token, and the \# of RFC 3597 */
    put(entry, byte);
  } else {
    put_decimal(entry, byte);
  }
}

/* Copies up to the closing quote. */
static void read_quoted(struct entry *entry) {
  for (;;) {
    int byte = take(entry);
    if (byte == '"')
      return;
    if (byte == END || byte == '\n') {
      give_back(entry, byte);
      set_fault(entry, "a quote is not closed on its line");
      return;
    }
    if (byte == '\\')
      read_escape(entry);
    else if (byte == '\0')
      set_fault(entry, "a NUL byte; write \\000");
    else
      put(entry, byte);
  }
}

static bool ends_token(int byte) {
  return byte == END || byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == ';' || byte == '(' ||
         byte == ')';
}

static bool is_plain(char byte) {
  return !ends_token((unsigned char)byte) && byte != '\\' && byte != '"' && byte != '\0';
}

/* What needs no look at each byte, which is nearly all of a file, is copied at once. */
static void put_plain(struct entry *entry) {
  const char *from = entry->next;
  while (entry->next < entry->end && is_plain(*entry->next))
    entry->next++;
  put_run(entry, from, (size_t)(entry->next - from));
}

static void read_bare(struct entry *entry, int byte) {
  for (; !ends_token(byte); byte = take(entry)) {
    if (byte == '\\') {
      read_escape(entry);
    } else if (byte == '"') { /* key="a value" of SVCB */
      put(entry, byte);
      read_quoted(entry);
      put(entry, '"');
    } else if (byte == '\0') {
      set_fault(entry, "a NUL byte; write \\000");
    } else {
      give_back(entry, byte);
      put_plain(entry);
    }
  }
  give_back(entry, byte);
}

static void read_token(struct entry *entry, int byte) {
  entry->tokens = mem_grow(entry->tokens, &entry->token_capacity, entry->token_count + 1, sizeof *entry->tokens);
  struct entry_token *token = &entry->tokens[entry->token_count];
  *token = (struct entry_token){.at = entry->text_used, .is_quoted = byte == '"'};
  if (token->is_quoted)
    read_quoted(entry);
  else
    read_bare(entry, byte);
  token->size = entry->text_used - token->at;
  put(entry, '\0');
  if (!entry->fault)
    entry->token_count++;
}

static void skip_comment(struct entry *entry) {
  int byte;
  do
    byte = take(entry);
  while (byte != END && byte != '\n');
  give_back(entry, byte);
}

static void begin(struct entry *entry) {
  entry->token_count = 0;
  entry->text_used = 0;
  entry->fault = NULL;
  entry->has_owner = true;
  entry->line = 0;
}

/* One logical line, empty ones too. Returns false at the end of the stream. */
static bool read_line(struct entry *entry) {
  unsigned depth = 0;
  int opened_line = 0;
  bool is_first = true;
  for (;; is_first = false) {
    int byte = take(entry);
    if (byte == END || (byte == '\n' && depth == 0)) {
      if (depth > 0) {
        set_fault(entry, "the parenthesis is never closed");
        entry->fault_line = opened_line;
      }
      return byte != END;
    }
    if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n') {
      if (is_first)
        entry->has_owner = false;
    } else if (byte == ';') {
      skip_comment(entry);
    } else if (byte == '(') {
      if (depth++ == 0)
        opened_line = entry->next_line;
    } else if (byte == ')') {
      if (depth == 0)
        set_fault(entry, "a closing parenthesis without an opening one");
      else
        depth--;
    } else {
      if (!entry->line)
        entry->line = entry->next_line;
      read_token(entry, byte);
    }
  }
}

enum entry_result entry_next(struct entry *entry) {
  bool goes_on = true;
  while (goes_on) {
    begin(entry);
    goes_on = read_line(entry);
    if (entry->fault)
      return ENTRY_BAD;
    if (entry->token_count > 0)
      return ENTRY_READ;
  }
  return ENTRY_END;
}
