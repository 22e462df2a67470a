/* gslb/model/config_bundle.h
 * The configuration file and all that was read with it as one text: parts, each with a kind, a path and bytes. Made
 * where files may be read, taken apart wherever the configuration is parsed. Paths are absolute. One thread. */
#ifndef GSLB_MODEL_CONFIG_BUNDLE_H
#define GSLB_MODEL_CONFIG_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/model/name_index.h"

enum bundle_kind {
  BUNDLE_FILE,      /* YAML; the main file is the first part */
  BUNDLE_PATTERN,   /* paths that it stands for, each with a NUL behind it */
  BUNDLE_DIRECTORY, /* names of the zone files in it, each with a NUL behind it, sorted */
  BUNDLE_SECRET,    /* the first line of the file */
};
#define BUNDLE_KINDS 4u

struct bundle_part {
  enum bundle_kind kind;
  bool is_failed; /* it could not be read; the bytes tell why */
  const char *path;
  const char *bytes; /* borrowed from the text */
  size_t size;
};

struct config_bundle {
  struct bundle_part *parts;
  size_t count;
  struct name_index paths[BUNDLE_KINDS];
};
/* Zero-initialised has no parts. */

bool bundle_is(const char *text, size_t length);
/* Whether the text is a bundle; if not it is YAML, which cannot begin like one. */
enum status bundle_open(const char *text, size_t length, struct arena *arena, struct config_bundle *out);
/* Takes the text apart; it is borrowed, the rest lives in the arena. STATUS_INVALID: it is not whole, or its first part
 * is no file. */
const struct bundle_part *bundle_find(const struct config_bundle *bundle, enum bundle_kind kind, const char *path);
/* NULL when it has none. */

struct bundle_writer {
  char *text;
  size_t length;
  size_t capacity;
};
/* Zero-initialised is ready. */

void bundle_add(struct bundle_writer *writer, const struct bundle_part *part);
/* Copies the part. The text is the writer's; free() it or hand it on. */

#endif
