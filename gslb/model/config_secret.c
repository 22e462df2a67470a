#include "gslb/model/config_values.h"

#include <string.h>

#include "gslb/model/config_schema.h"

#define SECRET_LEAST 8u
#define SECRET_MOST 128u /* bytes; the block of SHA-512, beyond which HMAC hashes a key first (RFC 2104 section 3) */
#define NO_DIGIT 64u

static unsigned digit_of(char letter) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = letter ? strchr(digits, letter) : NULL;
  return at ? (unsigned)(at - digits) : NO_DIGIT;
}

/* How many bytes the base64 text (RFC 4648 section 4) stands for; 0 when it is none or stands for none. */
static size_t base64_size(const char *text, size_t length) {
  size_t digits = 0;
  while (digits < length && digit_of(text[digits]) != NO_DIGIT)
    digits++;
  size_t padding = length - digits;
  if (length % 4 != 0 || padding > 2 || !digits)
    return 0;
  for (size_t i = digits; i < length; i++)
    if (text[i] != '=')
      return 0;
  unsigned unused = padding == 2 ? 15 : padding == 1 ? 3 : 0; /* bits of the last digit that must be zero */
  return digit_of(text[digits - 1]) & unused ? 0 : length / 4 * 3 - padding;
}

static bool take_secret(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        const char *text, size_t length, const char **out) {
  size_t size = base64_size(text, length);
  if (size < SECRET_LEAST || size > SECRET_MOST) {
    schema_problem(reader, node, "%s must hold base64 text of %u to %u bytes", row->key, SECRET_LEAST, SECRET_MOST);
    return false;
  }
  *out = arena_strndup(reader->arena, text, length);
  return true;
}

bool config_read_secret(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  if (node->kind == DOCUMENT_SCALAR)
    return take_secret(reader, row, node, node->text, strlen(node->text), field);
  schema_problem(reader, node, "%s must be a single value: %s", row->key, row->type_help);
  return false;
}

bool config_read_secret_file(struct schema_reader *reader, const struct schema_row *row,
                             const struct document_node *node, void *field) {
  const struct config_names *names = reader->context;
  if (node->kind != DOCUMENT_SCALAR || !*node->text) {
    schema_problem(reader, node, "%s must be a path", row->key);
    return false;
  }
  const char *path = schema_path(reader, node->pos, node->text);
  const struct bundle_part *part = bundle_find(names->bundle, BUNDLE_SECRET, path);
  if (!part) {
    schema_problem(reader, node, "%s %s was not read together with this file", row->key, path);
    return false;
  }
  if (part->is_failed) {
    schema_problem(reader, node, "%s %s %.*s", row->key, path, (int)part->size, part->bytes);
    return false;
  }
  size_t begin = 0, end = part->size;
  while (begin < end && strchr(" \t", part->bytes[begin]))
    begin++;
  while (end > begin && strchr(" \t", part->bytes[end - 1]))
    end--;
  return take_secret(reader, row, node, part->bytes + begin, end - begin, field);
}
