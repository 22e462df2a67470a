#include "zones/records/master.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "zones/message/query.h"
#include "zones/records/entry.h"
#include "zones/records/line.h"
#include "zones/records/source_text.h"

#define LINES_AHEAD 4u /* read before they are visited, so that memory that a visit wants can be on its way */

struct source { /* a file being read, and what it was included from */
  const struct source *parent;
  const char *file;
  dev_t device;
  ino_t inode;
  struct name origin;
  struct name owner; /* of the last record; size 0: none yet */
};

struct reader {
  const struct master_reading *reading;
  bool has_failed;
  bool has_default_ttl; /* $TTL; goes over the end of an included file */
  bool has_last_ttl;
  uint32_t default_ttl;
  uint32_t last_ttl;
  struct rdata data;
  struct line lines[LINES_AHEAD]; /* a ring of those that are still to be visited, all of one file */
  size_t first_line, line_count;
};

static void read_source(struct reader *reader, struct source *source, const char *named_in, int line);

#define report(reader, source_file, line, ...)                                                                         \
  do {                                                                                                                 \
    (reader)->has_failed = true;                                                                                       \
    problem_add((reader)->reading->problems, (source_file), (line), 0, __VA_ARGS__);                                   \
  } while (0)

/* A name of a token, relative to origin. */
static enum status parse_name(const char *text, const struct name *origin, struct name *out) {
  struct name name;
  size_t length = strlen(text);
  if (strcmp(text, "@") == 0) {
    *out = *origin;
    return STATUS_OK;
  }
  if (name_from_text(text, &name) != STATUS_OK)
    return STATUS_INVALID;
  if (text[length - 1] != '.') { /* escaped dots read \046 here */
    if (name.size - 1u + origin->size > NAME_SIZE_MOST)
      return STATUS_INVALID;
    memcpy(name.wire + name.size - 1, origin->wire, origin->size);
    name.size = (uint8_t)(name.size - 1 + origin->size);
  }
  *out = name;
  return STATUS_OK;
}

static void read_origin(struct reader *reader, struct source *source, const struct entry *entry) {
  if (entry->token_count != 2 || parse_name(entry_text(entry, 1), &source->origin, &source->origin) != STATUS_OK)
    report(reader, source->file, entry->line, "$ORIGIN wants one domain name");
}

static void read_ttl(struct reader *reader, struct source *source, const struct entry *entry) {
  enum status status =
      entry->token_count == 2 ? rdata_period_parse(entry_text(entry, 1), &reader->default_ttl) : STATUS_INVALID;
  if (status == STATUS_OK)
    reader->has_default_ttl = true;
  else if (status == STATUS_RANGE)
    report(reader, source->file, entry->line, "$TTL is over %u seconds", RDATA_PERIOD_MOST);
  else
    report(reader, source->file, entry->line, "$TTL wants one period such as 3600 or 1h");
}

static const char *resolve_path(struct reader *reader, const char *from, const char *path) {
  const char *slash = strrchr(from, '/');
  if (path[0] == '/' || !slash)
    return arena_strdup(reader->reading->arena, path);
  size_t directory = (size_t)(slash - from) + 1;
  char *joined = arena_alloc(reader->reading->arena, directory + strlen(path) + 1);
  memcpy(joined, from, directory);
  memcpy(joined + directory, path, strlen(path));
  return joined;
}

/* File names are read byte for byte, so the escapes go again. */
static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from;) {
    if (from[0] == '\\' && from[1] >= '0' && from[1] <= '9' && from[2] && from[3]) {
      *to++ = (char)((from[1] - '0') * 100 + (from[2] - '0') * 10 + (from[3] - '0'));
      from += 4;
    } else {
      *to++ = *from++;
    }
  }
  *to = '\0';
}

static void read_include(struct reader *reader, struct source *source, struct entry *entry) {
  struct source included = {.parent = source, .origin = source->origin, .owner = source->owner};
  if (entry->token_count < 2 || entry->token_count > 3 || !*entry_text(entry, 1)) {
    report(reader, source->file, entry->line, "$INCLUDE wants a file and perhaps an origin");
    return;
  }
  if (entry->token_count == 3 && parse_name(entry_text(entry, 2), &source->origin, &included.origin) != STATUS_OK) {
    report(reader, source->file, entry->line, "$INCLUDE: \"%.80s\" is not a domain name", entry_text(entry, 2));
    return;
  }
  unescape(entry->text + entry->tokens[1].at);
  included.file = resolve_path(reader, source->file, entry_text(entry, 1));
  read_source(reader, &included, source->file, entry->line);
}

static void read_directive(struct reader *reader, struct source *source, struct entry *entry) {
  const char *word = entry_text(entry, 0);
  if (strcasecmp(word, "$ORIGIN") == 0)
    read_origin(reader, source, entry);
  else if (strcasecmp(word, "$TTL") == 0)
    read_ttl(reader, source, entry);
  else if (strcasecmp(word, "$INCLUDE") == 0)
    read_include(reader, source, entry);
  else
    report(reader, source->file, entry->line, "unknown directive %.40s", word);
}

struct prefix { /* what may stand between owner and type, in any order */
  bool has_ttl, has_class;
  uint32_t ttl_s;
  uint16_t class;
};

/* Reads TTL and class from the token at *at on. False: a problem was told. */
static bool read_prefix(struct reader *reader, const struct source *source, const struct entry *entry, size_t *at,
                        struct prefix *out) {
  *out = (struct prefix){.class = CLASS_IN};
  for (; *at < entry->token_count; (*at)++) {
    const char *text = entry_text(entry, *at);
    if (!out->has_ttl && text[0] >= '0' && text[0] <= '9') {
      enum status status = rdata_period_parse(text, &out->ttl_s);
      if (status != STATUS_OK) {
        if (status == STATUS_RANGE)
          report(reader, source->file, entry->line, "the TTL is over %u seconds", RDATA_PERIOD_MOST);
        else
          report(reader, source->file, entry->line, "\"%.80s\" is not a TTL", text);
        return false;
      }
      out->has_ttl = true;
    } else if (!out->has_class && rdata_class_parse(text, &out->class)) {
      out->has_class = true;
    } else {
      return true;
    }
  }
  report(reader, source->file, entry->line, "the record has no type");
  return false;
}

/* RFC 2308 section 4, RFC 1035 section 5.1; a first SOA without TTL takes its MINIMUM. */
static bool settle_ttl(struct reader *reader, uint16_t type, struct prefix *prefix) {
  if (!prefix->has_ttl) {
    if (reader->has_default_ttl) {
      prefix->ttl_s = reader->default_ttl;
    } else if (reader->has_last_ttl) {
      prefix->ttl_s = reader->last_ttl;
    } else if (type == TYPE_SOA && reader->data.size >= 20) {
      const uint8_t *minimum = reader->data.bytes + reader->data.size - 4;
      prefix->ttl_s = (uint32_t)minimum[0] << 24 | (uint32_t)minimum[1] << 16 | (uint32_t)minimum[2] << 8 | minimum[3];
      if (prefix->ttl_s > RDATA_PERIOD_MOST)
        prefix->ttl_s = 0; /* RFC 2181 section 8 */
    } else {
      return false;
    }
  }
  reader->last_ttl = prefix->ttl_s;
  reader->has_last_ttl = true;
  return true;
}

static void report_lack_of_ttl(struct reader *reader, const struct source *source, int line) {
  report(reader, source->file, line, "the record has no TTL, and there is no $TTL");
}

static void visit_oldest(struct reader *reader, const struct source *source) {
  const struct line *line = &reader->lines[reader->first_line];
  const struct master_record record = {.owner = &line->owner,
                                       .owner_hash = line->owner_hash,
                                       .type = line->type,
                                       .class = CLASS_IN,
                                       .ttl_s = line->ttl_s,
                                       .data = &line->data,
                                       .file = source->file,
                                       .line = line->number};
  reader->first_line = (reader->first_line + 1) % LINES_AHEAD;
  reader->line_count--;
  reader->reading->visit(reader->reading->context, &record);
}

static void visit_lines(struct reader *reader, const struct source *source) {
  while (reader->line_count)
    visit_oldest(reader, source);
}

/* False: the line is to be read as any entry. */
static bool read_line(struct reader *reader, struct source *source, struct entry *entry) {
  if (reader->line_count == LINES_AHEAD)
    visit_oldest(reader, source);
  struct line *line = &reader->lines[(reader->first_line + reader->line_count) % LINES_AHEAD];
  if (!line_read(entry, &source->origin, &source->owner, line))
    return false;
  source->owner.size = line->owner.size;
  memcpy(source->owner.wire, line->owner.wire, line->owner.size);
  struct prefix prefix = {.has_ttl = line->has_ttl, .ttl_s = line->ttl_s};
  if (!settle_ttl(reader, line->type, &prefix)) {
    visit_lines(reader, source);
    report_lack_of_ttl(reader, source, line->number);
    return true;
  }
  line->ttl_s = prefix.ttl_s;
  reader->line_count++;
  if (reader->reading->announce)
    reader->reading->announce(reader->reading->context, line->owner_hash);
  return true;
}

static void read_record(struct reader *reader, struct source *source, struct entry *entry) {
  size_t at = 0;
  if (entry->has_owner) {
    if (parse_name(entry_text(entry, 0), &source->origin, &source->owner) != STATUS_OK) {
      report(reader, source->file, entry->line, "\"%.80s\" is not a domain name", entry_text(entry, 0));
      source->owner.size = 0;
      return;
    }
    at = 1;
  } else if (!source->owner.size) {
    report(reader, source->file, entry->line, "the record has no name, and none was read before it");
    return;
  }
  struct prefix prefix;
  if (!read_prefix(reader, source, entry, &at, &prefix))
    return;
  uint16_t type = rdata_type_parse(entry_text(entry, at));
  if (!type) {
    report(reader, source->file, entry->line, "\"%.80s\" is not a record type", entry_text(entry, at));
    return;
  }
  struct errbuf err;
  if (rdata_parse(type, entry, at + 1, &source->origin, &reader->data, &err) != STATUS_OK) {
    report(reader, source->file, entry->line, "%s", err.text);
    return;
  }
  if (!settle_ttl(reader, type, &prefix)) {
    report_lack_of_ttl(reader, source, entry->line);
    return;
  }
  const struct master_record record = {.owner = &source->owner,
                                       .owner_hash = name_hash(source->owner.wire, source->owner.size),
                                       .type = type,
                                       .class = prefix.class,
                                       .ttl_s = prefix.ttl_s,
                                       .data = &reader->data,
                                       .file = source->file,
                                       .line = entry->line};
  reader->reading->visit(reader->reading->context, &record);
}

static void read_entries(struct reader *reader, struct source *source, struct source_text *text) {
  struct entry entry;
  entry_init(&entry, text->bytes, text->size);
  for (;;) {
    source_text_forget(text, (size_t)(entry.next - text->bytes));
    if (read_line(reader, source, &entry))
      continue;
    visit_lines(reader, source);
    enum entry_result result = entry_next(&entry);
    if (result == ENTRY_END)
      break;
    if (result == ENTRY_BAD)
      report(reader, source->file, entry.fault_line, "%s", entry.fault);
    else if (entry.has_owner && !entry.tokens[0].is_quoted && entry_text(&entry, 0)[0] == '$')
      read_directive(reader, source, &entry);
    else
      read_record(reader, source, &entry);
  }
  entry_release(&entry);
}

/* Whether the chain of including files ends well; tells a problem otherwise. */
static bool check_chain(struct reader *reader, const struct source *source, const char *named_in, int line) {
  unsigned depth = 1;
  for (const struct source *above = source->parent; above; above = above->parent, depth++)
    if (above->device == source->device && above->inode == source->inode) {
      report(reader, named_in, line, "$INCLUDE: %s includes itself", source->file);
      return false;
    }
  if (depth > MASTER_DEPTH_MOST) {
    report(reader, named_in, line, "$INCLUDE: more than %u files deep", MASTER_DEPTH_MOST);
    return false;
  }
  return true;
}

static void read_source(struct reader *reader, struct source *source, const char *named_in, int line) {
  struct source_text text;
  struct errbuf err;
  if (source_text_read(source->file, &text, &err) != STATUS_OK) {
    report(reader, named_in, line, "%s%s%s", source->parent ? source->file : "", source->parent ? " " : "", err.text);
    return;
  }
  source->device = text.device;
  source->inode = text.inode;
  if (reader->reading->provenance)
    provenance_add(reader->reading->provenance, source->file, text.bytes, text.size);
  if (check_chain(reader, source, named_in, line))
    read_entries(reader, source, &text);
  free(text.bytes);
}

enum status master_read(const char *file, const struct name *origin, const struct master_reading *reading) {
  struct reader *reader = mem_alloc(sizeof *reader);
  reader->reading = reading;
  struct source source = {.file = arena_strdup(reading->arena, file), .origin = *origin};
  read_source(reader, &source, source.file, 0);
  enum status status = reader->has_failed ? STATUS_INVALID : STATUS_OK;
  free(reader);
  return status;
}
