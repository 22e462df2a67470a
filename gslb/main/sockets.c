#include "gslb/main/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define RECEIVE_BUFFER (8 << 20)
#define DNS_BACKLOG 1024
#define HTTP_BACKLOG 4096
#define RETIRED_PORT 9 /* discard (RFC 863): nobody sends from it */

static int set_flag(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

static bool is_wildcard(const struct addr *address) {
  for (size_t i = 0; i < addr_length(address); i++)
    if (address->bytes[i])
      return false;
  return true;
}

static int set_datagram_options(int fd, const struct addr *address) {
  /* fragments of answers can be forged (RFC 9715), so path MTU messages are not believed; the payload limit keeps
   * answers below the MTU */
  int failed = address->family == 4 ? set_flag(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
                                    : set_flag(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
  /* an answer leaves from the address that the query came to */
  if (!failed && is_wildcard(address))
    failed = address->family == 4 ? set_flag(fd, IPPROTO_IP, IP_PKTINFO, 1)
                                  : set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  return failed;
}

static int receive_buffer(int fd) {
  /* the kernel reports twice of what was set */
  int size = 0;
  socklen_t length = sizeof size;
  getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &length);
  return size / 2;
}

static void enlarge_receive_buffer(int fd, bool *warned) {
  if (set_flag(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) == 0)
    return;
  set_flag(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
  int got = receive_buffer(fd);
  if (got < RECEIVE_BUFFER && !*warned) {
    log_warning("UDP receive buffers are %d KiB instead of %d KiB: without CAP_NET_ADMIN net.core.rmem_max limits them",
                got >> 10, RECEIVE_BUFFER >> 10);
    *warned = true;
  }
}

static int bind_inet(const struct addr *address, int type, bool is_shared, struct errbuf *err) {
  char text[ADDR_TEXT_SIZE];
  addr_format_port(address, text);
  const char *kind = type == SOCK_DGRAM ? "UDP" : "TCP";
  /* a worker waits for datagrams in the call that takes them */
  int wait = type == SOCK_DGRAM ? 0 : SOCK_NONBLOCK;
  int fd = socket(address->family == 4 ? AF_INET : AF_INET6, type | wait | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    errbuf_set(err, STATUS_IO, "%s %s: socket: %s", kind, text, strerror(errno));
    return -1;
  }
  int failed = address->family == 6 ? set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
  if (!failed && is_shared)
    failed = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (!failed)
    failed = type == SOCK_DGRAM ? set_datagram_options(fd, address) : set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!failed && type == SOCK_STREAM) /* what it accepts inherits it: no reply waits for the one before to be taken */
    failed = set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (failed) {
    errbuf_set(err, STATUS_IO, "%s %s: socket options: %s", kind, text, strerror(errno));
    close(fd);
    return -1;
  }
  struct sockaddr_storage name;
  socklen_t length = addr_to_sockaddr(address, &name);
  if (bind(fd, (const struct sockaddr *)&name, length) != 0) {
    errbuf_set(err, STATUS_IO, "%s %s: bind: %s", kind, text, strerror(errno));
    close(fd);
    return -1;
  }
  return fd;
}

static int listen_inet(const struct addr *address, int backlog, bool is_shared, struct errbuf *err) {
  int fd = bind_inet(address, SOCK_STREAM, is_shared, err);
  if (fd >= 0 && listen(fd, backlog) != 0) {
    char text[ADDR_TEXT_SIZE];
    errbuf_set(err, STATUS_IO, "TCP %s: listen: %s", addr_format_port(address, text), strerror(errno));
    close(fd);
    return -1;
  }
  return fd;
}

static enum status remove_stale(const struct sockaddr_un *name, struct errbuf *err) {
  struct stat info;
  if (lstat(name->sun_path, &info) != 0)
    return STATUS_OK; /* whatever else is wrong, bind will say */
  if (!S_ISSOCK(info.st_mode))
    return errbuf_set(err, STATUS_CONFLICT, "%s: exists and is no socket", name->sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return errbuf_set(err, STATUS_IO, "%s: socket: %s", name->sun_path, strerror(errno));
  int failed = connect(fd, (const struct sockaddr *)name, sizeof *name);
  int reason = failed ? errno : 0;
  close(fd);
  if (reason == 0 || reason == EAGAIN)
    return errbuf_set(err, STATUS_CONFLICT, "%s: another process answers there; is gslbd running already?",
                      name->sun_path);
  if (reason == ECONNREFUSED && unlink(name->sun_path) != 0 && errno != ENOENT)
    return errbuf_set(err, STATUS_IO, "%s: left behind by a process that is gone, and cannot be removed: %s",
                      name->sun_path, strerror(errno));
  return STATUS_OK;
}

static enum status listen_unix(const char *path, uid_t uid, gid_t gid, int *out, struct errbuf *err) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof name.sun_path)
    return errbuf_set(err, STATUS_RANGE, "%s: longer than the %zu bytes of a unix socket's name", path,
                      sizeof name.sun_path - 1);
  memcpy(name.sun_path, path, length + 1);
  enum status status = remove_stale(&name, err);
  if (status != STATUS_OK)
    return status;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return errbuf_set(err, STATUS_IO, "%s: socket: %s", path, strerror(errno));
  if (bind(fd, (const struct sockaddr *)&name, sizeof name) != 0) {
    int reason = errno;
    close(fd);
    return errbuf_set(err, STATUS_IO, "%s: bind: %s", path, strerror(reason));
  }
  /* nobody can connect before listen, so the mode of the moment in between does not matter */
  if (chmod(path, 0660) != 0 || (geteuid() == 0 && lchown(path, uid, gid) != 0) || listen(fd, HTTP_BACKLOG) != 0) {
    int reason = errno;
    close(fd);
    unlink(path);
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(reason));
  }
  *out = fd;
  return STATUS_OK;
}

static size_t find_address(const struct sockets *sockets, const struct addr *address) {
  for (size_t a = 0; sockets && a < sockets->listen_count; a++)
    if (addr_equal(&sockets->listen[a], address))
      return a;
  return SIZE_MAX;
}

/* SO_REUSEPORT would let a second gslbd of the same user share an address in silence and take half of its queries: a
 * socket without it is refused where anybody listens. */
static bool is_free(const struct addr *address, struct errbuf *err) {
  int fd = bind_inet(address, SOCK_DGRAM, false, err);
  if (fd >= 0)
    close(fd);
  return fd >= 0;
}

static enum status open_names(const struct sockets *current, struct sockets *next, struct errbuf *err) {
  bool warned = false;
  for (size_t a = 0; a < next->listen_count; a++) {
    const struct addr *address = &next->listen[a];
    size_t old = find_address(current, address);
    if (old == SIZE_MAX && !is_free(address, err))
      return STATUS_IO;
    for (size_t w = 0; w < next->worker_count; w++) {
      size_t at = w * next->listen_count + a;
      if (old != SIZE_MAX && w < current->worker_count) {
        next->udp[at] = current->udp[w * current->listen_count + old];
        next->tcp[at] = current->tcp[w * current->listen_count + old];
        continue;
      }
      next->udp[at] = bind_inet(address, SOCK_DGRAM, true, err);
      if (next->udp[at] < 0)
        return STATUS_IO;
      enlarge_receive_buffer(next->udp[at], &warned);
      next->tcp[at] = listen_inet(address, DNS_BACKLOG, true, err);
      if (next->tcp[at] < 0)
        return STATUS_IO;
    }
  }
  return STATUS_OK;
}

static enum status open_control(const struct config_control *control, uid_t uid, gid_t gid,
                                const struct sockets *current, struct sockets *next, struct errbuf *err) {
  if (current && current->unix_path && strcmp(current->unix_path, control->socket) == 0) {
    next->http_unix = current->http_unix;
  } else {
    enum status status = listen_unix(control->socket, uid, gid, &next->http_unix, err);
    if (status != STATUS_OK)
      return errbuf_prefix(err, status, "control.socket: ");
  }
  next->unix_path = mem_strdup(control->socket);
  if (!control->has_listen)
    return STATUS_OK;
  next->http_address = control->listen;
  bool stays = current && current->http_tcp >= 0 && addr_equal(&current->http_address, &control->listen);
  next->http_tcp = stays ? current->http_tcp : listen_inet(&control->listen, HTTP_BACKLOG, false, err);
  return next->http_tcp >= 0 ? STATUS_OK : errbuf_prefix(err, STATUS_IO, "control.listen: ");
}

static enum status open_trap(const struct config *config, const struct sockets *current, struct sockets *next,
                             struct errbuf *err) {
  if (!config->trap_listen.family)
    return STATUS_OK;
  next->trap_address = config->trap_listen;
  bool stays = current && current->trap >= 0 && addr_equal(&current->trap_address, &config->trap_listen);
  next->trap = stays ? current->trap : bind_inet(&config->trap_listen, SOCK_DGRAM, false, err);
  return next->trap >= 0 ? STATUS_OK : errbuf_prefix(err, STATUS_IO, "traps.listen: ");
}

enum status sockets_open(const struct config *config, uid_t uid, gid_t gid, const struct sockets *current,
                         struct sockets *out, struct errbuf *err) {
  const struct config_server *server = &config->server;
  size_t count = server->workers * server->listen_count;
  struct sockets next = SOCKETS_NONE;
  next.listen_count = server->listen_count;
  next.worker_count = server->workers;
  next.listen = mem_array(server->listen_count, sizeof *next.listen);
  memcpy(next.listen, server->listen, server->listen_count * sizeof *next.listen);
  next.udp = mem_array(count, sizeof *next.udp);
  next.tcp = mem_array(count, sizeof *next.tcp);
  for (size_t i = 0; i < count; i++)
    next.udp[i] = next.tcp[i] = -1;

  /* control first: SO_REUSEPORT would let a second gslbd join the name sockets unseen, the unix socket does not */
  enum status status = open_control(&config->control, uid, gid, current, &next, err);
  if (status == STATUS_OK)
    status = open_names(current, &next, err);
  if (status == STATUS_OK)
    status = open_trap(config, current, &next, err);
  if (status != STATUS_OK) {
    sockets_release(&next, current);
    return status;
  }
  *out = next;
  return STATUS_OK;
}

static void warn_once(const char *what, bool *warned) {
  if (!*warned)
    log_warning("%s: %s", what, strerror(errno));
  *warned = true;
}

/* A program for the kernel: the datagram is for the worker whose number is the processor's, modulo their count. Sockets
 * of one address are numbered as they were bound. */
static int steer_by_cpu(int fd, uint32_t workers) {
  struct sock_filter steps[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_CPU)},
      {BPF_ALU | BPF_MOD | BPF_K, 0, 0, workers},
      {BPF_RET | BPF_A, 0, 0, 0},
  };
  struct sock_fprog program = {.len = sizeof steps / sizeof steps[0], .filter = steps};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

void sockets_tune(const struct sockets *sockets, const struct config_server *server) {
  bool warned_poll = false, warned_steer = false;
  for (size_t i = 0; i < sockets->worker_count * sockets->listen_count; i++)
    if (set_flag(sockets->udp[i], SOL_SOCKET, SO_BUSY_POLL, (int)server->busy_poll_us) != 0 && server->busy_poll_us)
      warn_once("server.busy_poll", &warned_poll);
  for (size_t a = 0; a < sockets->listen_count; a++) { /* the program is one for all sockets of an address */
    if (!server->has_cpu_affinity)
      set_flag(sockets->udp[a], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0); /* fails where there is none */
    else if (steer_by_cpu(sockets->udp[a], (uint32_t)sockets->worker_count) != 0)
      warn_once("server.cpu_affinity: cannot steer datagrams", &warned_steer);
  }
}

static bool may_ping(gid_t gid) {
  unsigned long first = 1, last = 0;
  FILE *in = fopen("/proc/sys/net/ipv4/ping_group_range", "re");
  if (!in)
    return false;
  bool is_read = fscanf(in, "%lu %lu", &first, &last) == 2;
  fclose(in);
  return is_read && gid >= first && gid <= last;
}

void sockets_open_ping(gid_t gid, int out[2]) {
  out[0] = out[1] = -1;
  if (may_ping(gid))
    return;
  /* raw sockets hear every packet of their protocol */
  struct icmp_filter replies_4 = {.data = ~(1u << ICMP_ECHOREPLY)};
  struct icmp6_filter replies_6;
  ICMP6_FILTER_SETBLOCKALL(&replies_6);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &replies_6);
  out[0] = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  int reason = out[0] < 0 ? errno : 0;
  out[1] = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (out[0] >= 0)
    setsockopt(out[0], SOL_RAW, ICMP_FILTER, &replies_4, sizeof replies_4);
  else
    log_info("monitors of type ping cannot be used: %s; CAP_NET_RAW or net.ipv4.ping_group_range would allow them",
             strerror(reason));
  if (out[1] >= 0)
    setsockopt(out[1], IPPROTO_ICMPV6, ICMP6_FILTER, &replies_6, sizeof replies_6);
}

static bool holds(const struct sockets *sockets, int fd) {
  if (!sockets)
    return false;
  for (size_t i = 0; i < sockets->worker_count * sockets->listen_count; i++)
    if (sockets->udp[i] == fd || sockets->tcp[i] == fd)
      return true;
  return sockets->http_tcp == fd || sockets->http_unix == fd || sockets->trap == fd;
}

static void close_unless_held(int fd, const struct sockets *successor) {
  if (fd >= 0 && !holds(successor, fd))
    close(fd);
}

static void retire(int fd, const struct addr *address) {
  /* a connected socket takes part in SO_REUSEPORT no longer and receives from its peer alone: here one that is silent
   */
  static const struct addr loopback_4 = {.family = 4, .bytes = {127, 0, 0, 1}};
  static const struct addr loopback_6 = {.family = 6, .bytes = {[15] = 1}};
  struct addr peer = !is_wildcard(address) ? *address : address->family == 4 ? loopback_4 : loopback_6;
  peer.port = RETIRED_PORT;
  struct sockaddr_storage name;
  socklen_t length = addr_to_sockaddr(&peer, &name);
  if (connect(fd, (const struct sockaddr *)&name, length) != 0)
    log_warning("a socket that is given up still receives: %s", strerror(errno));
}

bool sockets_retire(const struct sockets *sockets, const struct sockets *successor) {
  bool has_any = false;
  for (size_t i = 0; i < sockets->worker_count * sockets->listen_count; i++)
    if (!holds(successor, sockets->udp[i])) {
      retire(sockets->udp[i], &sockets->listen[i % sockets->listen_count]);
      has_any = true;
    }
  return has_any;
}

void sockets_release(struct sockets *sockets, const struct sockets *successor) {
  for (size_t i = 0; i < sockets->worker_count * sockets->listen_count; i++) {
    close_unless_held(sockets->udp[i], successor);
    close_unless_held(sockets->tcp[i], successor);
  }
  close_unless_held(sockets->http_tcp, successor);
  close_unless_held(sockets->http_unix, successor);
  close_unless_held(sockets->trap, successor);
  if (sockets->unix_path && !holds(successor, sockets->http_unix))
    unlink(sockets->unix_path);
  free(sockets->unix_path);
  free(sockets->listen);
  free(sockets->udp);
  free(sockets->tcp);
  *sockets = SOCKETS_NONE;
}

bool sockets_serve_same_names(const struct sockets *a, const struct sockets *b) {
  if (a->worker_count != b->worker_count || a->listen_count != b->listen_count)
    return false;
  for (size_t i = 0; i < a->listen_count; i++)
    if (!addr_equal(&a->listen[i], &b->listen[i]))
      return false;
  return true;
}

bool sockets_serve_same_control(const struct sockets *a, const struct sockets *b) {
  return a->http_tcp == b->http_tcp && a->http_unix == b->http_unix;
}
