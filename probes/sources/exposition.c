#include "probes/sources/exposition.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct line { /* NUL-terminated; parsed in place */
  char text[EXPOSITION_LINE_MOST + 1];
  struct exposition_label labels[EXPOSITION_LABELS_MOST];
};

static bool begins_name(char byte, bool is_metric) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || (is_metric && byte == ':');
}

static size_t name_length(const char *at, bool is_metric) {
  size_t length = 0;
  while (begins_name(at[length], is_metric) || (length > 0 && at[length] >= '0' && at[length] <= '9'))
    length++;
  return length;
}

static char *skip_blanks(char *at) {
  return at + strspn(at, " \t");
}

/* Resolves the escapes of a quoted text whose first quote is past; returns what follows the last one, NULL: none. */
static char *read_quoted(char *at) {
  char *to = at;
  for (; *at && *at != '"'; at++) {
    if (*at == '\\' && (at[1] == '\\' || at[1] == '"' || at[1] == 'n')) {
      at++;
      *to++ = *at == 'n' ? '\n' : *at;
    } else {
      *to++ = *at;
    }
  }
  if (!*at)
    return NULL;
  *to = '\0';
  return at + 1;
}

/* After "{"; returns what follows "}", NULL with a reason in *why. */
static char *read_labels(char *at, struct line *line, size_t *count, const char **why) {
  *count = 0;
  for (at = skip_blanks(at); *at != '}'; at = skip_blanks(at)) {
    char *name = at;
    size_t length = name_length(name, false);
    at = skip_blanks(at + length);
    if (length == 0 || *at != '=') {
      *why = "a label has no name";
      return NULL;
    }
    at = skip_blanks(at + 1);
    if (*count == EXPOSITION_LABELS_MOST) {
      *why = "there are too many labels";
      return NULL;
    }
    char *value = at + 1;
    at = *at == '"' ? read_quoted(value) : NULL;
    if (!at) {
      *why = "a label has no value in quotes";
      return NULL;
    }
    name[length] = '\0';
    line->labels[(*count)++] = (struct exposition_label){name, value};
    at = skip_blanks(at);
    if (*at == ',')
      at++;
    else if (*at != '}') {
      *why = "labels are not parted by commas";
      return NULL;
    }
  }
  return at + 1;
}

static bool read_value(const char *text, double *out) {
  char *end;
  /* strtod also takes blanks, "nan(...)" and what else a locale adds */
  if (!*text || strspn(text, "0123456789+-.eEinfINFaAtTyYxXpPbBcCdD") != strlen(text))
    return false;
  *out = strtod(text, &end);
  return *end == '\0';
}

static bool is_time(const char *text) {
  if (*text == '-' || *text == '+')
    text++;
  return *text && strspn(text, "0123456789") == strlen(text);
}

/* Returns NULL, or what is wrong. */
static const char *read_sample(struct line *line, struct exposition_sample *out) {
  const char *why = "it has no value";
  char *at = skip_blanks(line->text), *name = at;
  size_t length = name_length(name, true), count = 0;
  if (length == 0)
    return "it begins with no name";
  at += length;
  bool is_blank = *at == ' ' || *at == '\t';
  char *rest = skip_blanks(at);
  if (*rest == '{') {
    rest = read_labels(rest + 1, line, &count, &why);
    if (!rest)
      return why;
  } else if (!is_blank) {
    return *at ? "its name has a character that is not allowed" : why;
  }
  name[length] = '\0';
  char *value = skip_blanks(rest);
  rest = value + strcspn(value, " \t");
  char *time = skip_blanks(rest);
  *rest = '\0';
  time[strcspn(time, " \t\r")] = '\0';
  if (!read_value(value, &out->value))
    return "its value is no number";
  if (*time && !is_time(time))
    return "what follows the value is no time";
  out->name = name;
  out->labels = line->labels;
  out->label_count = count;
  return NULL;
}

static bool is_passed_over(const char *text, size_t length) {
  while (length > 0 && (*text == ' ' || *text == '\t' || *text == '\r')) {
    text++;
    length--;
  }
  return length == 0 || *text == '#';
}

enum status exposition_parse(const char *text, size_t size, exposition_visit *visit, void *context,
                             struct errbuf *err) {
  struct line line;
  const char *end = text + size;
  for (unsigned long number = 1; text < end; number++) {
    const char *feed = memchr(text, '\n', (size_t)(end - text));
    if (!feed)
      return errbuf_set(err, STATUS_INVALID, "line %lu breaks off", number);
    size_t length = (size_t)(feed - text);
    if (!is_passed_over(text, length)) {
      struct exposition_sample sample;
      if (length > EXPOSITION_LINE_MOST)
        return errbuf_set(err, STATUS_INVALID, "line %lu is longer than %u bytes", number, EXPOSITION_LINE_MOST);
      if (memchr(text, '\0', length))
        return errbuf_set(err, STATUS_INVALID, "line %lu holds a NUL", number);
      memcpy(line.text, text, length);
      while (length > 0 && strchr(" \t\r", line.text[length - 1]))
        length--;
      line.text[length] = '\0';
      const char *why = read_sample(&line, &sample);
      if (why)
        return errbuf_set(err, STATUS_INVALID, "line %lu: %s", number, why);
      visit(context, &sample);
    }
    text = feed + 1;
  }
  return STATUS_OK;
}
