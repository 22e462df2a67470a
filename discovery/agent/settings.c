#include "discovery/agent/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "discovery/agent/settings_schema.h"
#include "gslb/base/memory.h"
#include "gslb/model/document.h"
#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"

#define TOKEN_FILE_MOST 4096u
#define TOKEN_VARIABLE "GSLB_TOKEN"
#define FILE_MOST (1u << 20)

struct owned_settings {
  struct settings settings; /* first: what is handed out */
  struct arena arena;
};

static struct arena *arena_of(struct settings *settings) {
  return &((struct owned_settings *)settings)->arena;
}

void settings_free(struct settings *settings) {
  if (!settings)
    return;
  struct owned_settings *owned = (struct owned_settings *)settings;
  arena_release(&owned->arena);
  free(owned);
}

char *settings_help(void) {
  return schema_help(&settings_schema);
}

static void read_token(struct settings *settings, struct problems *problems) {
  char text[TOKEN_FILE_MOST];
  int fd = open(settings->token_file, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
  if (got < 0) {
    problem_add(problems, settings->token_file, 0, 0, "%s", strerror(errno));
  } else {
    text[got] = '\0';
    text[strcspn(text, " \t\r\n")] = '\0';
    if (text[0] == '\0')
      problem_add(problems, settings->token_file, 0, 0, "it has no token in its first line");
    settings->token = arena_strdup(arena_of(settings), text);
  }
  explicit_bzero(text, sizeof text);
  if (fd >= 0)
    close(fd);
}

static void complete_service(struct settings *settings, struct settings_service *service, struct problems *problems) {
  char wanted[DOMAIN_TEXT_SIZE * 2], name[DOMAIN_TEXT_SIZE];
  struct errbuf err;
  bool is_short = !strchr(service->name, '.') && settings->domain;
  snprintf(wanted, sizeof wanted, "%s%s%s", service->name, is_short ? "." : "", is_short ? settings->domain : "");
  if (domain_read(wanted, 0, name, &err) != STATUS_OK)
    problem_add(problems, settings->path, 0, 0, "service \"%s\" %s", wanted, err.text);
  else
    service->name = arena_strdup(arena_of(settings), name);
}

static void complete_balancers(struct settings *settings, struct problems *problems) {
  int64_t number = 0;
  if (strcmp(settings->balancers, "all") == 0)
    settings->balancer_count = UINT32_MAX;
  else if (scalar_number(settings->balancers, &number) == STATUS_OK && number >= 1 && number <= 64)
    settings->balancer_count = (unsigned)number;
  else
    problem_add(problems, settings->path, 0, 0, "balancers is a number from 1 to 64 or all, not \"%s\"",
                settings->balancers);
}

static void check_id(struct settings *settings, struct problems *problems) {
  char id[DOMAIN_LABEL_MOST + 1];
  struct errbuf err;
  if (!settings->id)
    return;
  if (domain_read_host_label(settings->id, id, &err) != STATUS_OK)
    problem_add(problems, settings->path, 0, 0, "id \"%s\" %s", settings->id, err.text);
  else if (strchr(id, '_'))
    problem_add(problems, settings->path, 0, 0, "id \"%s\" has a \"_\", which a host name cannot have", id);
  else
    settings->id = arena_strdup(arena_of(settings), id);
}

static bool complete(struct settings *settings, struct problems *problems) {
  size_t before = problems->count;
  const char *place = settings->path;
  if (!settings->domain && !settings->url && !settings->is_multicast)
    problem_add(problems, place, 0, 0, "one of domain, url and multicast must say where the balancer is looked for");
  if (settings->service_count == 0)
    problem_add(problems, place, 0, 0, "no service is named");
  for (size_t i = 0; i < settings->service_count; i++)
    complete_service(settings, &settings->services[i], problems);
  for (size_t i = 0; i < settings->service_count; i++)
    for (size_t j = 0; j < i; j++)
      if (strcmp(settings->services[i].name, settings->services[j].name) == 0)
        problem_add(problems, place, 0, 0, "service \"%s\" is named twice", settings->services[i].name);
  check_id(settings, problems);
  complete_balancers(settings, problems);
  if (settings->token_file)
    read_token(settings, problems);
  else if (!settings->token && getenv(TOKEN_VARIABLE) && getenv(TOKEN_VARIABLE)[0])
    settings->token = arena_strdup(arena_of(settings), getenv(TOKEN_VARIABLE));
  if (!settings->certificate != !settings->key)
    problem_add(problems, place, 0, 0, "certificate and key belong together");
  if (settings->lease_ms && settings->lease_ms < 5000)
    problem_add(problems, place, 0, 0, "lease is at least 5s, or 0s for one without an end");
  return problems->count == before;
}

static struct document_node *find_in(struct document_node *map, const char *key) {
  return (struct document_node *)document_find(map, key);
}

/* Puts copies of overlay's values into map: in the place of those that have their keys, mappings into mappings. */
static void lay_over(struct document_node *map, const struct document_node *overlay, struct arena *arena) {
  for (const struct document_node *value = overlay->first; value; value = value->next) {
    struct document_node *there = find_in(map, value->key->text);
    if (there && there->kind == DOCUMENT_MAP && value->kind == DOCUMENT_MAP) {
      lay_over(there, value, arena);
    } else if (there) {
      struct document_node *next = there->next;
      *there = *value;
      there->next = next;
    } else {
      struct document_node *added = arena_copy(arena, value, sizeof *value);
      added->next = map->first;
      map->first = added;
      map->count++;
    }
  }
}

/* The absolute directory of the file, against which its paths are read. */
static const char *directory_of(const char *file, struct arena *arena) {
  char *directory = arena_strdup(arena, file);
  char *slash = strrchr(directory, '/');
  if (slash == directory)
    return "/";
  if (slash)
    *slash = '\0';
  if (directory[0] == '/' && slash)
    return directory;
  char *here = get_current_dir_name();
  const char *out = slash && here ? schema_join(arena, here, directory) : arena_strdup(arena, here ? here : "/");
  free(here);
  return out;
}

struct settings *settings_parse(const char *file, const char *text, size_t length, const struct document_node *overlay,
                                struct problems *problems) {
  struct owned_settings *owned = mem_alloc(sizeof *owned);
  struct settings *settings = &owned->settings;
  struct arena *arena = &owned->arena;
  size_t before = problems->count;
  file = arena_strdup(arena, file);
  struct document_node empty = {.kind = DOCUMENT_MAP};
  struct document_node *root = text ? document_parse(file, text, length, arena, problems) : &empty;
  if (root && overlay && root->kind == DOCUMENT_MAP)
    lay_over(root, overlay, arena);
  struct schema_reader reader = {.file = file,
                                 .directory = directory_of(file, arena),
                                 .arena = arena,
                                 .problems = problems};
  if (root)
    schema_load(&reader, &settings_schema, root, settings);
  settings->path = file;
  if (root && problems->count == before && complete(settings, problems))
    return settings;
  settings_free(settings);
  return NULL;
}

struct settings *settings_load(const char *path, const struct document_node *overlay, struct problems *problems) {
  if (!path)
    return settings_parse("command line", NULL, 0, overlay, problems);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  char *text = mem_alloc(FILE_MOST);
  size_t length = 0;
  ssize_t got = -1;
  while (fd >= 0 && length < FILE_MOST && (got = read(fd, text + length, FILE_MOST - length)) > 0)
    length += (size_t)got;
  struct settings *settings = NULL;
  if (got < 0)
    problem_add(problems, path, 0, 0, "%s", strerror(errno));
  else if (length == FILE_MOST)
    problem_add(problems, path, 0, 0, "longer than %u bytes", FILE_MOST);
  else
    settings = settings_parse(path, text, length, overlay, problems);
  if (fd >= 0)
    close(fd);
  explicit_bzero(text, length); /* it may hold a token */
  free(text);
  return settings;
}
