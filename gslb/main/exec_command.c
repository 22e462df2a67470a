#include "gslb/main/exec_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "gslb/base/memory.h"

#define COMMAND_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define NAME_PREFIX "GSLB_"
#define READ_MOST 4096

static bool may_pass(const char *entry) {
  size_t prefix = strlen(NAME_PREFIX);
  if (strncmp(entry, NAME_PREFIX, prefix) != 0)
    return false;
  size_t name = strspn(entry, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  return name > prefix && entry[name] == '=';
}

char **exec_environment(const char *text, size_t length) {
  size_t entries = 0;
  for (size_t i = 0; i < length; i++)
    entries += text[i] == '\0';
  /* the pointers, then the strings; what stands after the last NUL is no whole string and is left out */
  size_t pointers = (entries + 2) * sizeof(char *);
  char *block = mem_alloc(pointers + sizeof COMMAND_PATH + length);
  char **environment = (char **)(void *)block;
  char *strings = block + pointers;
  memcpy(strings, COMMAND_PATH, sizeof COMMAND_PATH);
  memcpy(strings + sizeof COMMAND_PATH, text, length);
  size_t count = 0;
  environment[count++] = strings;
  char *entry = strings + sizeof COMMAND_PATH;
  for (size_t i = 0; i < entries; i++, entry += strlen(entry) + 1)
    if (may_pass(entry))
      environment[count++] = entry;
  environment[count] = NULL;
  return environment;
}

void exec_line_add(struct exec_line *line, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = (unsigned char)bytes[i];
    if (byte == '\n') {
      if (strspn(line->next, " ?") < line->used)
        memcpy(line->text, line->next, sizeof line->text);
      line->used = 0;
      line->next[0] = '\0';
    } else if (line->used < EXEC_LINE_MOST && byte != '\r') {
      line->next[line->used++] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
      line->next[line->used] = '\0';
    }
  }
}

const char *exec_line_last(const struct exec_line *line) {
  return strspn(line->next, " ?") < line->used ? line->next : line->text;
}

int exec_spawn(const char *const *arguments, char **environment, int output, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  int failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!failed)
    failed = posix_spawn_file_actions_adddup2(&files, output < 0 ? STDERR_FILENO : output, STDOUT_FILENO);
  if (!failed && output >= 0)
    failed = posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  if (!failed)
    failed = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  if (!failed)
    failed = posix_spawnp(pid, arguments[0], &files, &attributes, (char *const *)arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

void exec_read(int *output, struct exec_line *line, int reads) {
  char bytes[READ_MOST];
  while (*output >= 0 && reads-- > 0) {
    ssize_t got = read(*output, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (got > 0) {
      exec_line_add(line, bytes, (size_t)got);
      continue;
    }
    close(*output);
    *output = -1;
  }
}
