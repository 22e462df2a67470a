#include "gslb/model/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "gslb/model/config_schema.h"
#include "gslb/model/document.h"
#include "gslb/model/domain.h"
#include "gslb/model/schema.h"

#define FILE_SIZE_MOST (64u << 20)

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
  struct schema_reader reader = {.arena = arena, .directory = here ? here : "/"};
  const char *absolute = schema_path(&reader, directory);
  free(here);
  return absolute;
}

static void load(struct owned_config *owned, const char *text, size_t length, struct problems *found) {
  struct arena tree = {0}; /* the document is needed while loading only */
  struct config_names *names = arena_alloc(&owned->arena, sizeof *names);
  names->config = &owned->config;
  struct schema_reader reader = {
      .file = owned->config.path,
      .directory = directory_of(owned->config.path, &owned->arena),
      .arena = &owned->arena,
      .problems = found,
      .context = names,
  };
  const struct document_node *root = document_parse(owned->config.path, text, length, &tree, found);
  if (root)
    schema_load(&reader, &config_schema, root, &owned->config);
  owned->config.service_index = &names->services;
  arena_release(&tree);
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
    problem_add(problems, problem->file, problem->line, problem->column, "%s", problem->text);
  }
  problems_release(&found);
  config_free(&owned->config);
  return NULL;
}

struct config *config_load(const char *path, struct problems *problems) {
  char *text = NULL;
  size_t length = 0;
  struct errbuf err;
  if (config_read_file(path, &text, &length, &err) != STATUS_OK) {
    problem_add(problems, path, 0, 0, "%s", err.text);
    return NULL;
  }
  struct config *config = config_parse(path, text, length, problems);
  free(text);
  return config;
}

static enum status read_all(int fd, char **text, size_t *length, struct errbuf *err) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return errbuf_set(err, STATUS_IO, "cannot be read: %s", strerror(errno));
  if (S_ISDIR(info.st_mode))
    return errbuf_set(err, STATUS_IO, "cannot be read: it is a directory");
  char *buffer = NULL;
  size_t used = 0, capacity = 0;
  for (;;) {
    /* a pipe tells no size, and a file may grow meanwhile */
    buffer = mem_grow(buffer, &capacity, used + 65536, 1);
    ssize_t got = read(fd, buffer + used, capacity - used - 1);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      free(buffer);
      return errbuf_set(err, STATUS_IO, "cannot be read: %s", strerror(errno));
    }
    used += (size_t)got;
    if (used > FILE_SIZE_MOST) {
      free(buffer);
      return errbuf_set(err, STATUS_LIMIT, "is larger than 64 MiB");
    }
    if (got == 0)
      break;
  }
  buffer[used] = '\0';
  *text = buffer;
  *length = used;
  return STATUS_OK;
}

enum status config_read_file(const char *path, char **text, size_t *length, struct errbuf *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errbuf_set(err, errno == ENOENT ? STATUS_NOTFOUND : STATUS_IO, "cannot be opened: %s", strerror(errno));
  enum status status = read_all(fd, text, length, err);
  close(fd);
  return status;
}

void config_free(struct config *config) {
  if (!config)
    return;
  struct owned_config *owned = (struct owned_config *)config;
  arena_release(&owned->arena);
  free(owned);
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
