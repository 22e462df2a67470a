#include "gslb/model/config_values.h"

#include <string.h>

#include "gslb/model/config.h"
#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"

#define OWN_NAME "{name}"
#define ID_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789-_*"

/* The node's text; NULL, and that is reported, when it is no single value. */
static const char *text_of(struct schema_reader *reader, const struct schema_row *row,
                           const struct document_node *node) {
  if (node->kind == DOCUMENT_SCALAR)
    return node->text;
  schema_problem(reader, node, "%s must be a single value: %s", row->key, row->type_help);
  return NULL;
}

bool config_read_readers(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field) {
  const char *text = text_of(reader, row, node);
  char quoted[SCALAR_QUOTED_SIZE];
  if (!text)
    return false;
  bool needs_token = strcmp(text, "token") == 0;
  if (!needs_token && strcmp(text, "anyone") != 0) {
    schema_problem(reader, node, "%s is \"%s\", which is none of anyone, token", row->key, scalar_quote(text, quoted));
    return false;
  }
  *(bool *)field = needs_token;
  return true;
}

bool config_read_longest_lease(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field) {
  const char *text = text_of(reader, row, node);
  char quoted[SCALAR_QUOTED_SIZE], least[SCALAR_DURATION_SIZE], most[SCALAR_DURATION_SIZE];
  struct errbuf err;
  int64_t value = 0;
  if (!text)
    return false;
  bool is_limited = strcmp(text, "unlimited") != 0;
  scalar_quote(text, quoted);
  if (is_limited && scalar_duration(text, &value, &err) != STATUS_OK) {
    schema_problem(reader, node, "%s \"%s\" %s; or write unlimited", row->key, quoted, err.text);
    return false;
  }
  if (is_limited && (value < row->least || value > row->most)) {
    schema_problem(reader, node, "%s is %s; it must be from %s to %s, or unlimited", row->key, quoted,
                   scalar_format_duration(row->least, least), scalar_format_duration(row->most, most));
    return false;
  }
  *(int64_t *)field = value;
  return true;
}

/* Patterns */

static char *lower(struct schema_reader *reader, const char *text) {
  char *out = arena_strdup(reader->arena, text);
  for (char *at = out; *at; at++)
    if (*at >= 'A' && *at <= 'Z')
      *at = (char)(*at | 0x20);
  return out;
}

bool config_read_id_pattern(struct schema_reader *reader, const struct schema_row *row,
                            const struct document_node *node, void *field) {
  const char *text = text_of(reader, row, node);
  if (!text)
    return false;
  const char *pattern = lower(reader, text), *at = pattern;
  while (*at && (strchr(ID_LETTERS, *at) || strncmp(at, OWN_NAME, sizeof OWN_NAME - 1) == 0))
    at += *at == '{' ? sizeof OWN_NAME - 1 : 1;
  if (!*pattern || *at || strlen(pattern) > CONFIG_ID_PATTERN_MOST) {
    char quoted[SCALAR_QUOTED_SIZE];
    schema_problem(reader, node,
                   "\"%s\" is no pattern of ids: 1 to %u letters, digits, \"-\", \"_\", \"*\" for any of them, "
                   "and " OWN_NAME,
                   scalar_quote(text, quoted), CONFIG_ID_PATTERN_MOST);
    return false;
  }
  *(const char **)field = pattern;
  return true;
}

bool config_read_service_pattern(struct schema_reader *reader, const struct schema_row *row,
                                 const struct document_node *node, void *field) {
  const char *text = text_of(reader, row, node);
  if (!text)
    return false;
  char *pattern = lower(reader, text);
  size_t length = strlen(pattern);
  if (length > 1 && pattern[length - 1] == '.')
    pattern[--length] = '\0';
  bool is_right = length > 0 && length <= DOMAIN_TEXT_MOST;
  for (const char *at = pattern; *at; at++)
    is_right = is_right && *at > ' ' && *at < 0x7f && *at != '\\';
  if (!is_right) {
    char quoted[SCALAR_QUOTED_SIZE];
    schema_problem(reader, node, "\"%s\" is no pattern of names, such as www.example.com or *.dyn.example.com",
                   scalar_quote(text, quoted));
    return false;
  }
  *(const char **)field = pattern;
  return true;
}
