#include "gslb/main/ctl_zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/base/value.h"
#include "gslb/main/ctl_http.h"
#include "gslb/main/ctl_print.h"
#include "gslb/model/domain.h"
#include "zones/compile/compile.h"
#include "zones/image/image.h"
#include "gslb/model/name.h"

#define FILE_ENDING ".zone"

/* Checking a file */

bool ctl_zone_is_check(const struct ctl_line *line) {
  return line->count > 1 && strcmp(line->words[0], "zone") == 0 && strcmp(line->words[1], "check") == 0;
}

/* The file's name without directories and ending; free() it. */
static char *origin_of(const char *file) {
  const char *slash = strrchr(file, '/');
  char *origin = mem_strdup(slash ? slash + 1 : file);
  size_t length = strlen(origin), ending = strlen(FILE_ENDING);
  if (length > ending && strcmp(origin + length - ending, FILE_ENDING) == 0)
    origin[length - ending] = '\0';
  return origin;
}

static void print_problems(struct problems *problems) {
  problems_sort(problems);
  char *text = problems_format(problems);
  fputs(text, stderr);
  free(text);
}

static int tell_sound(const struct ctl_line *line, const char *file, const char *origin, const struct image *image) {
  const struct image_zone *zone = image_zone(image, 0);
  if (line->is_json)
    return ctl_show(line,
                    json_pack("{s:o, s:s, s:I, s:I}", "file", value_text(file), "zone", origin, "records",
                              (json_int_t)zone->record_count, "serial", (json_int_t)zone->serial),
                    NULL);
  printf("%s: ok (%u records, serial %u)\n", file, zone->record_count, zone->serial);
  return EXIT_SUCCESS;
}

static int check_file(const struct ctl_line *line, const char *file, const char *origin) {
  struct config_zone zone = {.name = origin, .file = file, .primary_key = CONFIG_NO_KEY, .notify_key = CONFIG_NO_KEY};
  const struct config config = {.path = file, .zones = &zone, .zone_count = 1};
  struct problems problems = {0};
  struct image image;
  struct errbuf err;
  int fd = -1, exit_status = EXIT_FAILURE;
  if (zones_compile(&config, &fd, &problems) != STATUS_OK) {
    print_problems(&problems);
  } else if (image_map(fd, &image, &err) != STATUS_OK) {
    fprintf(stderr, "gslbctl: %s\n", err.text);
  } else {
    exit_status = tell_sound(line, file, origin, &image);
    image_unmap(&image);
  }
  if (fd >= 0)
    close(fd);
  problems_release(&problems);
  return exit_status;
}

int ctl_zone_check(const struct ctl_line *line) {
  if (line->count != 3)
    return ctl_misuse("zone check wants one FILE");
  const char *file = line->words[2];
  char *wanted = line->origin ? mem_strdup(line->origin) : origin_of(file);
  char origin[DOMAIN_TEXT_SIZE];
  struct errbuf err;
  int exit_status;
  if (domain_read(wanted, DOMAIN_ROOT, origin, &err) == STATUS_OK)
    exit_status = check_file(line, file, origin);
  else if (line->origin)
    exit_status = ctl_misuse("--origin is the name of a zone, not %s", wanted);
  else
    exit_status = ctl_misuse("%s is not called after a zone: name it with --origin", file);
  free(wanted);
  return exit_status;
}

/* Asking for records */

/* The zone that the name is in, by its longest suffix: of DS records the parent's, for which they stand at a zone's top
 * (RFC 4035 section 2.4). NULL: none. Borrowed from zones. */
static const char *find_zone(const json_t *zones, const struct name *name, bool is_ds) {
  const char *found = NULL, *top = NULL;
  size_t longest = 0, index;
  json_t *zone;
  json_array_foreach(zones, index, zone) {
    const char *text = json_string_value(json_object_get(zone, "name"));
    struct name apex;
    if (!text || name_from_text(text, &apex) != STATUS_OK ||
        !name_is_below(name->wire, name->size, apex.wire, apex.size))
      continue;
    if (is_ds && apex.size == name->size) {
      top = text;
    } else if (apex.size > longest) {
      longest = apex.size;
      found = text;
    }
  }
  return found ? found : top;
}

static int print_records(const struct ctl_line *line, const json_t *document, const struct ctl_question *question) {
  const json_t *records = json_object_get(document, "records");
  const char *service = json_string_value(json_object_get(document, "balanced"));
  size_t index;
  json_t *record;
  if (line->is_json) {
    ctl_print_json(document);
  } else {
    json_array_foreach(records, index, record) {
      const char *text = json_string_value(record);
      puts(text ? text : "?");
    }
  }
  if (json_array_size(records))
    return EXIT_SUCCESS;
  fprintf(stderr, "gslbctl: the zone %s has no %s%srecords at %s%s%s\n", question->zone,
          question->type ? question->type : "", question->type ? " " : "", question->name,
          service ? ", which is balanced: " : "", service ? service : "");
  return EXIT_FAILURE;
}

static int query(const struct ctl_line *line, struct ctl_source *source) {
  struct ctl_question question = {.subject = CTL_ZONES,
                                  .name = line->words[2],
                                  .type = line->count > 3 ? line->words[3] : NULL};
  struct name name;
  struct errbuf err;
  json_t *zones = NULL, *document = NULL;
  if (name_from_text(question.name, &name) != STATUS_OK)
    return ctl_misuse("%s is not a domain name", question.name);
  enum status status = ctl_read(source, &question, &zones, &err);
  if (status == STATUS_OK) {
    question.subject = CTL_RECORDS;
    question.zone =
        find_zone(json_object_get(zones, "zones"), &name, question.type && strcasecmp(question.type, "DS") == 0);
    if (question.zone)
      status = ctl_read(source, &question, &document, &err);
    else
      status = errbuf_set(&err, STATUS_NOTFOUND, "%s is in none of the zones", question.name);
  }
  int exit_status = status == STATUS_OK ? print_records(line, document, &question) : ctl_fail(source, &err);
  json_decref(zones);
  json_decref(document);
  return exit_status;
}

/* Reloading */

static int reload(const struct ctl_line *line, struct ctl_source *source) {
  char name[3 * DOMAIN_TEXT_SIZE + 4], path[sizeof name + 64];
  ctl_http_escape(line->words[2], name, sizeof name);
  snprintf(path, sizeof path, "/v1/admin/zone/%s/reload", name);
  json_t *document = NULL;
  struct errbuf err;
  if (ctl_write(source, "POST", path, NULL, &document, &err) != STATUS_OK)
    return ctl_fail(source, &err);
  if (line->is_json)
    return ctl_show(line, document, NULL);
  const json_t *generation = json_object_get(document, "generation");
  if (generation)
    printf("generation %lld is in use\n", (long long)json_integer_value(generation));
  else
    puts("a primary of the zone is asked now");
  json_decref(document);
  return EXIT_SUCCESS;
}

int ctl_zone(const struct ctl_line *line, struct ctl_source *source) {
  const char *word = line->words[1];
  bool is_query = strcmp(word, "query") == 0;
  if (!is_query && strcmp(word, "reload") != 0)
    return ctl_misuse("zone check, zone query or zone reload, not zone %s", word);
  if (line->count < 3)
    return ctl_misuse("zone %s needs a name", word);
  if (!is_query && line->count > 3)
    return ctl_misuse("%s is one argument too many", line->words[3]);
  return is_query ? query(line, source) : reload(line, source);
}
