#include "gslb/main/privileges.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>

#define DEFAULT_USER "gslb"

static const unsigned network_capabilities[] = {CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_NET_ADMIN};
#define NETWORK_CAPABILITIES (sizeof network_capabilities / sizeof network_capabilities[0])

enum status privileges_find(const char *user, struct identity *out, struct errbuf *err) {
  uid_t own = geteuid();
  bool is_chosen = user != NULL;
  if (!user && own == 0)
    user = DEFAULT_USER;
  errno = 0;
  const struct passwd *entry = user ? getpwnam(user) : getpwuid(own);
  if (!entry && is_chosen)
    return errbuf_set(err, STATUS_NOTFOUND, "server.user: no user \"%s\"%s%s", user, errno ? ": " : "",
                      errno ? strerror(errno) : "");
  struct identity found = {.uid = own, .gid = getegid()};
  if (entry) {
    found.uid = entry->pw_uid;
    found.gid = entry->pw_uid == own ? getegid() : entry->pw_gid;
    snprintf(found.name, sizeof found.name, "%s", entry->pw_name);
  } else {
    snprintf(found.name, sizeof found.name, "uid %u", (unsigned)own);
  }
  found.changes = found.uid != own;
  if (found.changes && own != 0)
    return errbuf_set(err, STATUS_FORBIDDEN, "server.user: only root can change to user \"%s\"", user);
  *out = found;
  return STATUS_OK;
}

static enum status apply(const struct identity *who, bool keeps_network, struct errbuf *err) {
  capng_get_caps_process();
  bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
  bool has[NETWORK_CAPABILITIES];
  for (size_t i = 0; i < NETWORK_CAPABILITIES; i++)
    has[i] = keeps_network && capng_have_capability(CAPNG_PERMITTED, network_capabilities[i]);
  capng_clear(CAPNG_SELECT_ALL);
  for (size_t i = 0; i < NETWORK_CAPABILITIES; i++)
    if (has[i])
      capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, network_capabilities[i]);

  /* ambient capabilities have to go before what they rest upon, and libcap-ng leaves them where it cannot know */
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  bool already = geteuid() == who->uid && getuid() == who->uid && getegid() == who->gid;
  int failed;
  if (!already) {
    capng_flags_t flags = CAPNG_INIT_SUPP_GRP | (may_bound ? CAPNG_CLEAR_BOUNDING : CAPNG_NO_FLAG);
    failed = capng_change_id((int)who->uid, (int)who->gid, flags);
  } else {
    failed = capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
  }
  if (failed)
    return errbuf_set(err, STATUS_IO, "dropping privileges to %s failed (libcap-ng %d): %s", who->name, failed,
                      strerror(errno));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return errbuf_set(err, STATUS_IO, "no_new_privs: %s", strerror(errno));
  return STATUS_OK;
}

enum status privileges_keep_network(const struct identity *who, struct errbuf *err) {
  return apply(who, true, err);
}

enum status privileges_drop(const struct identity *who, struct errbuf *err) {
  return apply(who, false, err);
}
