#include "gslb/model/document.h"

#include <string.h>

#include <yaml.h>

struct builder {
  const char *file;
  struct arena *arena;
  struct problems *problems;
  yaml_parser_t parser;
  struct {
    struct document_node *node;
    struct document_node *last;      /* value added last */
    const struct document_node *key; /* of the value to come */
  } stack[DOCUMENT_DEPTH_MOST];
  size_t depth;
  size_t nodes;
  struct document_node *root;
};

static struct config_pos pos_of(yaml_mark_t mark) {
  return (struct config_pos){.line = (int)mark.line + 1, .column = (int)mark.column + 1};
}

/* The reader of bytes, unlike the rest of libyaml, tells an offset only. */
static struct config_pos pos_of_offset(const char *text, size_t length, size_t offset) {
  struct config_pos pos = {.line = 1, .column = 1};
  for (size_t i = 0; i < offset && i < length; i++) {
    if (text[i] == '\n')
      pos = (struct config_pos){.line = pos.line + 1, .column = 1};
    else if (((unsigned char)text[i] & 0xc0) != 0x80)
      pos.column++;
  }
  return pos;
}

static void report_syntax(const struct builder *builder, const char *text, size_t length) {
  const yaml_parser_t *parser = &builder->parser;
  const char *problem = parser->problem ? parser->problem : "cannot be read";
  if (parser->error == YAML_READER_ERROR) {
    struct config_pos pos = pos_of_offset(text, length, parser->problem_offset);
    problem_add(builder->problems, builder->file, pos.line, pos.column, "YAML: %s", problem);
    return;
  }
  struct config_pos pos = pos_of(parser->problem_mark);
  if (!parser->context) {
    problem_add(builder->problems, builder->file, pos.line, pos.column, "YAML: %s", problem);
    return;
  }
  struct config_pos from = pos_of(parser->context_mark);
  /* the mark counts characters: in a text with others than ASCII this may miss, and then only the hint is missing */
  size_t at = parser->problem_mark.index;
  bool is_colon = strcmp(problem, "did not find expected node content") == 0 && at < length && text[at] == ':';
  problem_add(builder->problems, builder->file, pos.line, pos.column,
              "YAML: %s (%s that began at line %d, column %d)%s", problem, parser->context, from.line, from.column,
              is_colon ? "; a value that begins with \":\" needs quotes" : "");
}

static void refuse(const struct builder *builder, const yaml_event_t *event, const char *why) {
  struct config_pos pos = pos_of(event->start_mark);
  problem_add(builder->problems, builder->file, pos.line, pos.column, "%s", why);
}

static struct document_node *new_node(struct builder *builder, const yaml_event_t *event, enum document_kind kind) {
  struct document_node *node = arena_alloc(builder->arena, sizeof *node);
  node->kind = kind;
  node->pos = pos_of(event->start_mark);
  node->pos.file = builder->file;
  return node;
}

static struct document_node *scalar_node(struct builder *builder, const yaml_event_t *event) {
  const char *value = (const char *)event->data.scalar.value;
  size_t length = event->data.scalar.length;
  if (memchr(value, '\0', length)) {
    refuse(builder, event, "a value cannot contain the character NUL");
    return new_node(builder, event, DOCUMENT_REFUSED);
  }
  struct document_node *node = new_node(builder, event, DOCUMENT_SCALAR);
  node->text = arena_strndup(builder->arena, value, length);
  node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  return node;
}

/* Hangs the node where the reading stands; false when it cannot stand there. */
static bool attach(struct builder *builder, const yaml_event_t *event, struct document_node *node) {
  if (++builder->nodes > DOCUMENT_NODES_MOST) {
    refuse(builder, event, "the document has too many values (at most 4,000,000)");
    return false;
  }
  if (builder->depth == 0) {
    builder->root = node;
    return true;
  }
  struct document_node *parent = builder->stack[builder->depth - 1].node;
  const struct document_node **key = &builder->stack[builder->depth - 1].key;
  struct document_node **last = &builder->stack[builder->depth - 1].last;
  if (parent->kind == DOCUMENT_MAP && !*key) {
    if (node->kind != DOCUMENT_SCALAR) {
      refuse(builder, event, "a key must be a word");
      return false;
    }
    *key = node;
    return true;
  }
  node->key = *key;
  *key = NULL;
  if (*last)
    (*last)->next = node;
  else
    parent->first = node;
  *last = node;
  parent->count++;
  return true;
}

static bool open_collection(struct builder *builder, const yaml_event_t *event, enum document_kind kind) {
  struct document_node *node = new_node(builder, event, kind);
  if (!attach(builder, event, node))
    return false;
  if (builder->depth == DOCUMENT_DEPTH_MOST) {
    refuse(builder, event, "nested too deeply (at most 32 levels)");
    return false;
  }
  builder->stack[builder->depth].node = node;
  builder->stack[builder->depth].last = NULL;
  builder->stack[builder->depth].key = NULL;
  builder->depth++;
  return true;
}

static void check_properties(const struct builder *builder, const yaml_event_t *event, const yaml_char_t *anchor,
                             const yaml_char_t *tag) {
  if (anchor)
    refuse(builder, event, "YAML anchors (&name) are not supported; write the value where it is needed");
  if (tag)
    refuse(builder, event, "YAML tags (!name) are not supported");
}

/* false ends the reading. */
static bool take_event(struct builder *builder, const yaml_event_t *event) {
  switch (event->type) {
  case YAML_DOCUMENT_START_EVENT:
    if (!builder->root)
      return true;
    refuse(builder, event, "a second YAML document begins here; the configuration is one document");
    return false;
  case YAML_ALIAS_EVENT:
    refuse(builder, event, "YAML aliases (*name) are not supported; write the value where it is needed");
    return attach(builder, event, new_node(builder, event, DOCUMENT_REFUSED));
  case YAML_SCALAR_EVENT:
    check_properties(builder, event, event->data.scalar.anchor, event->data.scalar.tag);
    return attach(builder, event, scalar_node(builder, event));
  case YAML_SEQUENCE_START_EVENT:
    check_properties(builder, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    return open_collection(builder, event, DOCUMENT_LIST);
  case YAML_MAPPING_START_EVENT:
    check_properties(builder, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    return open_collection(builder, event, DOCUMENT_MAP);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    builder->depth--;
    return true;
  default:
    return true;
  }
}

struct document_node *document_parse(const char *file, const char *text, size_t length, struct arena *arena,
                                     struct problems *problems) {
  struct builder builder = {.file = file, .arena = arena, .problems = problems};
  if (!yaml_parser_initialize(&builder.parser)) {
    problem_add(problems, file, 0, 0, "not enough memory to read YAML");
    return NULL;
  }
  yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, length);
  bool is_whole = false, goes_on = true;
  while (goes_on && !is_whole) {
    yaml_event_t event;
    if (!yaml_parser_parse(&builder.parser, &event)) {
      report_syntax(&builder, text, length);
      break;
    }
    goes_on = take_event(&builder, &event);
    is_whole = goes_on && event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&builder.parser);
  if (!is_whole)
    return NULL;
  if (!builder.root)
    problem_add(problems, file, 1, 1, "the configuration is empty");
  return builder.root;
}

const struct document_node *document_find(const struct document_node *map, const char *key) {
  if (!map || map->kind != DOCUMENT_MAP)
    return NULL;
  for (const struct document_node *value = map->first; value; value = value->next)
    if (strcmp(value->key->text, key) == 0)
      return value;
  return NULL;
}
