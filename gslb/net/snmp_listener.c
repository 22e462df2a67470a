#include "gslb/net/snmp_listener.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/net/loop.h"
#include "gslb/net/snmp_client.h"
#include "gslb/net/snmp_library.h"

#define DATAGRAM_MOST 65536u
#define TURN_MOST 64u /* datagrams read before others have their turn */

struct sender { /* the engines that an address said it is */
  struct addr addr;
  struct snmp_engine engines[SNMP_ENGINES_OF_SENDER_MOST];
  size_t count;
};

struct snmp_listener {
  struct snmp_client *client;
  struct arena arena;
  struct snmp_identity *identities;
  size_t count;
  struct snmp_audience audience;
  struct snmp_counts counts;
  void *session;
  int fd;
  struct loop_poll *poll;
  struct addr from; /* of the datagram that is being read */
  bool was_taken;   /* it was a notice */
  void *senders;    /* tsearch: struct sender by addr */
  u_char *datagram;
};

static int compare_senders(const void *a, const void *b) {
  const struct sender *left = a, *right = b;
  return memcmp(&left->addr, &right->addr, sizeof left->addr);
}

static struct sender *sender_of(struct snmp_listener *listener, const struct addr *addr) {
  struct sender key = {.addr = *addr};
  struct sender **found = tfind(&key, &listener->senders, compare_senders);
  if (found)
    return *found;
  struct sender *sender = mem_alloc(sizeof *sender);
  sender->addr = *addr;
  if (!tsearch(sender, &listener->senders, compare_senders))
    abort();
  return sender;
}

/* The authoritative engine of a v3 message (RFC 3412 section 6, RFC 3414 section 2.4); false: it is none, or not of v3.
 */
static bool engine_in(u_char *bytes, size_t size, struct snmp_engine *out) {
  u_char type;
  long version = 0;
  size_t left = size, header;
  u_char *at = asn_parse_sequence(bytes, &left, &type, ASN_SEQUENCE | ASN_CONSTRUCTOR, "message");
  if (!at || !(at = asn_parse_int(at, &left, &type, &version, sizeof version)) || version != SNMP_VERSION_3)
    return false;
  header = left;
  u_char *inside = asn_parse_sequence(at, &header, &type, ASN_SEQUENCE | ASN_CONSTRUCTOR, "header");
  if (!inside)
    return false;
  left -= (size_t)(inside + header - at);
  at = asn_parse_sequence(inside + header, &left, &type, ASN_UNIVERSAL | ASN_PRIMITIVE | ASN_OCTET_STR, "security");
  if (!at || !(at = asn_parse_sequence(at, &left, &type, ASN_SEQUENCE | ASN_CONSTRUCTOR, "parameters")))
    return false;
  out->size = sizeof out->bytes;
  return asn_parse_string(at, &left, &type, out->bytes, &out->size) && type == ASN_OCTET_STR && out->size > 0;
}

static void add_users(struct snmp_listener *listener, const struct snmp_engine *engine) {
  for (size_t i = 0; i < listener->count; i++)
    if (listener->identities[i].is_v3)
      snmp_library_add_user(snmp_client_keyring(listener->client), &listener->identities[i], engine);
}

/* Makes the users known at an engine that a known sender says it is, so that the library can look at the message. */
static void meet_engine(struct snmp_listener *listener, u_char *bytes, size_t size) {
  struct snmp_engine engine;
  if (!engine_in(bytes, size, &engine))
    return;
  struct sender *sender = sender_of(listener, &listener->from);
  for (size_t i = 0; i < sender->count; i++)
    if (sender->engines[i].size == engine.size && memcmp(sender->engines[i].bytes, engine.bytes, engine.size) == 0)
      return;
  if (sender->count == SNMP_ENGINES_OF_SENDER_MOST)
    return;
  sender->engines[sender->count++] = engine;
  add_users(listener, &engine);
}

static bool is_trusted(const struct snmp_listener *listener, const netsnmp_pdu *pdu) {
  for (size_t i = 0; i < listener->count; i++) {
    const struct snmp_identity *identity = &listener->identities[i];
    if (pdu->version == SNMP_VERSION_3 && identity->is_v3) {
      if (pdu->securityModel == SNMP_SEC_MODEL_USM && pdu->securityName &&
          strcmp(pdu->securityName, identity->user) == 0 && pdu->securityLevel >= snmp_library_level(identity))
        return true;
    } else if (pdu->version == SNMP_VERSION_2c && !identity->is_v3) {
      size_t length = strlen(identity->community);
      if (pdu->community_len == length && memcmp(pdu->community, identity->community, length) == 0)
        return true;
    }
  }
  return false;
}

static void find_event(const netsnmp_pdu *pdu, struct object_id *event) {
  static const oid name[] = {1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0}; /* snmpTrapOID.0 */
  const netsnmp_variable_list *variable = pdu->variables;
  for (; variable; variable = variable->next_variable)
    if (variable->type == ASN_OBJECT_ID && variable->val.objid &&
        snmp_oid_compare(variable->name, variable->name_length, name, OID_LENGTH(name)) == 0)
      snmp_library_name(variable->val.objid, variable->val_len / sizeof(oid), event);
}

static void answer_inform(struct snmp_listener *listener, netsnmp_pdu *pdu) {
  netsnmp_pdu *reply = snmp_clone_pdu(pdu);
  if (!reply)
    return;
  reply->command = SNMP_MSG_RESPONSE;
  reply->errstat = 0;
  reply->errindex = 0;
  if (!snmp_sess_send(listener->session, reply))
    snmp_free_pdu(reply);
}

static int called_back(int operation, netsnmp_session *session, int request, netsnmp_pdu *pdu, void *context) {
  (void)request;
  struct snmp_listener *listener = context;
  /* the library also calls back about messages that it found not authentic */
  if (operation != NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE || session->s_snmp_errno != SNMPERR_SUCCESS || !pdu ||
      (pdu->command != SNMP_MSG_TRAP2 && pdu->command != SNMP_MSG_INFORM) || !is_trusted(listener, pdu))
    return 1;
  struct snmp_notice notice = {.from = listener->from, .is_inform = pdu->command == SNMP_MSG_INFORM};
  find_event(pdu, &notice.event);
  if (notice.is_inform)
    answer_inform(listener, pdu);
  listener->was_taken = true;
  listener->audience.heard(listener->audience.context, &notice);
  return 1;
}

/* A socket for both families shows IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
static void unmap(struct addr *addr) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  struct addr plain = {.family = 4};
  if (addr->family != 6 || memcmp(addr->bytes, mapped, sizeof mapped) != 0)
    return;
  memcpy(plain.bytes, addr->bytes + sizeof mapped, 4);
  *addr = plain;
}

/* Looks at the next datagram without taking it; false: there is none. */
static bool peek(struct snmp_listener *listener, size_t *size) {
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  ssize_t got = recvfrom(listener->fd, listener->datagram, DATAGRAM_MOST, MSG_PEEK | MSG_DONTWAIT,
                         (struct sockaddr *)&from, &length);
  if (got < 0)
    return false;
  *size = (size_t)got;
  listener->from = (struct addr){0};
  addr_from_sockaddr((struct sockaddr *)&from, &listener->from);
  listener->from.port = 0;
  unmap(&listener->from);
  return true;
}

static void take_datagram(struct snmp_listener *listener, size_t size) {
  listener->was_taken = false;
  if (!listener->audience.knows(listener->audience.context, &listener->from)) {
    ssize_t dropped = recv(listener->fd, listener->datagram, 1, MSG_DONTWAIT);
    (void)dropped;
    listener->counts.dropped++;
    return;
  }
  meet_engine(listener, listener->datagram, size);
  snmp_library_read(listener->session, listener->fd);
  if (listener->was_taken)
    listener->counts.heard++;
  else
    listener->counts.dropped++;
}

static void readable(void *context, int events) {
  (void)events;
  struct snmp_listener *listener = context;
  size_t size;
  for (unsigned i = 0; i < TURN_MOST && peek(listener, &size); i++)
    take_datagram(listener, size);
}

static netsnmp_transport *open_transport(const struct addr *listen, int fd) {
  struct addr nowhere = {.family = listen->family};
  /* the library opens sockets of its own; ours takes the place of one */
  if (listen->family == 4)
    memcpy(nowhere.bytes, (const uint8_t[]){127, 0, 0, 1}, 4);
  else
    nowhere.bytes[15] = 1;
  netsnmp_transport *transport = snmp_library_transport(&nowhere, true);
  if (transport && dup2(fd, transport->sock) >= 0) {
    int on = 1;
    if (listen->family == 4)
      setsockopt(transport->sock, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    else
      setsockopt(transport->sock, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  }
  close(fd);
  return transport;
}

static void keep_identities(struct snmp_listener *listener, const struct snmp_identity *identities, size_t count) {
  struct arena *arena = &listener->arena;
  listener->identities = arena_array(arena, count + 1, sizeof *listener->identities);
  listener->count = count;
  for (size_t i = 0; i < count; i++) {
    const struct snmp_identity *from = &identities[i];
    struct snmp_identity *to = &listener->identities[i];
    *to = *from;
    to->community = arena_strdup(arena, from->community ? from->community : "");
    to->user = arena_strdup(arena, from->user ? from->user : "");
    to->auth_secret = arena_strdup(arena, from->auth_secret ? from->auth_secret : "");
    to->privacy_secret = arena_strdup(arena, from->privacy_secret ? from->privacy_secret : "");
    to->is_private = from->is_private && from->digest != SNMP_DIGEST_NONE;
  }
}

static bool open_session(struct snmp_listener *listener, const struct addr *listen, int fd) {
  netsnmp_session session;
  snmp_sess_init(&session);
  session.peername = SNMP_DEFAULT_PEERNAME;
  session.version = SNMP_DEFAULT_VERSION;
  session.community_len = SNMP_DEFAULT_COMMUNITY_LEN;
  session.callback = called_back;
  session.callback_magic = listener;
  session.isAuthoritative = SNMP_SESS_UNKNOWNAUTH;
  errno = 0;
  netsnmp_transport *transport = open_transport(listen, fd);
  if (!transport)
    return false;
  listener->fd = transport->sock;
  listener->session = snmp_sess_add(&session, transport, NULL, NULL);
  return listener->session != NULL;
}

struct snmp_listener *snmp_listener_new(struct snmp_client *client, const struct addr *listen, int fd,
                                        const struct snmp_identity *identities, size_t count,
                                        const struct snmp_audience *audience, struct errbuf *err) {
  struct snmp_listener *listener = mem_alloc(sizeof *listener);
  struct snmp_engine own;
  listener->client = client;
  listener->audience = *audience;
  listener->datagram = mem_array(DATAGRAM_MOST, 1);
  keep_identities(listener, identities, count);
  if (open_session(listener, listen, fd))
    listener->poll = loop_poll_new(snmp_client_loop(client), listener->fd, readable, listener);
  if (!listener->poll) {
    char text[ADDR_TEXT_SIZE];
    errbuf_set(err, STATUS_IO, "traps at %s: %s", addr_format_port(listen, text), strerror(errno ? errno : EIO));
    snmp_listener_free(listener);
    return NULL;
  }
  own.size = snmpv3_get_engineID(own.bytes, sizeof own.bytes);
  if (own.size > 0 && own.size <= sizeof own.bytes)
    add_users(listener, &own);
  loop_poll_watch(listener->poll, LOOP_READABLE);
  return listener;
}

void snmp_listener_free(struct snmp_listener *listener) {
  if (!listener)
    return;
  loop_poll_free(listener->poll);
  if (listener->session)
    snmp_sess_close(listener->session);
  tdestroy(listener->senders, free);
  arena_release(&listener->arena);
  free(listener->datagram);
  free(listener);
}

struct snmp_counts snmp_listener_counts(const struct snmp_listener *listener) {
  return listener->counts;
}
