#include "gslb/model/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "gslb/model/config_bundle.h"
#include "gslb/model/config_merge.h"
#include "gslb/model/document.h"
#include "gslb/model/schema.h"

#define SIZE_MOST (64u << 20)
#define SECRET_FILE_MOST 4096u

static enum status read_all(int fd, size_t most, char **text, size_t *length, struct errbuf *err) {
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
    if (used > most) {
      free(buffer);
      return errbuf_set(err, STATUS_LIMIT, most == SIZE_MOST ? "is larger than 64 MiB" : "is too large");
    }
    if (got == 0)
      break;
  }
  buffer[used] = '\0';
  *text = buffer;
  *length = used;
  return STATUS_OK;
}

static enum status read_file(const char *path, size_t most, char **text, size_t *length, struct errbuf *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errbuf_set(err, errno == ENOENT ? STATUS_NOTFOUND : STATUS_IO, "cannot be opened: %s", strerror(errno));
  enum status status = read_all(fd, most, text, length, err);
  close(fd);
  return status;
}

enum status config_read_file(const char *path, char **text, size_t *length, struct errbuf *err) {
  return read_file(path, SIZE_MOST, text, length, err);
}

/* Whether the text may refer to other files. A key can be written in ways that this cannot see (escapes, UTF-16); such
 * a text counts as one that may. */
static bool may_refer(const char *text, size_t length) {
  static const char *const signs[] = {"include",       "directory",      "secret_file", "token_file",
                                      "password_file", "community_file", "\\"};
  if (length && (unsigned char)text[0] >= 0x80)
    return true;
  for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
    if (memmem(text, length, signs[i], strlen(signs[i])))
      return true;
  return false;
}

struct gatherer {
  struct bundle_writer writer;
  struct arena arena;
  struct name_index seen[BUNDLE_KINDS];
};

/* Whether the part is new. */
static bool is_new(struct gatherer *gatherer, enum bundle_kind kind, const char *path) {
  return name_index_add(&gatherer->seen[kind], &gatherer->arena, path, 0) == NAME_INDEX_NONE;
}

static void add_failed(struct gatherer *gatherer, enum bundle_kind kind, const char *path, const char *why) {
  bundle_add(&gatherer->writer,
             &(struct bundle_part){.kind = kind, .is_failed = true, .path = path, .bytes = why, .size = strlen(why)});
}

static void add(struct gatherer *gatherer, enum bundle_kind kind, const char *path, const char *bytes, size_t size) {
  if (size > SIZE_MOST || gatherer->writer.length > SIZE_MOST - size)
    add_failed(gatherer, kind, path, "makes the configuration larger than 64 MiB");
  else
    bundle_add(&gatherer->writer, &(struct bundle_part){.kind = kind, .path = path, .bytes = bytes, .size = size});
}

static void gather_secret(struct gatherer *gatherer, const char *path) {
  if (!is_new(gatherer, BUNDLE_SECRET, path))
    return;
  char *text = NULL;
  size_t length = 0;
  struct errbuf err;
  if (read_file(path, SECRET_FILE_MOST, &text, &length, &err) != STATUS_OK) {
    add_failed(gatherer, BUNDLE_SECRET, path, err.text);
    return;
  }
  add(gatherer, BUNDLE_SECRET, path, text, strcspn(text, "\r\n"));
  explicit_bzero(text, length);
  free(text);
}

static int is_zone_file(const struct dirent *entry) {
  size_t length = strlen(entry->d_name), suffix = sizeof CONFIG_ZONE_SUFFIX - 1;
  return entry->d_name[0] != '.' && length > suffix && strcmp(entry->d_name + length - suffix, CONFIG_ZONE_SUFFIX) == 0;
}

static int compare_names(const struct dirent **left, const struct dirent **right) {
  return strcmp((*left)->d_name, (*right)->d_name);
}

static void gather_directory(struct gatherer *gatherer, const char *path) {
  if (!is_new(gatherer, BUNDLE_DIRECTORY, path))
    return;
  struct dirent **entries = NULL;
  int count = scandir(path, &entries, is_zone_file, compare_names);
  if (count < 0) {
    char *why = mem_format("cannot be read: %s", strerror(errno));
    add_failed(gatherer, BUNDLE_DIRECTORY, path, why);
    free(why);
    return;
  }
  char *names = NULL;
  size_t size = 0, capacity = 0;
  for (int i = 0; i < count; i++) {
    size_t length = strlen(entries[i]->d_name) + 1;
    names = mem_grow(names, &capacity, size + length, 1);
    memcpy(names + size, entries[i]->d_name, length);
    size += length;
    free(entries[i]);
  }
  free(entries);
  add(gatherer, BUNDLE_DIRECTORY, path, names, size);
  free(names);
}

/* What the value under key of each mapping of a list names. */
static void gather_values(struct gatherer *gatherer, const struct document_node *list, const char *key,
                          const char *directory, void (*gather)(struct gatherer *, const char *)) {
  if (!list || list->kind != DOCUMENT_LIST)
    return;
  for (const struct document_node *item = list->first; item; item = item->next) {
    const struct document_node *value = document_find(item, key);
    if (value && value->kind == DOCUMENT_SCALAR && *value->text)
      gather(gatherer, schema_join(&gatherer->arena, directory, value->text));
  }
}

/* The absolute directory of an absolute path. */
static const char *directory_of(struct gatherer *gatherer, const char *path) {
  return arena_strndup(&gatherer->arena, path, (size_t)(strrchr(path, '/') - path));
}

/* What the document refers to, other files aside. */
static void gather_document(struct gatherer *gatherer, const struct document_node *root, const char *path) {
  const char *directory = directory_of(gatherer, path);
  gather_values(gatherer, document_find(root, "zones"), "directory", directory, gather_directory);
  gather_values(gatherer, document_find(root, "keys"), "secret_file", directory, gather_secret);
  gather_values(gatherer, document_find(root, "parents"), "token_file", directory, gather_secret);
  gather_values(gatherer, document_find(root, "monitors"), "password_file", directory, gather_secret);
  const struct document_node *snmp = document_find(root, "snmp");
  gather_values(gatherer, snmp, "community_file", directory, gather_secret);
  gather_values(gatherer, snmp, "auth_secret_file", directory, gather_secret);
  gather_values(gatherer, snmp, "privacy_secret_file", directory, gather_secret);
}

/* Problems are left to who parses it in earnest. */
static struct document_node *parse(const char *path, const char *text, size_t length, struct arena *tree) {
  struct problems ignored = {0};
  struct document_node *root = document_parse(path, text, length, tree, &ignored);
  problems_release(&ignored);
  return root;
}

static void gather_file(struct gatherer *gatherer, const char *path) {
  if (!is_new(gatherer, BUNDLE_FILE, path))
    return;
  char *text = NULL;
  size_t length = 0;
  struct errbuf err;
  if (config_read_file(path, &text, &length, &err) != STATUS_OK) {
    add_failed(gatherer, BUNDLE_FILE, path, err.text);
    return;
  }
  add(gatherer, BUNDLE_FILE, path, text, length);
  if (may_refer(text, length)) {
    struct arena tree = {0};
    gather_document(gatherer, parse(path, text, length, &tree), path);
    arena_release(&tree);
  }
  free(text);
}

static void gather_pattern(struct gatherer *gatherer, const char *pattern) {
  if (!pattern[strcspn(pattern, "*?[")]) {
    gather_file(gatherer, pattern);
    return;
  }
  if (!is_new(gatherer, BUNDLE_PATTERN, pattern))
    return;
  glob_t found = {0};
  int result = glob(pattern, 0, NULL, &found);
  if (result == GLOB_NOSPACE)
    abort();
  char *paths = NULL;
  size_t size = 0, capacity = 0;
  for (size_t i = 0; result == 0 && i < found.gl_pathc; i++) {
    size_t length = strlen(found.gl_pathv[i]) + 1;
    paths = mem_grow(paths, &capacity, size + length, 1);
    memcpy(paths + size, found.gl_pathv[i], length);
    size += length;
  }
  add(gatherer, BUNDLE_PATTERN, pattern, paths, size);
  for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
    gather_file(gatherer, arena_strdup(&gatherer->arena, found.gl_pathv[i]));
  globfree(&found);
  free(paths);
}

static void gather_all(struct gatherer *gatherer, const char *path, const char *text, size_t length) {
  struct arena tree = {0};
  char *here = getcwd(NULL, 0);
  const char *main = schema_join(&gatherer->arena, here ? here : "/", path);
  free(here);
  is_new(gatherer, BUNDLE_FILE, main);
  add(gatherer, BUNDLE_FILE, main, text, length);
  const struct document_node *root = parse(main, text, length, &tree);
  gather_document(gatherer, root, main);
  const struct document_node *list = root ? config_include_list(root) : NULL;
  for (const struct document_node *entry = list ? list->first : NULL; entry; entry = entry->next)
    if (entry->kind == DOCUMENT_SCALAR && *entry->text)
      gather_pattern(gatherer, schema_join(&gatherer->arena, directory_of(gatherer, main), entry->text));
  arena_release(&tree);
}

enum status config_read_whole(const char *path, char **text, size_t *length, struct problems *problems) {
  char *own = NULL;
  size_t size = 0;
  struct errbuf err;
  enum status status = config_read_file(path, &own, &size, &err);
  if (status == STATUS_OK && bundle_is(own, size)) {
    free(own);
    status = errbuf_set(&err, STATUS_INVALID, "is no YAML text");
  }
  if (status != STATUS_OK) {
    problem_add(problems, path, 0, 0, "%s", err.text);
    return status;
  }
  if (may_refer(own, size)) {
    struct gatherer gatherer = {0};
    gather_all(&gatherer, path, own, size);
    arena_release(&gatherer.arena);
    free(own);
    own = gatherer.writer.text;
    size = gatherer.writer.length;
  }
  *text = own;
  *length = size;
  return STATUS_OK;
}
