#include "gslb/net/snmp_library.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <net-snmp/library/large_fd_set.h>
#include <net-snmp/library/snmpIPBaseDomain.h>
#include <net-snmp/library/snmpUDPDomain.h>
#include <net-snmp/library/snmpUDPIPv6Domain.h>

#include "gslb/base/log.h"

struct protocol {
  const oid *name;
  size_t size;
};

static struct protocol auth_protocol(enum snmp_digest digest) {
  switch (digest) {
  case SNMP_DIGEST_NONE:
    break;
  case SNMP_DIGEST_SHA1:
    return (struct protocol){usmHMACSHA1AuthProtocol, OID_LENGTH(usmHMACSHA1AuthProtocol)};
  case SNMP_DIGEST_SHA256:
    return (struct protocol){usmHMAC192SHA256AuthProtocol, OID_LENGTH(usmHMAC192SHA256AuthProtocol)};
  case SNMP_DIGEST_SHA512:
    return (struct protocol){usmHMAC384SHA512AuthProtocol, OID_LENGTH(usmHMAC384SHA512AuthProtocol)};
  }
  return (struct protocol){usmNoAuthProtocol, OID_LENGTH(usmNoAuthProtocol)};
}

static struct protocol privacy_protocol(bool is_private) {
  if (is_private)
    return (struct protocol){usmAESPrivProtocol, OID_LENGTH(usmAESPrivProtocol)};
  return (struct protocol){usmNoPrivProtocol, OID_LENGTH(usmNoPrivProtocol)};
}

static int take_log(int major, int minor, void *argument, void *client) {
  (void)major;
  (void)minor;
  (void)client;
  const struct snmp_log_message *message = argument;
  log_debug("net-snmp: %.*s", (int)strcspn(message->msg, "\n"), message->msg);
  return SNMP_ERR_NOERROR;
}

void snmp_library_start(void) {
  static bool is_started; /* as the library's own state is the process's */
  static const char *const searched[] = {"MIBS", "MIBDIRS", "MIBFILES", "SNMPCONFPATH", "SNMP_PERSISTENT_DIR"};
  char *kept[sizeof searched / sizeof *searched];
  if (is_started)
    return;
  is_started = true;
  netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
  netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
  netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, 1);
  netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE, 1);
  snmp_disable_log();
  snmp_enable_calllog();
  snmp_register_callback(SNMP_CALLBACK_LIBRARY, SNMP_CALLBACK_LOGGING, take_log, NULL);
  for (size_t i = 0; i < sizeof searched / sizeof *searched; i++) {
    const char *value = getenv(searched[i]);
    kept[i] = value ? mem_strdup(value) : NULL;
    setenv(searched[i], i < 3 ? "" : "/dev/null/none", 1);
  }
  init_snmp("gslb");
  for (size_t i = 0; i < sizeof searched / sizeof *searched; i++) {
    if (kept[i])
      setenv(searched[i], kept[i], 1);
    else
      unsetenv(searched[i]);
    free(kept[i]);
  }
}

int snmp_library_level(const struct snmp_identity *identity) {
  if (identity->digest == SNMP_DIGEST_NONE)
    return SNMP_SEC_LEVEL_NOAUTH;
  return identity->is_private ? SNMP_SEC_LEVEL_AUTHPRIV : SNMP_SEC_LEVEL_AUTHNOPRIV;
}

void snmp_keyring_release(struct snmp_keyring *keyring) {
  for (size_t i = 0; i < SNMP_MASTERS_MOST; i++)
    free(keyring->masters[i].secret);
  explicit_bzero(keyring, sizeof *keyring);
}

static const struct snmp_master *master_of(struct snmp_keyring *keyring, enum snmp_digest digest, const char *secret) {
  for (size_t i = 0; i < SNMP_MASTERS_MOST; i++) {
    const struct snmp_master *master = &keyring->masters[i];
    if (master->secret && master->digest == digest && strcmp(master->secret, secret) == 0)
      return master;
  }
  struct protocol protocol = auth_protocol(digest);
  struct snmp_master *master = &keyring->masters[keyring->next];
  u_char key[USM_LENGTH_KU_HASHBLOCK];
  size_t size = sizeof key;
  if (generate_Ku(protocol.name, (u_int)protocol.size, (const u_char *)secret, strlen(secret), key, &size) !=
      SNMPERR_SUCCESS)
    return NULL;
  free(master->secret);
  *master = (struct snmp_master){.digest = digest, .secret = mem_strdup(secret), .size = size};
  memcpy(master->key, key, size);
  keyring->next = (keyring->next + 1) % SNMP_MASTERS_MOST;
  return master;
}

struct local_key {
  u_char bytes[USM_LENGTH_KU_HASHBLOCK];
  size_t size;
};

static bool localise(struct snmp_keyring *keyring, enum snmp_digest digest, const char *secret,
                     const struct snmp_engine *engine, struct local_key *out) {
  const struct snmp_master *master = secret ? master_of(keyring, digest, secret) : NULL;
  struct protocol protocol = auth_protocol(digest);
  out->size = sizeof out->bytes;
  return master && generate_kul(protocol.name, (u_int)protocol.size, engine->bytes, engine->size, master->key,
                                master->size, out->bytes, &out->size) == SNMPERR_SUCCESS;
}

static bool has_key(const u_char *bytes, size_t size, const struct local_key *key) {
  return size == key->size && (size == 0 || memcmp(bytes, key->bytes, size) == 0);
}

static bool has_protocol(const oid *name, size_t size, struct protocol protocol) {
  return snmp_oid_compare(name, size, protocol.name, protocol.size) == 0;
}

static bool set_protocol(oid **name, size_t *size, struct protocol protocol) {
  free(*name);
  *name = snmp_duplicate_objid(protocol.name, protocol.size);
  *size = protocol.size;
  return *name != NULL;
}

static bool set_bytes(u_char **bytes, size_t *size, const u_char *from, size_t from_size) {
  free(*bytes);
  *bytes = from_size ? mem_array(from_size, 1) : NULL;
  if (from_size)
    memcpy(*bytes, from, from_size);
  *size = from_size;
  return true;
}

static bool new_user(const char *name, const struct snmp_engine *engine, struct protocol auth,
                     const struct local_key *auth_key, struct protocol privacy, const struct local_key *privacy_key) {
  struct usmUser *user = usm_create_user();
  if (!user)
    return false;
  user->name = mem_strdup(name);
  user->secName = mem_strdup(name);
  user->userStatus = SNMP_ROW_ACTIVE;
  user->userStorageType = ST_READONLY;
  bool is_whole = set_protocol(&user->authProtocol, &user->authProtocolLen, auth) &&
                  set_protocol(&user->privProtocol, &user->privProtocolLen, privacy) &&
                  set_bytes(&user->engineID, &user->engineIDLen, engine->bytes, engine->size) &&
                  set_bytes(&user->authKey, &user->authKeyLen, auth_key->bytes, auth_key->size) &&
                  set_bytes(&user->privKey, &user->privKeyLen, privacy_key->bytes, privacy_key->size);
  if (is_whole && usm_add_user(user))
    return true;
  usm_free_user(user);
  return false;
}

bool snmp_library_add_user(struct snmp_keyring *keyring, const struct snmp_identity *identity,
                           const struct snmp_engine *engine) {
  struct protocol auth = auth_protocol(identity->digest), privacy = privacy_protocol(identity->is_private);
  struct local_key auth_key = {.size = 0}, privacy_key = {.size = 0};
  if (identity->digest != SNMP_DIGEST_NONE &&
      !localise(keyring, identity->digest, identity->auth_secret, engine, &auth_key))
    return false;
  if (identity->is_private && !localise(keyring, identity->digest, identity->privacy_secret, engine, &privacy_key))
    return false;
  struct usmUser *user = usm_get_user(engine->bytes, engine->size, identity->user);
  if (user && has_protocol(user->authProtocol, user->authProtocolLen, auth) &&
      has_protocol(user->privProtocol, user->privProtocolLen, privacy) &&
      has_key(user->authKey, user->authKeyLen, &auth_key) && has_key(user->privKey, user->privKeyLen, &privacy_key))
    return true;
  if (user && usm_remove_user(user))
    usm_free_user(user);
  return new_user(identity->user, engine, auth, &auth_key, privacy, &privacy_key);
}

void snmp_library_add_nobody(void) {
  static const struct snmp_engine nowhere;
  static const struct local_key none;
  if (!usm_get_user(NULL, 0, ""))
    new_user("", &nowhere, auth_protocol(SNMP_DIGEST_NONE), &none, privacy_protocol(false), &none);
}

netsnmp_transport *snmp_library_transport(const struct addr *addr, bool is_local) {
  struct sockaddr_storage sockaddr;
  struct netsnmp_ep endpoint = {0};
  socklen_t length = addr_to_sockaddr(addr, &sockaddr);
  memcpy(&endpoint.a, &sockaddr, length);
  netsnmp_transport *transport =
      addr->family == 6 ? netsnmp_udp6_transport(&endpoint, is_local) : netsnmp_udp_transport(&endpoint, is_local);
  if (!transport || is_local || connect(transport->sock, (struct sockaddr *)&sockaddr, length) == 0)
    return transport;
  int error = errno;
  transport->f_close(transport);
  netsnmp_transport_free(transport);
  errno = error;
  return NULL;
}

bool snmp_library_read(void *session, int fd) {
  netsnmp_large_fd_set ready;
  netsnmp_large_fd_set_init(&ready, fd + 1);
  NETSNMP_LARGE_FD_ZERO(&ready);
  NETSNMP_LARGE_FD_SET(fd, &ready);
  int result = snmp_sess_read2(session, &ready);
  netsnmp_large_fd_set_cleanup(&ready);
  const netsnmp_session *state = snmp_sess_session(session);
  if (result == 0 || state->s_snmp_errno != SNMPERR_BAD_RECVFROM)
    return true; /* what it could not understand it has dropped */
  errno = state->s_errno;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

void snmp_library_name(const oid *parts, size_t count, struct object_id *out) {
  out->count = (uint32_t)(count < OBJECT_ID_PARTS ? count : OBJECT_ID_PARTS);
  for (uint32_t i = 0; i < out->count; i++)
    out->parts[i] = (uint32_t)parts[i];
}

static void set_text(struct snmp_value *out, struct arena *arena, const char *text, size_t size) {
  out->text = arena_strndup(arena, text, size);
  out->text_size = size;
}

static void set_number(struct snmp_value *out, struct arena *arena, enum snmp_kind kind, double number) {
  char text[64];
  int size = snprintf(text, sizeof text, "%.15g", number);
  out->kind = kind;
  out->is_number = isfinite(number);
  out->number = number;
  set_text(out, arena, text, (size_t)size);
}

static void set_integer(struct snmp_value *out, struct arena *arena, enum snmp_kind kind, uint64_t value,
                        bool is_negative) {
  char text[32];
  int size = snprintf(text, sizeof text, "%s%llu", is_negative ? "-" : "", (unsigned long long)value);
  out->kind = kind;
  out->is_number = true;
  out->number = is_negative ? -(double)value : (double)value;
  set_text(out, arena, text, (size_t)size);
}

static void set_signed(struct snmp_value *out, struct arena *arena, long value) {
  set_integer(out, arena, SNMP_KIND_INTEGER, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

static void set_string(struct snmp_value *out, struct arena *arena, const u_char *bytes, size_t size) {
  char *end;
  out->kind = SNMP_KIND_TEXT;
  set_text(out, arena, size ? (const char *)bytes : "", size);
  double number = strtod(out->text, &end);
  out->is_number = size > 0 && end == out->text + size && isfinite(number);
  out->number = out->is_number ? number : 0;
}

static void set_address(struct snmp_value *out, struct arena *arena, const u_char *bytes, size_t size) {
  char text[ADDR_TEXT_SIZE];
  struct addr addr = {.family = 4};
  if (size != 4) {
    set_string(out, arena, bytes, size);
    return;
  }
  memcpy(addr.bytes, bytes, 4);
  out->kind = SNMP_KIND_ADDRESS;
  addr_format(&addr, text);
  set_text(out, arena, text, strlen(text));
}

static void set_object_id(struct snmp_value *out, struct arena *arena, const netsnmp_variable_list *variable) {
  char text[OBJECT_ID_TEXT_SIZE];
  struct object_id id;
  snmp_library_name(variable->val.objid, variable->val_len / sizeof(oid), &id);
  object_id_format(&id, text);
  out->kind = SNMP_KIND_OBJECT_ID;
  set_text(out, arena, text, strlen(text));
}

static uint64_t whole_64(const netsnmp_variable_list *variable) {
  return (uint64_t)(uint32_t)variable->val.counter64->high << 32 | (uint32_t)variable->val.counter64->low;
}

void snmp_library_value(const netsnmp_variable_list *variable, struct arena *arena, struct snmp_value *out) {
  *out = (struct snmp_value){.kind = SNMP_KIND_ABSENT, .text = ""};
  snmp_library_name(variable->name, variable->name_length, &out->name);
  if (variable->type == ASN_OCTET_STR || variable->type == ASN_OPAQUE) {
    set_string(out, arena, variable->val.string, variable->val_len);
    return;
  }
  if (!variable->val.string)
    return;
  switch (variable->type) {
  case ASN_INTEGER:
    set_signed(out, arena, *variable->val.integer);
    break;
  case ASN_COUNTER:
    set_integer(out, arena, SNMP_KIND_COUNTER, (uint32_t)*variable->val.integer, false);
    break;
  case ASN_GAUGE:
  case ASN_UINTEGER:
    set_integer(out, arena, SNMP_KIND_GAUGE, (uint32_t)*variable->val.integer, false);
    break;
  case ASN_TIMETICKS:
    set_integer(out, arena, SNMP_KIND_TICKS, (uint32_t)*variable->val.integer, false);
    break;
  case ASN_COUNTER64:
  case ASN_OPAQUE_COUNTER64:
  case ASN_OPAQUE_U64:
    set_integer(out, arena, SNMP_KIND_COUNTER, whole_64(variable), false);
    break;
  case ASN_OPAQUE_FLOAT:
    set_number(out, arena, SNMP_KIND_FLOAT, (double)*variable->val.floatVal);
    break;
  case ASN_OPAQUE_DOUBLE:
    set_number(out, arena, SNMP_KIND_FLOAT, *variable->val.doubleVal);
    break;
  case ASN_IPADDRESS:
    set_address(out, arena, variable->val.string, variable->val_len);
    break;
  case ASN_OBJECT_ID:
    set_object_id(out, arena, variable);
    break;
  default: /* noSuchObject, noSuchInstance, endOfMibView, null, and what nobody sends */
    break;
  }
}

const char *snmp_kind_name(enum snmp_kind kind) {
  static const char *const names[] = {
      [SNMP_KIND_ABSENT] = "absent", [SNMP_KIND_INTEGER] = "integer", [SNMP_KIND_COUNTER] = "counter",
      [SNMP_KIND_GAUGE] = "gauge",   [SNMP_KIND_TICKS] = "ticks",     [SNMP_KIND_FLOAT] = "float",
      [SNMP_KIND_TEXT] = "text",     [SNMP_KIND_OBJECT_ID] = "oid",   [SNMP_KIND_ADDRESS] = "address",
  };
  return names[kind];
}
