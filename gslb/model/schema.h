/* gslb/model/schema.h
 * A declarative schema: tables with a row a key say which keys a mapping has and which field of which struct each
 * fills. One walker loads a document by them and reports everything that is wrong, with its place; another prints them
 * as help. Tables are constant; what is loaded lives in the reader's arena. One thread a reader. */
#ifndef GSLB_MODEL_SCHEMA_H
#define GSLB_MODEL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/model/document.h"

enum schema_kind {                      /* the field is */
                   SCHEMA_TEXT,         /* const char *, one line; least to most bytes */
                   SCHEMA_LINES,        /* const char *, may have line ends */
                   SCHEMA_PATH,         /* const char *, made absolute against the reader's directory */
                   SCHEMA_DOMAIN,       /* const char *, by domain_read with what `allowed` says */
                   SCHEMA_LABEL,        /* const char *, by domain_read_host_label */
                   SCHEMA_BOOL,         /* bool, written as true or false */
                   SCHEMA_U8,           /* uint8_t */
                   SCHEMA_U16,          /* uint16_t */
                   SCHEMA_U32,          /* uint32_t */
                   SCHEMA_DECIMAL,      /* double, within least and most unless both are 0 */
                   SCHEMA_MILLISECONDS, /* int64_t, written as a duration; least and most in ms */
                   SCHEMA_SECONDS,      /* uint32_t, written as a duration of whole seconds; least and most in ms */
                   SCHEMA_WORD,         /* int or enum: the index into words */
                   SCHEMA_ADDRESS,      /* struct addr */
                   SCHEMA_ENDPOINT,     /* struct addr with a port */
                   SCHEMA_NETWORK,      /* struct prefix */
                   SCHEMA_MAP,          /* the struct itself that map describes */
                   SCHEMA_CUSTOM,       /* what read fills */
};

struct schema_reader {
  const char *file;      /* the main one, for messages */
  const char *directory; /* absolute; base of relative paths in the main file */
  struct arena *arena;
  struct problems *problems;
  void *context;                        /* for read and check */
  unsigned variant;                     /* bit of the variant of the mapping being read; 0: has none or it is wrong */
  const struct schema_row *variant_row; /* that chose it */
  unsigned suggestions;                 /* looked for so far */
};

struct schema_row {
  const char *key;
  enum schema_kind kind;
  bool is_required;
  bool is_list;        /* the field is a pointer to an array of what kind says, with one zeroed element behind it */
  size_t offset;       /* of the field in the struct */
  size_t count_offset; /* list: of its size_t count; 0 for none */
  size_t pos_offset;   /* of a struct config_pos for the value, list: of a pointer to one an element; 0 for none */
  size_t item_size;    /* list: of an element */
  size_t list_least, list_most; /* list: how many elements */
  int64_t least, most;          /* range of the value, or of a text's length (1 to 4,096 when most is 0) */
  const char *unit;             /* of a number, for the help; NULL for none */
  unsigned allowed;             /* enum domain_allowance */
  unsigned variants;            /* bits of the variants that have this key, not all of them; 0: all */
  const char *standard;         /* default, as it would be written; NULL for none */
  const char *standard_help;    /* default in words where it is computed elsewhere; NULL for none */
  const char *type_help;        /* SCHEMA_CUSTOM: what is written there */
  const char *help;
  const char *const *words; /* NULL-terminated */
  const struct schema_map *map;
  bool (*read)(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
               void *field); /* reports what is wrong and returns false */
};

struct schema_map {
  const struct schema_row *rows; /* filled in this order, so a row may build on those before it */
  size_t count;
  bool has_position;       /* the struct begins with a struct config_pos, set to the mapping's place */
  const char *variant_key; /* a SCHEMA_WORD row whose value chooses the variant, here and in mappings inside */
  void (*check)(struct schema_reader *reader, const struct document_node *node, void *record);
  /* Called when all rows are filled (fields of wrong values are left zero); node is NULL for an absent mapping. */
};

void schema_load(struct schema_reader *reader, const struct schema_map *map, const struct document_node *root,
                 void *record);
/* Fills the zeroed record. It may be used only if no problem was added. */

void schema_load_inner(struct schema_reader *reader, const struct schema_map *map, const struct document_node *node,
                       void *record);
/* Likewise for a mapping inside, from a row's read. */

char *schema_help(const struct schema_map *map);
/* All keys with path, type, range, default and help; free() it. */

void schema_problem(struct schema_reader *reader, const struct document_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Reports at the node's place; a NULL node stands for the whole file. */
void schema_problem_at(struct schema_reader *reader, struct config_pos pos, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define SCHEMA_PLACE_SIZE 320u
const char *schema_place(const struct schema_reader *reader, struct config_pos pos, struct config_pos seen_from,
                         char text[SCHEMA_PLACE_SIZE]);
/* "line 3, column 7", and the file before it where it is another than that of seen_from; returns text. */

void schema_report_twice(struct schema_reader *reader, const struct document_node *key,
                         const struct document_node *first);
/* Reports a key that stands twice in one mapping. */

bool schema_may_suggest(struct schema_reader *reader);
/* Whether looking for the nearest word is still worth it: a file full of unknown words gets suggestions for the first
 * hundred only. */

const char *schema_path(const struct schema_reader *reader, struct config_pos pos, const char *path);
/* path made absolute against the directory of the file that pos names, "./" and "//" left out; in the arena. */
const char *schema_join(struct arena *arena, const char *directory, const char *path);
/* Likewise against a directory, which is absolute. */

#endif
