/* gslb/net/snmp_library.h
 * What the client and the listener have in common of net-snmp: its start without files, users and their keys, sockets,
 * values. For gslb/net/snmp*.c alone. One thread. */
#ifndef GSLB_NET_SNMP_LIBRARY_H
#define GSLB_NET_SNMP_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>

#include "gslb/base/addr.h"
#include "gslb/base/memory.h"
#include "gslb/net/snmp.h"

#define SNMP_ENGINE_MOST 32u /* bytes; RFC 3411 section 5, SnmpEngineID */
#define SNMP_MASTERS_MOST 64u

struct snmp_engine {
  u_char bytes[SNMP_ENGINE_MOST];
  size_t size; /* 0: not known */
};

struct snmp_keyring { /* keys made of pass phrases, which takes a megabyte of hashing each (RFC 3414 section 2.6) */
  struct snmp_master {
    enum snmp_digest digest;
    char *secret; /* NULL: not in use */
    u_char key[USM_LENGTH_KU_HASHBLOCK];
    size_t size;
  } masters[SNMP_MASTERS_MOST];
  size_t next; /* is overwritten when all are in use */
};
void snmp_keyring_release(struct snmp_keyring *keyring);

void snmp_library_start(void);
/* Once a process; further calls do nothing. */

int snmp_library_level(const struct snmp_identity *identity);
/* SNMP_SEC_LEVEL_…, of v3. */

bool snmp_library_add_user(struct snmp_keyring *keyring, const struct snmp_identity *identity,
                           const struct snmp_engine *engine);
/* Makes the user known at the engine with the keys of the identity, in place of others. false: the library refuses the
 * secrets. */
void snmp_library_add_nobody(void);
/* The user without a name that asks engines for their id (RFC 3414 section 4). */

netsnmp_transport *snmp_library_transport(const struct addr *addr, bool is_local);
/* A UDP socket: bound to addr, or connected to it, so that a closed port shows and others' answers do not. NULL, with
 * errno. */

bool snmp_library_read(void *session, int fd);
/* Takes one datagram; calls back from within. false: the socket is in error, which is in errno. */

void snmp_library_value(const netsnmp_variable_list *variable, struct arena *arena, struct snmp_value *out);
/* text is the arena's. */
void snmp_library_name(const oid *parts, size_t count, struct object_id *out);

#endif
