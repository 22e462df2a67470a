/* gslb/main/sockets.h
 * The listening sockets: opened by the supervisor, kept by it while children come and go, so that what is queued in
 * them outlives a child. Supervisor only, one thread. */
#ifndef GSLB_MAIN_SOCKETS_H
#define GSLB_MAIN_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"

struct sockets {
  struct addr *listen; /* copies; listen_count of them */
  size_t listen_count;
  size_t worker_count;
  int *udp; /* of worker w and address a at [w * listen_count + a] */
  int *tcp; /* likewise, listening */
  struct addr http_address;
  int http_tcp;    /* -1 without control.listen */
  char *unix_path; /* NULL when nothing is open */
  int http_unix;
  struct addr trap_address;
  int trap; /* UDP; -1 without traps.listen */
};
#define SOCKETS_NONE ((struct sockets){.http_tcp = -1, .http_unix = -1, .trap = -1})

enum status sockets_open(const struct config *config, uid_t uid, gid_t gid, const struct sockets *current,
                         struct sockets *out, struct errbuf *err);
/* Opens what the configuration asks for; a socket that current (may be NULL) holds for the same worker and address is
 * shared, not opened again. All but those of DNS over UDP are
 * non-blocking, and all close-on-exec. The unix socket's file is given to uid and gid with
 * mode 0660; a file left by a process that is gone is replaced. STATUS_CONFLICT: a living process answers there.
 * STATUS_IO, STATUS_RANGE: err names the address; *out untouched and nothing new stays open. */

void sockets_tune(const struct sockets *sockets, const struct config_server *server);
/* Sets busy polling and steering by processor as configured, or takes them back. What the kernel refuses is told in the
 * log and left out. */

void sockets_open_ping(gid_t gid, int out[2]);
/* Raw sockets that receive echo replies alone, for IPv4 and IPv6, where a process of the group may not have a datagram
 * socket of its own for that (net.ipv4.ping_group_range, which goes for both); -1 otherwise, and where they are not to
 * be had, which is told in the log. Owned by the caller. */

void sockets_release(struct sockets *sockets, const struct sockets *successor);
/* Closes all that successor (may be NULL) does not share, removes the unix socket's file likewise, and leaves *sockets
 * empty. */

bool sockets_retire(const struct sockets *sockets, const struct sockets *successor);
/* Makes the UDP sockets that successor does not share receive nothing further, while what is queued in them can still
 * be read and answered by who holds them. Returns whether there are any. */

bool sockets_serve_same_names(const struct sockets *a, const struct sockets *b);
/* Whether the dns child could go on with b as with a: the same workers and addresses in the same order. */
bool sockets_serve_same_control(const struct sockets *a, const struct sockets *b);

#endif
