#include "gslb/main/stores.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/store.h"

#define PATIENCE_MS 10000

static enum status make_one(const char *path, mode_t mode, bool *is_new, struct errbuf *err) {
  *is_new = mkdir(path, mode) == 0;
  if (*is_new || errno == EEXIST)
    return STATUS_OK;
  return errbuf_set(err, STATUS_IO, "%s: mkdir: %s", path, strerror(errno));
}

static enum status make_directory(const char *path, const struct identity *who, struct errbuf *err) {
  char *parents = mem_strdup(path);
  bool is_new = false;
  enum status status = STATUS_OK;
  for (char *slash = strchr(parents + 1, '/'); slash && status == STATUS_OK; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    status = make_one(parents, 0755, &is_new, err);
    *slash = '/';
  }
  free(parents);
  if (status == STATUS_OK)
    status = make_one(path, 0750, &is_new, err);
  if (status != STATUS_OK || !who->changes)
    return status;
  struct stat info;
  if (stat(path, &info) != 0)
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  /* a directory that root made for us is given away; one of another user, or one like /tmp, is not ours to give */
  bool is_ours = is_new || (info.st_uid == 0 && !(info.st_mode & (S_ISVTX | S_IWOTH)));
  if (is_ours && info.st_uid != who->uid && chown(path, who->uid, who->gid) != 0)
    return errbuf_set(err, STATUS_IO, "%s: chown to %s: %s", path, who->name, strerror(errno));
  return STATUS_OK;
}

static void keep_newest(int64_t *newest_ms, int64_t other_ms) {
  if (other_ms > *newest_ms)
    *newest_ms = other_ms;
}

static void tell_of_disk(const struct config_server *server, struct store *live) {
  struct store_info info;
  if (store_info(live, &info) == STATUS_OK && !info.is_in_memory)
    log_warning("server.run: %s is no tmpfs: what probes find may wait for its disk when that is busy", server->run);
}

static enum status open_stores(const struct config_server *server, struct stores_found *found, struct errbuf *err) {
  struct store *durable = NULL, *live = NULL;
  int64_t time_ms = 0;
  enum status status = store_open(server->state, STORE_DURABLE, STORE_CREATE, &durable, err);
  if (status != STATUS_OK)
    return errbuf_prefix(err, status, "durable store: ");
  if (store_newest_time(durable, &time_ms) == STATUS_OK)
    keep_newest(&found->newest_ms, time_ms);
  status = store_open(server->run, STORE_LIVE, STORE_CREATE, &live, err);
  if (status != STATUS_OK) {
    errbuf_prefix(err, status, "live store: ");
    goto out;
  }
  tell_of_disk(server, live);
  int64_t taken_ms = 0;
  enum status restored = store_restore(server->state, live, &taken_ms, err);
  if (store_newest_time(live, &time_ms) == STATUS_OK)
    keep_newest(&found->newest_ms, time_ms);
  if (restored == STATUS_OK) {
    found->checkpoint_ms = taken_ms;
    keep_newest(&found->newest_ms, taken_ms);
    struct house house = house_start(found->newest_ms);
    log_info("live store restored from the checkpoint of %lld s ago",
             (long long)(house_now_ms(&house) - taken_ms) / 1000);
  } else if (restored != STATUS_NODATA) {
    /* probes fill it again, so this is no reason to give up */
    log_warning("checkpoint of the live store not used: %s", err->text);
  }
  store_close(live);
out:
  store_close(durable);
  return status;
}

static void run(const struct config *config, const struct identity *who, int out) {
  struct errbuf err = {0};
  struct stores_found found = {0};
  enum status status = make_directory(config->server.state, who, &err);
  if (status == STATUS_OK)
    status = make_directory(config->server.run, who, &err);
  if (status == STATUS_OK)
    status = privileges_drop(who, &err);
  if (status == STATUS_OK)
    status = open_stores(&config->server, &found, &err);
  if (status != STATUS_OK) {
    log_error("%s", err.text);
    _exit(1);
  }
  _exit(write(out, &found, sizeof found) == (ssize_t)sizeof found ? 0 : 1);
}

static bool await(int fd) {
  int64_t until_ms = mono_now_ms() + PATIENCE_MS;
  for (;;) {
    int64_t left_ms = until_ms - mono_now_ms();
    if (left_ms <= 0)
      return false;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int count = poll(&ready, 1, (int)left_ms);
    if (count > 0)
      return true;
    if (count < 0 && errno != EINTR)
      return false;
  }
}

enum status stores_prepare(const struct config *config, const struct identity *who, struct stores_found *found,
                           struct errbuf *err) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return errbuf_set(err, STATUS_IO, "pipe: %s", strerror(errno));
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    run(config, who, ends[1]);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return errbuf_set(err, STATUS_IO, "fork: %s", strerror(errno));
  }
  struct stores_found told = {0};
  bool is_heard = await(ends[0]);
  bool is_whole = is_heard && read(ends[0], &told, sizeof told) == (ssize_t)sizeof told;
  close(ends[0]);
  if (!is_heard)
    kill(pid, SIGKILL); /* reaped later: a process that waits for a stalled disk does not end at once */
  else
    waitpid(pid, NULL, 0);
  if (is_whole) {
    *found = told;
    return STATUS_OK;
  }
  return is_heard ? errbuf_set(err, STATUS_IO, "the process that prepares the stores failed")
                  : errbuf_set(err, STATUS_TIMEOUT, "the stores are not ready after %d s", PATIENCE_MS / 1000);
}
