#include "gslb/model/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "gslb/model/config_bundle.h"
#include "gslb/model/config_merge.h"
#include "gslb/model/config_schema.h"
#include "gslb/model/document.h"
#include "gslb/model/domain.h"
#include "gslb/model/schema.h"

#define SERVICES_LARGE 1000u

struct owned_config {
  struct config config; /* first, so that its address is the whole's */
  struct arena arena;
};

/* The absolute directory that holds path; in the arena. */
static const char *directory_of(const char *path, struct arena *arena) {
  const char *slash = strrchr(path, '/');
  char *directory = arena_strndup(arena, path, slash ? (size_t)(slash - path) : 0);
  if (*path == '/')
    return directory;
  char *here = getcwd(NULL, 0);
  const char *absolute = schema_join(arena, here ? here : "/", directory);
  free(here);
  return absolute;
}

/* Its document took several times what it takes, and processes that are forked from this one would share the rest. */
static void give_back(size_t service_count) {
  if (service_count >= SERVICES_LARGE)
    mem_give_back();
}

static void load_document(struct owned_config *owned, struct config_names *names, const char *text, size_t length,
                          struct problems *found) {
  struct arena tree = {0}; /* the document is needed while loading only */
  const struct config_bundle *bundle = names->bundle;
  struct schema_reader reader = {
      .file = owned->config.path,
      .directory = directory_of(bundle->count ? bundle->parts[0].path : owned->config.path, &owned->arena),
      .arena = &owned->arena,
      .problems = found,
      .context = names,
  };
  struct document_node *root = document_parse(owned->config.path, text, length, &tree, found);
  if (root && root->kind == DOCUMENT_MAP)
    config_merge(&reader, &config_schema, bundle, root, &tree);
  if (root)
    schema_load(&reader, &config_schema, root, &owned->config);
  arena_release(&tree);
  give_back(owned->config.service_count);
}

static void load(struct owned_config *owned, const char *text, size_t length, struct problems *found) {
  struct config_names *names = arena_alloc(&owned->arena, sizeof *names);
  struct config_bundle bundle = {0};
  names->config = &owned->config;
  names->bundle = &bundle;
  owned->config.service_index = &names->services;
  if (!bundle_is(text, length))
    load_document(owned, names, text, length, found);
  else if (bundle_open(text, length, &owned->arena, &bundle) == STATUS_OK)
    load_document(owned, names, bundle.parts[0].bytes, bundle.parts[0].size, found);
  else
    problem_add(found, owned->config.path, 1, 1, "the configuration was handed on incompletely");
  names->bundle = NULL; /* it borrows the text */
}

/* Whether problem i stands in the sorted list already: a value that holds for many zones is found wrong many times. */
static bool was_told(const struct problems *found, size_t i) {
  const struct problem *problem = &found->items[i];
  for (; i > 0; i--) {
    const struct problem *earlier = &found->items[i - 1];
    if (earlier->line != problem->line || earlier->column != problem->column ||
        strcmp(earlier->file, problem->file) != 0)
      return false;
    if (strcmp(earlier->text, problem->text) == 0)
      return true;
  }
  return false;
}

struct config *config_parse(const char *path, const char *text, size_t length, struct problems *problems) {
  struct owned_config *owned = mem_alloc(sizeof *owned);
  owned->config.path = arena_strdup(&owned->arena, path);
  struct problems found = {0}; /* the caller's list may be full already, which must not pass for none found */
  load(owned, text, length, &found);
  if (found.count == 0)
    return &owned->config;
  problems_sort(&found);
  for (size_t i = 0; i < found.count; i++) {
    const struct problem *problem = &found.items[i];
    if (!was_told(&found, i))
      problem_add(problems, problem->file, problem->line, problem->column, "%s", problem->text);
  }
  problems_release(&found);
  config_free(&owned->config);
  return NULL;
}

struct config *config_load(const char *path, struct problems *problems) {
  char *text = NULL;
  size_t length = 0;
  if (config_read_whole(path, &text, &length, problems) != STATUS_OK)
    return NULL;
  struct config *config = config_parse(path, text, length, problems);
  explicit_bzero(text, length); /* it may hold secrets */
  free(text);
  return config;
}

const char *config_file_at(const struct config *config, struct config_pos pos) {
  return pos.file ? pos.file : config->path;
}

void config_free(struct config *config) {
  if (!config)
    return;
  struct owned_config *owned = (struct owned_config *)config;
  for (size_t i = 0; i < config->monitor_count; i++)
    match_free(config->monitors[i].expect.match);
  size_t service_count = config->service_count;
  arena_release(&owned->arena);
  free(owned);
  give_back(service_count);
}

char *config_help(void) {
  return schema_help(&config_schema);
}

size_t config_find_service(const struct config *config, const char *name) {
  char wanted[DOMAIN_TEXT_SIZE];
  if (domain_read(name, DOMAIN_WILDCARD, wanted, NULL) != STATUS_OK)
    return SIZE_MAX;
  if (config->service_index) {
    uint32_t found = name_index_find(config->service_index, wanted);
    return found == NAME_INDEX_NONE ? SIZE_MAX : found;
  }
  for (size_t i = 0; i < config->service_count; i++)
    if (strcmp(config->services[i].name, wanted) == 0)
      return i;
  return SIZE_MAX;
}

size_t config_count_services(const struct config *config) {
  size_t count = config->service_count;
  while (count && config_service_is_vacancy(&config->services[count - 1])) /* they stand last */
    count--;
  return count;
}

size_t config_find_member(const struct config_service *service, const char *name) {
  char wanted[DOMAIN_LABEL_MOST + 1];
  if (domain_read_host_label(name, wanted, NULL) != STATUS_OK)
    return SIZE_MAX;
  if (service->member_index) {
    uint32_t found = name_index_find(service->member_index, wanted);
    return found == NAME_INDEX_NONE ? SIZE_MAX : found;
  }
  for (size_t i = 0; i < service->member_count; i++)
    if (strcmp(service->members[i].name, wanted) == 0)
      return i;
  return SIZE_MAX;
}
