#include "gslb/model/config_values.h"

#include <stddef.h>
#include <string.h>

#include "gslb/base/object_id.h"
#include "gslb/model/config.h"
#include "gslb/model/cron.h"
#include "gslb/model/records.h"
#include "gslb/model/scalar.h"

#define SENT_MOST 1024u
#define COMMAND_MOST 64u
#define COMMAND_LINE_MOST 4096u
#define LABELS_MOST 16u
#define LABEL_MOST 255u

/* The node's text; NULL, and that is reported, when it is no single value. */
static const char *text_of(struct schema_reader *reader, const struct schema_row *row,
                           const struct document_node *node) {
  if (node->kind == DOCUMENT_SCALAR)
    return node->text;
  schema_problem(reader, node, "%s must be a single value: %s", row->key, row->type_help);
  return NULL;
}

bool config_read_start(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                       void *field) {
  const char *text = text_of(reader, row, node);
  enum health state;
  if (!text)
    return false;
  if (health_parse(text, &state) != STATUS_OK || state == HEALTH_DEGRADED || state == HEALTH_DRAINING) {
    char quoted[SCALAR_QUOTED_SIZE];
    schema_problem(reader, node, "%s is \"%s\", which is none of unknown, up, down", row->key,
                   scalar_quote(text, quoted));
    return false;
  }
  *(int *)field = (int)state;
  return true;
}

static bool read_bool(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      bool *out) {
  const char *text = text_of(reader, row, node);
  if (!text)
    return false;
  *out = strcmp(text, "true") == 0;
  if (*out || strcmp(text, "false") == 0)
    return true;
  char quoted[SCALAR_QUOTED_SIZE];
  schema_problem(reader, node, "%s must be true or false, not \"%s\"", row->key, scalar_quote(text, quoted));
  return false;
}

bool config_read_verify(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  bool is_verified;
  if (!read_bool(reader, row, node, &is_verified))
    return false;
  *(bool *)field = !is_verified;
  return true;
}

bool config_read_history(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field) {
  struct config *config = (struct config *)((char *)field - offsetof(struct config, server));
  return read_bool(reader, row, node, &config->has_history);
}

bool config_read_answer(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  const char *text = text_of(reader, row, node);
  if (!text)
    return false;
  if (!*text) {
    schema_problem(reader, node, "%s is empty", row->key);
    return false;
  }
  const char **answers = arena_array(reader->arena, 2, sizeof *answers);
  answers[0] = arena_strdup(reader->arena, text);
  *(const char *const **)field = answers;
  return true;
}

/* Bytes to send */

static int hex_digit(char letter) {
  const char digits[] = "0123456789abcdef";
  const char *at = letter ? strchr(digits, letter >= 'A' && letter <= 'F' ? letter | 0x20 : letter) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* The byte that the escape at *at, behind its "\", stands for; *at moves behind it. Negative: it is none. */
static int read_escape(const char **at) {
  static const char letters[] = "rnt\\", bytes[] = "\r\n\t\\";
  const char *letter = **at ? strchr(letters, **at) : NULL;
  if (letter) {
    (*at)++;
    return bytes[letter - letters];
  }
  if (**at != 'x')
    return -1;
  int high = hex_digit((*at)[1]), low = high < 0 ? -1 : hex_digit((*at)[2]);
  *at += low < 0 ? 0 : 3;
  return low < 0 ? -1 : high * 16 + low;
}

/* What the text stands for, with a NUL behind it, in the arena; NULL when it is wrong, which is reported. */
static char *read_bytes(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        size_t *size) {
  const char *text = text_of(reader, row, node);
  if (!text)
    return NULL;
  char *bytes = arena_alloc(reader->arena, strlen(text) + 1);
  *size = 0;
  while (*text) {
    int byte = (unsigned char)*text++;
    if (byte == '\\' && (byte = read_escape(&text)) < 0) {
      schema_problem(reader, node, "%s has a \"\\\" that begins none of \\r, \\n, \\t, \\\\ and \\xHH", row->key);
      return NULL;
    }
    bytes[(*size)++] = (char)byte;
  }
  if (*size < 1 || *size > SENT_MOST) {
    schema_problem(reader, node, "%s stands for %zu bytes; 1 to %u are allowed", row->key, *size, SENT_MOST);
    return NULL;
  }
  return bytes;
}

bool config_read_sent(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      void *field) {
  struct config_monitor *monitor = field;
  size_t size;
  const char *bytes = read_bytes(reader, row, node, &size);
  if (!bytes)
    return false;
  monitor->send = bytes;
  monitor->send_size = size;
  return true;
}

bool config_read_sent_text(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                           void *field) {
  size_t size;
  const char *bytes = read_bytes(reader, row, node, &size);
  if (!bytes)
    return false;
  if (strlen(bytes) < size) {
    schema_problem(reader, node, "%s cannot contain the character NUL", row->key);
    return false;
  }
  *(const char **)field = bytes;
  return true;
}

/* SNMP */

bool config_read_oid(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                     void *field) {
  const char *text = text_of(reader, row, node);
  if (!text)
    return false;
  struct object_id id;
  if (object_id_parse(text, &id) != STATUS_OK) {
    char quoted[SCALAR_QUOTED_SIZE];
    schema_problem(reader, node, "%s \"%s\" is not a numeric object identifier such as 1.3.6.1.2.1.1.3.0", row->key,
                   scalar_quote(text, quoted));
    return false;
  }
  char kept[OBJECT_ID_TEXT_SIZE];
  *(const char **)field = arena_strdup(reader->arena, object_id_format(&id, kept));
  return true;
}

/* Commands */

static bool read_word(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                      const char **out) {
  if (node->kind == DOCUMENT_REFUSED)
    return false;
  if (node->kind != DOCUMENT_SCALAR) {
    schema_problem(reader, node, "an element of %s must be a single value", row->key);
    return false;
  }
  *out = arena_strdup(reader->arena, node->text);
  return true;
}

bool config_read_command(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                         void *field) {
  bool is_line = node->kind == DOCUMENT_SCALAR;
  if (!is_line && node->kind != DOCUMENT_LIST) {
    schema_problem(reader, node, "%s must be a list: a program and its arguments", row->key);
    return false;
  }
  size_t size = is_line ? strlen(node->text) : node->count, most = is_line ? COMMAND_LINE_MOST : COMMAND_MOST;
  if (size < 1 || size > most) {
    schema_problem(reader, node, "%s has %zu %s; 1 to %zu are allowed", row->key, size, is_line ? "bytes" : "elements",
                   most);
    return false;
  }
  const char **command = arena_array(reader->arena, (is_line ? 3 : size) + 1, sizeof *command);
  const struct document_node *item = node->first;
  for (size_t i = 0; !is_line && i < size; i++, item = item->next)
    if (!read_word(reader, row, item, &command[i]))
      return false;
  if (is_line) {
    command[0] = "/bin/sh";
    command[1] = "-c";
    command[2] = arena_strdup(reader->arena, node->text);
  } else if (!*command[0]) {
    schema_problem(reader, node->first, "%s has no program", row->key);
    return false;
  }
  *(const char *const **)field = command;
  return true;
}

/* Sources */

bool config_read_schedule(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                          void *field) {
  const char *text = text_of(reader, row, node);
  struct cron cron;
  struct errbuf err;
  if (!text)
    return false;
  if (cron_parse(text, &cron, &err) != STATUS_OK) {
    char quoted[SCALAR_QUOTED_SIZE];
    schema_problem(reader, node, "%s \"%s\" %s", row->key, scalar_quote(text, quoted), err.text);
    return false;
  }
  *(const char **)field = arena_strdup(reader->arena, text);
  return true;
}

/* Whether the series must have this label: a name of letters, digits and "_" (Prometheus' data model), and any value.
 */
static bool read_label(struct schema_reader *reader, const struct document_node *node, const char **out) {
  const char *name = node->key->text;
  if (node->kind == DOCUMENT_REFUSED)
    return false;
  size_t letters = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
  if (!*name || name[letters] || (*name >= '0' && *name <= '9')) {
    char quoted[SCALAR_QUOTED_SIZE];
    schema_problem(reader, node->key, "\"%s\" is not the name of a label", scalar_quote(name, quoted));
    return false;
  }
  if (node->kind != DOCUMENT_SCALAR || strlen(name) + strlen(node->text) > LABEL_MOST) {
    schema_problem(reader, node, "the value of a label must be a text of at most %u bytes, with its name", LABEL_MOST);
    return false;
  }
  size_t name_size = strlen(name);
  char *label = arena_alloc(reader->arena, name_size + strlen(node->text) + 2);
  memcpy(label, name, name_size);
  label[name_size] = '=';
  strcpy(label + name_size + 1, node->text);
  *out = label;
  return true;
}

bool config_read_labels(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  if (node->kind != DOCUMENT_MAP) {
    schema_problem(reader, node, "%s must be a mapping of names to values", row->key);
    return false;
  }
  if (node->count > LABELS_MOST) {
    schema_problem(reader, node, "%s has %zu elements; at most %u are allowed", row->key, node->count, LABELS_MOST);
    return false;
  }
  const char **labels = arena_array(reader->arena, node->count + 1, sizeof *labels);
  size_t count = 0;
  for (const struct document_node *value = node->first; value; value = value->next) {
    const struct document_node *first = document_find(node, value->key->text);
    if (first != value)
      schema_report_twice(reader, value->key, first->key);
    else if (read_label(reader, value, &labels[count]))
      count++;
  }
  *(const char *const **)field = labels;
  return true;
}

bool config_read_metric_source(struct schema_reader *reader, const struct schema_row *row,
                               const struct document_node *node, void *field) {
  const char *text = text_of(reader, row, node);
  enum metric_source *out = field;
  if (!text)
    return false;
  if (strcmp(text, "any") == 0) {
    *out = METRICS_SOURCES;
    return true;
  }
  if (metric_source_parse(text, out) == STATUS_OK)
    return true;
  char quoted[SCALAR_QUOTED_SIZE];
  schema_problem(reader, node, "%s is \"%s\", which is none of any, probe, snmp, scrape, check, utilization, agent",
                 row->key, scalar_quote(text, quoted));
  return false;
}
