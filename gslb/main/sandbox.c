#include "gslb/main/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

#include "gslb/base/memory.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* Landlock's numbers (linux/landlock.h): written out because Debian 12's header ends at ABI 2 */
#define LANDLOCK_VERSION_FLAG 1u
#define LANDLOCK_PATH_BENEATH 1
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_ABI_1 ((1ull << 13) - 1)
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define FS_READ (FS_READ_FILE | FS_READ_DIR)
#define FS_OF_A_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define NET_BIND_CONNECT_TCP 3ull
#define SCOPE_ABSTRACT_UNIX_AND_SIGNAL 3ull

struct landlock_rules {
  uint64_t fs, net, scope;
};

struct landlock_path {
  uint64_t allowed;
  int32_t parent;
} __attribute__((packed));

static const int never_called[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(tkill),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(bpf),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setfsgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(capset),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(personality),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(fanotify_init),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(syslog),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(vhangup),
    SCMP_SYS(uselib),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
};

static const int never_called_without_peers[] = {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen)};

static int refuse_calls(scmp_filter_ctx filter, enum sandbox_role role) {
  uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
  int failed = 0;
  for (size_t i = 0; !failed && i < sizeof never_called / sizeof never_called[0]; i++)
    failed = seccomp_rule_add(filter, refuse, never_called[i], 0);
  /* threads yes, processes no; clone3 hides its flags from a filter, and glibc falls back to clone at ENOSYS */
  if (!failed)
    failed = seccomp_rule_add(filter, refuse, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  if (!failed)
    failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  /* the children share a user, so nothing else keeps one from ending another */
  uint64_t own = (uint64_t)getpid();
  if (!failed)
    failed = seccomp_rule_add(filter, refuse, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, own, 0));
  if (!failed)
    failed = seccomp_rule_add(filter, refuse, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, own, 0));
  if (role == SANDBOX_DNS || role == SANDBOX_COMPILER) {
    for (size_t i = 0; !failed && i < sizeof never_called_without_peers / sizeof never_called_without_peers[0]; i++)
      failed = seccomp_rule_add(filter, refuse, never_called_without_peers[i], 0);
    if (!failed)
      failed = seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
  }
  return failed;
}

static enum status filter_calls(enum sandbox_role role, struct errbuf *err) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (!filter)
    return errbuf_set(err, STATUS_IO, "seccomp: cannot make a filter");
  /* a binary tree instead of a list; older libraries keep the list */
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  int failed = refuse_calls(filter, role);
  if (!failed)
    failed = seccomp_load(filter);
  seccomp_release(filter);
  return failed ? errbuf_set(err, STATUS_IO, "seccomp: %s", strerror(-failed)) : STATUS_OK;
}

static void allow_path(int rules, const char *path, uint64_t allowed) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0)
    return;
  struct landlock_path rule = {.allowed = allowed, .parent = fd};
  long failed = syscall(SYS_landlock_add_rule, rules, LANDLOCK_PATH_BENEATH, &rule, 0);
  if (failed && errno == EINVAL) { /* not a directory */
    rule.allowed = allowed & FS_OF_A_FILE;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_PATH_BENEATH, &rule, 0);
  }
  close(fd);
}

static int lock_file_rules; /* for nftw, which passes no context; used within one call */

static int allow_lock_file(const char *path, const struct stat *info, int kind, struct FTW *at) {
  (void)info;
  (void)at;
  size_t length = strlen(path);
  bool is_lock = kind == FTW_F && ((length >= 8 && strcmp(path + length - 8, "lock.mdb") == 0) ||
                                   (length >= 5 && strcmp(path + length - 5, "-lock") == 0));
  if (is_lock)
    allow_path(lock_file_rules, path, FS_READ_FILE | FS_WRITE_FILE);
  return 0;
}

struct file_list { /* of PEM files; the texts are the configuration's */
  const char **items;
  size_t count, capacity;
};

static void add_file(struct file_list *files, const char *file) {
  if (!file)
    return;
  files->items = mem_grow(files->items, &files->capacity, files->count + 1, sizeof *files->items);
  files->items[files->count++] = file;
}

static void add_client_tls(struct file_list *files, const struct config_client_tls *tls) {
  add_file(files, tls->ca);
  add_file(files, tls->certificate);
  add_file(files, tls->key);
}

/* The caller frees the items. */
static struct file_list list_certificates(const struct config *config, enum sandbox_role role) {
  struct file_list files = {0};
  if (role == SANDBOX_PROBE) {
    for (size_t i = 0; i < config->monitor_count; i++)
      add_client_tls(&files, &config->monitors[i].tls);
    for (size_t i = 0; i < config->source_count; i++)
      add_client_tls(&files, &config->sources[i].tls);
    return files;
  }
  add_file(&files, config->control.tls.certificate);
  add_file(&files, config->control.tls.key);
  add_file(&files, config->control.tls.client_ca);
  for (size_t i = 0; i < config->peer_count; i++)
    add_file(&files, config->peers[i].ca);
  for (size_t i = 0; i < config->parent_count; i++)
    add_file(&files, config->parents[i].ca);
  return files;
}

static int compare_files(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool sandbox_has_same_files(enum sandbox_role role, const struct config *a, const struct config *b) {
  struct file_list before = list_certificates(a, role), after = list_certificates(b, role);
  bool has_all = true;
  if (before.count > 0)
    qsort(before.items, before.count, sizeof *before.items, compare_files);
  for (size_t i = 0; i < after.count && has_all; i++)
    has_all = before.count > 0 &&
              bsearch(&after.items[i], before.items, before.count, sizeof *before.items, compare_files) != NULL;
  free(before.items);
  free(after.items);
  return has_all;
}

/* All of the directory, since who renews a file puts another one in its place. */
static void allow_around(int rules, const char *file) {
  char directory[PATH_MAX];
  snprintf(directory, sizeof directory, "%s", file);
  char *end = strrchr(directory, '/');
  if (!end || end == directory) { /* not the whole tree because of one file */
    allow_path(rules, file, FS_READ);
    return;
  }
  *end = '\0';
  allow_path(rules, directory, FS_READ);
}

static void allow_certificates(int rules, enum sandbox_role role, const struct config *config) {
  struct file_list files = list_certificates(config, role);
  if (files.count > 0)
    qsort(files.items, files.count, sizeof *files.items, compare_files);
  for (size_t i = 0; i < files.count; i++) {
    char target[PATH_MAX];
    if (i > 0 && strcmp(files.items[i], files.items[i - 1]) == 0)
      continue;
    allow_around(rules, files.items[i]);
    if (realpath(files.items[i], target)) /* a link is often what is put in place */
      allow_around(rules, target);
  }
  free(files.items);
}

static void allow_files(int rules, enum sandbox_role role, uint64_t all, const struct config *config) {
  /* what the C library and the others read while they run */
  static const char *const of_all[] = {"/usr/lib",
                                       "/lib",
                                       "/lib64",
                                       "/usr/share/zoneinfo",
                                       "/etc/ld.so.cache",
                                       "/etc/localtime",
                                       "/sys/devices/system/cpu",
                                       "/proc/sys/kernel/random", /* the live store carries the boot id */
                                       "/dev/urandom"};
  for (size_t i = 0; i < sizeof of_all / sizeof of_all[0]; i++)
    allow_path(rules, of_all[i], FS_READ);
  allow_path(rules, "/dev/null", FS_READ_FILE | FS_WRITE_FILE);

  const char *const stores[] = {config->server.state, config->server.run};
  for (size_t i = 0; i < 2; i++) {
    if (role == SANDBOX_DNS) {
      allow_path(rules, stores[i], FS_READ);
      lock_file_rules = rules;
      nftw(stores[i], allow_lock_file, 8, FTW_PHYS);
    } else if (role != SANDBOX_COMPILER) {
      allow_path(rules, stores[i], all & ~FS_EXECUTE);
    }
  }
  if (role == SANDBOX_COMPILER) {
    char compiled[PATH_MAX];
    snprintf(compiled, sizeof compiled, "%s/" SANDBOX_COMPILED, config->server.state);
    allow_path(rules, "/", FS_READ);
    allow_path(rules, compiled, all & ~FS_EXECUTE);
  }
  if (role == SANDBOX_PROBE || role == SANDBOX_CONTROL) {
    static const char *const of_clients[] = {"/etc", "/usr/share", "/proc", "/run/systemd/resolve"};
    for (size_t i = 0; i < sizeof of_clients / sizeof of_clients[0]; i++)
      allow_path(rules, of_clients[i], FS_READ);
  }
  if (role == SANDBOX_PROBE || role == SANDBOX_CONTROL)
    allow_certificates(rules, role, config);
}

static enum status fence_files(enum sandbox_role role, const struct config *config, struct errbuf *err) {
  long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);
  if (abi < 1)
    return STATUS_OK; /* a kernel without it, or with it switched off */
  bool has_no_peers = role == SANDBOX_DNS || role == SANDBOX_COMPILER;
  struct landlock_rules handled = {
      .fs = FS_ABI_1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0),
      .net = abi >= 4 && has_no_peers ? NET_BIND_CONNECT_TCP : 0,
      .scope = abi >= 6 ? SCOPE_ABSTRACT_UNIX_AND_SIGNAL : 0,
  };
  size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8; /* what each version knows */
  int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, size, 0);
  if (rules < 0)
    return errbuf_set(err, STATUS_IO, "landlock: %s", strerror(errno));
  allow_files(rules, role, handled.fs, config);
  long failed = syscall(SYS_landlock_restrict_self, rules, 0);
  int reason = errno;
  close(rules);
  return failed ? errbuf_set(err, STATUS_IO, "landlock: %s", strerror(reason)) : STATUS_OK;
}

enum status sandbox_enter(enum sandbox_role role, const struct config *config, struct errbuf *err) {
  if (role == SANDBOX_NONE || IS_SANITIZED)
    return STATUS_OK;
  /* no core file and no debugger for what may hold keys */
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  enum status files = fence_files(role, config, err);
  enum status calls = filter_calls(role, files == STATUS_OK ? err : NULL);
  return files != STATUS_OK ? files : calls;
}
