#include "gslb/main/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/main/descriptors.h"
#include "gslb/main/sandbox.h"
#include "gslb/model/channel.h"
#include "zones/compile/reuse.h"

#define COMPILE_MOST_MS (10 * 60 * 1000)
#define RELOAD_NICENESS 5
#define KEEP_NICENESS 19 /* nobody waits for the image to be kept */

void candidate_release(struct candidate *candidate) {
  config_free(candidate->config);
  if (candidate->text >= 0)
    close(candidate->text);
  if (candidate->image >= 0)
    close(candidate->image);
  if (candidate->provenance >= 0)
    close(candidate->provenance);
  *candidate = CANDIDATE_NONE;
}

static int seal_text(const char *text, size_t length, struct errbuf *err) {
  int fd = memfd_create("gslb-configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  for (size_t done = 0; fd >= 0 && done < length;) {
    ssize_t wrote = write(fd, text + done, length - done);
    if (wrote > 0) {
      done += (size_t)wrote;
    } else if (errno != EINTR) {
      errbuf_set(err, STATUS_IO, "configuration's text: %s", strerror(errno));
      close(fd);
      return -1;
    }
  }
  if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    errbuf_set(err, STATUS_IO, "configuration's text: %s", strerror(errno));
    if (fd >= 0)
      close(fd);
    return -1;
  }
  return fd;
}

/* A text of any length into the message, cut after its last whole line. */
static void set_text(struct channel_message *message, const char *text) {
  static const char more[] = "and further problems\n";
  size_t length = strlen(text);
  if (length > CHANNEL_TEXT_MOST) {
    length = CHANNEL_TEXT_MOST - sizeof more;
    while (length > 0 && text[length - 1] != '\n')
      length--;
    memcpy(message->text + length, more, sizeof more - 1);
    message->length = length + sizeof more - 1;
  } else {
    message->length = length;
  }
  memcpy(message->text, text, length);
}

static void set_problems(struct channel_message *message, const char *path, struct problems *problems,
                         const struct errbuf *err) {
  problems_sort(problems);
  char *lines = problems->count > 0 ? problems_format(problems) : mem_format("%s: %s\n", path, err->text);
  set_text(message, lines);
  free(lines);
}

/* Fills the message; its descriptors are the text, the image and, where it may be used again, its provenance. */
static void compile(const char *path, const struct reuse *from, struct reuse_image *image,
                    struct channel_message *message) {
  struct errbuf err = {0};
  struct problems problems = {0};
  char *text = NULL;
  size_t length = 0;
  int sealed = -1;
  struct config *config = NULL;
  message->status = config_read_whole(path, &text, &length, &problems);
  if (message->status == STATUS_OK) {
    config = config_parse(path, text, length, &problems);
    message->status = config ? reuse_or_compile(config, text, length, from, image, &problems) : STATUS_INVALID;
  }
  if (message->status == STATUS_OK) {
    sealed = seal_text(text, length, &err);
    message->status = sealed >= 0 ? STATUS_OK : STATUS_IO;
  }
  if (message->status == STATUS_OK) {
    message->fds[message->fd_count++] = sealed;
    message->fds[message->fd_count++] = image->image;
    if (image->provenance >= 0)
      message->fds[message->fd_count++] = image->provenance;
  } else {
    set_problems(message, path, &problems, &err);
  }
  config_free(config);
  problems_release(&problems);
  if (text)
    explicit_bzero(text, length); /* it may hold secrets */
  free(text);
}

static char *make_kept_directory(const struct config *config) {
  char *directory = mem_format("%s/" SANDBOX_COMPILED, config->server.state);
  if (mkdir(directory, 0700) == 0 || errno == EEXIST)
    return directory;
  log_warning("%s: %s; the name image is not kept for the next start", directory, strerror(errno));
  free(directory);
  return NULL;
}

static void work(const struct reload *reload, int channel, const char *directory, struct channel_message *message) {
  const struct reuse from = {.provenance = reload->running->provenance,
                             .image = reload->running->image,
                             .directory = directory};
  struct reuse_image image = {.image = -1, .provenance = -1};
  if (reload->running->image >= 0) /* names are answered meanwhile, perhaps on this processor */
    setpriority(PRIO_PROCESS, 0, RELOAD_NICENESS);
  compile(reload->path, &from, &image, message);
  if (channel_send(channel, message) != STATUS_OK)
    exit(EXIT_FAILURE);
  close(channel);
  struct errbuf err = {0};
  setpriority(PRIO_PROCESS, 0, KEEP_NICENESS);
  if (message->status == STATUS_OK && directory && reuse_keep(&image, directory, &err) != STATUS_OK)
    log_warning("the name image is not kept for the next start: %s", err.text);
}

static _Noreturn void run_compiler(const struct reload *reload, int channel, pid_t parent) {
  prctl(PR_SET_NAME, "gslb-compiler", 0, 0, 0);
  /* the others are of no use here, and a listening socket must not outlive its closing */
  int kept[] = {channel, reload->running->image, reload->running->provenance};
  descriptors_close_all_but(kept, sizeof kept / sizeof kept[0]);
  struct channel_message *message = mem_alloc(sizeof *message);
  message->kind = CHANNEL_RELOADED;
  struct errbuf err = {0};
  message->status = privileges_drop(reload->who, &err);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  if (getppid() != parent)
    exit(EXIT_SUCCESS);
  if (message->status != STATUS_OK) {
    set_text(message, err.text);
    exit(channel_send(channel, message) == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  char *directory = make_kept_directory(reload->config);
  if (sandbox_enter(SANDBOX_COMPILER, reload->config, &err) != STATUS_OK)
    log_warning("the compiler runs without one of its fences: %s", err.text);
  work(reload, channel, directory, message);
  free(directory);
  free(message);
  exit(EXIT_SUCCESS);
}

enum status reload_start(struct compiler *compiler, const struct reload *reload, struct errbuf *err) {
  int ends[2];
  enum status status = channel_pair(ends, err);
  if (status != STATUS_OK)
    return status;
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0)
    run_compiler(reload, ends[1], parent);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return errbuf_set(err, STATUS_IO, "fork: %s", strerror(errno));
  }
  *compiler = (struct compiler){.pid = pid, .channel = ends[0], .until_ms = mono_now_ms() + COMPILE_MOST_MS};
  return STATUS_OK;
}

void reload_cancel(struct compiler *compiler) {
  if (compiler->channel < 0)
    return;
  kill(compiler->pid, SIGKILL);
  close(compiler->channel);
  *compiler = COMPILER_NONE;
}

static bool is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  int sizes = F_SEAL_GROW | F_SEAL_SHRINK;
  return seals >= 0 && (seals & sizes) == sizes && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
}

/* The compiler parsed these very bytes a moment ago, so parsing them here holds no surprise. */
static struct config *parse_sealed(const char *path, int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0 || info.st_size <= 0)
    return NULL;
  size_t length = (size_t)info.st_size;
  void *text = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
  if (text == MAP_FAILED)
    return NULL;
  struct problems problems = {0};
  struct config *config = config_parse(path, text, length, &problems);
  problems_release(&problems);
  munmap(text, length);
  return config;
}

static enum status take(const char *path, const struct channel_message *message, struct candidate *out,
                        char **problems) {
  if (message->status != STATUS_OK) {
    *problems = mem_strdup(message->text);
    return message->status;
  }
  bool is_whole = message->fd_count >= 2 && message->fd_count <= 3;
  for (size_t i = 0; i < message->fd_count; i++)
    is_whole = is_whole && is_sealed(message->fds[i]);
  struct config *config = is_whole ? parse_sealed(path, message->fds[0]) : NULL;
  if (!config) {
    *problems = mem_strdup("what the compiler made cannot be used\n");
    return STATUS_IO;
  }
  *out = (struct candidate){.config = config,
                            .text = message->fds[0],
                            .image = message->fds[1],
                            .provenance = message->fd_count > 2 ? message->fds[2] : -1};
  return STATUS_OK;
}

enum status reload_finish(struct compiler *compiler, const char *path, struct candidate *out, char **problems) {
  if (mono_now_ms() >= compiler->until_ms) {
    reload_cancel(compiler);
    *problems = mem_format("compiling took more than %d minutes\n", COMPILE_MOST_MS / 60000);
    return STATUS_TIMEOUT;
  }
  struct channel_message *message = mem_alloc(sizeof *message);
  enum status status = channel_receive(compiler->channel, message);
  if (status == STATUS_OK) {
    status = take(path, message, out, problems);
    for (size_t i = 0; status != STATUS_OK && i < message->fd_count; i++)
      close(message->fds[i]);
  } else {
    status = STATUS_IO;
    *problems = mem_strdup("the compiler process died\n");
  }
  free(message);
  close(compiler->channel);
  *compiler = COMPILER_NONE;
  return status;
}

static bool same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

enum status reload_check(const struct config *current, const struct config *next, struct errbuf *err) {
  const struct {
    const char *key, *was, *is;
  } fixed[] = {
      {"server.state", current->server.state, next->server.state},
      {"server.run", current->server.run, next->server.run},
      {"server.user", current->server.user, next->server.user},
  };
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
    if (!same_text(fixed[i].was, fixed[i].is))
      return errbuf_set(err, STATUS_CONFLICT, "%s changed from %s to %s: needs a restart", fixed[i].key,
                        fixed[i].was ? fixed[i].was : "(none)", fixed[i].is ? fixed[i].is : "(none)");
  return STATUS_OK;
}
