#include "gslb/model/config_values.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "gslb/model/config_schema.h"

#define SECRET_LEAST 8u
#define SECRET_MOST 128u /* bytes; the block of SHA-512, beyond which HMAC hashes a key first (RFC 2104 section 3) */
#define TOKEN_MOST 255u
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

/* The first line of the file that node names, without blanks around it: its length, SIZE_MAX when it cannot be had. */
static size_t find_secret(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                          const char **text) {
  const struct config_names *names = reader->context;
  if (node->kind != DOCUMENT_SCALAR || !*node->text) {
    schema_problem(reader, node, "%s must be a path", row->key);
    return SIZE_MAX;
  }
  const char *path = schema_path(reader, node->pos, node->text);
  const struct bundle_part *part = bundle_find(names->bundle, BUNDLE_SECRET, path);
  if (!part) {
    schema_problem(reader, node, "%s %s was not read together with this file", row->key, path);
    return SIZE_MAX;
  }
  if (part->is_failed) {
    schema_problem(reader, node, "%s %s %.*s", row->key, path, (int)part->size, part->bytes);
    return SIZE_MAX;
  }
  size_t begin = 0, end = part->size;
  while (begin < end && strchr(" \t", part->bytes[begin]))
    begin++;
  while (end > begin && strchr(" \t", part->bytes[end - 1]))
    end--;
  *text = part->bytes + begin;
  return end - begin;
}

bool config_read_secret_file(struct schema_reader *reader, const struct schema_row *row,
                             const struct document_node *node, void *field) {
  const char *text;
  size_t length = find_secret(reader, row, node, &text);
  return length != SIZE_MAX && take_secret(reader, row, node, text, length, field);
}

bool config_read_token_file(struct schema_reader *reader, const struct schema_row *row,
                            const struct document_node *node, void *field) {
  const char *text;
  size_t length = find_secret(reader, row, node, &text), letters = 0;
  if (length == SIZE_MAX)
    return false;
  while (letters < length && (isalnum((unsigned char)text[letters]) || strchr("-._~+/=", text[letters])))
    letters++; /* what may stand behind "Bearer" (RFC 6750 section 2.1) */
  if (!length || length > TOKEN_MOST || letters != length) {
    schema_problem(reader, node, "%s must hold a token: 1 to %u letters, digits, \"-\", \"_\" and the like", row->key,
                   TOKEN_MOST);
    return false;
  }
  const char **out = field;
  *out = arena_strndup(reader->arena, text, length);
  return true;
}

bool config_read_password_file(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field) {
  const char *text;
  size_t length = find_secret(reader, row, node, &text);
  if (length == SIZE_MAX)
    return false;
  bool has_control = false;
  for (size_t i = 0; i < length; i++)
    has_control = has_control || iscntrl((unsigned char)text[i]);
  if (length < (size_t)row->least || length > (size_t)row->most || has_control) {
    schema_problem(reader, node, "%s must hold a text of %lld to %lld bytes without control characters", row->key,
                   (long long)row->least, (long long)row->most);
    return false;
  }
  const char **out = field;
  *out = arena_strndup(reader->arena, text, length);
  return true;
}
