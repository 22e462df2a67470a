#include "gslb/model/domain.h"

#include <string.h>

static bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void copy_lower(char *out, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
  out[length] = '\0';
}

static enum status check_label(const char *label, size_t length, bool may_be_wildcard, struct errbuf *err) {
  if (length == 0)
    return errbuf_set(err, STATUS_INVALID, "has an empty label");
  if (length > DOMAIN_LABEL_MOST)
    return errbuf_set(err, STATUS_INVALID, "has a label of %zu characters; at most 63 are allowed", length);
  for (size_t i = 0; i < length; i++)
    if (label[i] <= ' ' || label[i] >= 0x7f || label[i] == '\\')
      return errbuf_set(err, STATUS_INVALID,
                        "has a character that is not allowed in a name (printable ASCII without blanks and \"\\\")");
  if (length == 1 && label[0] == '*' && !may_be_wildcard)
    return errbuf_set(err, STATUS_INVALID, "has a \"*\" where no wildcard is allowed");
  return STATUS_OK;
}

enum status domain_read(const char *text, unsigned allowed, char out[DOMAIN_TEXT_SIZE], struct errbuf *err) {
  size_t length = strlen(text);
  if (length == 0)
    return errbuf_set(err, STATUS_INVALID, "is empty");
  if (strcmp(text, ".") == 0) {
    if (!(allowed & DOMAIN_ROOT))
      return errbuf_set(err, STATUS_INVALID, "is the root, which is not allowed here");
    memcpy(out, ".", 2);
    return STATUS_OK;
  }
  if (text[length - 1] == '.')
    length--;
  for (size_t start = 0, end; start <= length; start = end + 1) {
    const char *dot = memchr(text + start, '.', length - start);
    end = dot ? (size_t)(dot - text) : length;
    enum status status = check_label(text + start, end - start, start == 0 && (allowed & DOMAIN_WILDCARD) != 0, err);
    if (status != STATUS_OK)
      return status;
  }
  if (length > DOMAIN_TEXT_MOST)
    return errbuf_set(err, STATUS_INVALID, "is %zu characters long; at most 253 are allowed", length);
  copy_lower(out, text, length);
  return STATUS_OK;
}

enum status domain_read_host_label(const char *text, char out[DOMAIN_LABEL_MOST + 1], struct errbuf *err) {
  size_t length = strlen(text);
  if (length < 1 || length > DOMAIN_LABEL_MOST)
    return errbuf_set(err, STATUS_INVALID, "must have 1 to 63 characters");
  for (size_t i = 0; i < length; i++)
    if (!is_letter_or_digit(text[i]) && text[i] != '_' && text[i] != '-')
      return errbuf_set(err, STATUS_INVALID, "may only have letters, digits, \"-\" and \"_\"");
  if (text[0] == '-' || text[length - 1] == '-')
    return errbuf_set(err, STATUS_INVALID, "must not begin or end with \"-\"");
  copy_lower(out, text, length);
  return STATUS_OK;
}

static bool is_service_label(const char *label, size_t length, size_t most) {
  if (length < 2 || length > most || label[0] != '_' || label[1] == '-' || label[length - 1] == '-')
    return false;
  for (size_t i = 1; i < length; i++)
    if (!is_letter_or_digit(label[i]) && label[i] != '-')
      return false;
  return true;
}

bool domain_is_service_type(const char *text) {
  const char *dot = strchr(text, '.');
  return dot && is_service_label(text, (size_t)(dot - text), 16) &&
         is_service_label(dot + 1, strlen(dot + 1), DOMAIN_LABEL_MOST);
}

const char *domain_parent(const char *name) {
  if (strcmp(name, ".") == 0)
    return NULL;
  const char *dot = strchr(name, '.');
  return dot ? dot + 1 : ".";
}
