#include "gslb/net/snmp.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "gslb/base/clock.h"
#include "gslb/net/snmp_batch.h"
#include "gslb/net/snmp_client.h"
#include "gslb/net/snmp_library.h"

struct snmp_query {
  struct exchange *exchange;
  struct loop_timer *timer;
  size_t *objects, *roots; /* indices of the batch's readings */
  size_t object_count, root_count;
  int64_t started_us;
  snmp_done *done;
  void *context;
  TAILQ_ENTRY(snmp_query) entry;
};

enum exchange_stage {
  EXCHANGE_GATHERING,   /* nothing was sent yet */
  EXCHANGE_DISCOVERING, /* v3: the device is asked for its engine's id */
  EXCHANGE_READING,
  EXCHANGE_OVER,
};

struct exchange { /* with one device as one identity */
  struct snmp_client *client;
  enum exchange_stage stage;
  struct addr device;
  struct snmp_identity access; /* its texts are the arena's */
  struct arena arena;
  struct snmp_batch batch;
  bool was_rediscovered;
  int64_t retry_ms; /* the shortest of its queries */
  void *session;    /* net-snmp's; NULL: none, or it is being closed, which calls back too */
  int fd;
  struct loop_poll *poll;
  struct loop_timer *timer;
  bool has_news; /* a callback brought something that is to be acted on */
  enum net_outcome outcome;
  char detail[96];
  TAILQ_HEAD(query_list, snmp_query) queries;
  TAILQ_ENTRY(exchange) entry;
};

struct device_engine {
  struct addr device;
  struct snmp_engine engine;
};

struct snmp_client {
  struct loop *loop;
  struct snmp_keyring keyring;
  void *engines; /* tsearch: struct device_engine by device */
  TAILQ_HEAD(exchange_list, exchange) exchanges;
};

static void send_next(struct exchange *exchange);

/* Engines that were found */

static int compare_devices(const void *a, const void *b) {
  const struct device_engine *left = a, *right = b;
  return memcmp(&left->device, &right->device, sizeof left->device);
}

static struct snmp_engine *engine_of(struct snmp_client *client, const struct addr *device, bool is_wanted) {
  struct device_engine key = {.device = *device};
  struct device_engine **found = tfind(&key, &client->engines, compare_devices);
  if (!found && is_wanted) {
    struct device_engine *engine = mem_alloc(sizeof *engine);
    engine->device = *device;
    found = tsearch(engine, &client->engines, compare_devices);
    if (!found)
      abort();
  }
  return found ? &(*found)->engine : NULL;
}

struct snmp_keyring *snmp_client_keyring(struct snmp_client *client) {
  return &client->keyring;
}

struct loop *snmp_client_loop(struct snmp_client *client) {
  return client->loop;
}

/* Exchanges */

static void close_session(struct exchange *exchange) {
  void *session = exchange->session;
  loop_poll_free(exchange->poll);
  exchange->poll = NULL;
  exchange->session = NULL;
  if (session)
    snmp_sess_close(session);
}

static void exchange_free(struct exchange *exchange) {
  TAILQ_REMOVE(&exchange->client->exchanges, exchange, entry);
  close_session(exchange);
  loop_timer_free(exchange->timer);
  snmp_batch_release(&exchange->batch);
  arena_release(&exchange->arena);
  free(exchange);
}

static void query_detach(struct snmp_query *query) {
  TAILQ_REMOVE(&query->exchange->queries, query, entry);
  loop_timer_free(query->timer);
  query->timer = NULL;
}

static void query_free(struct snmp_query *query) {
  free(query->objects);
  free(query->roots);
  free(query);
}

static void tell_failure(struct snmp_query *query, enum net_outcome outcome, const char *detail) {
  struct snmp_answer answer = {.outcome = outcome, .duration_us = (uint32_t)(mono_now_us() - query->started_us)};
  snprintf(answer.detail, sizeof answer.detail, "%s", detail);
  query->done(query->context, &answer);
}

static void tell_values(struct snmp_query *query, const struct snmp_reading *readings) {
  const struct snmp_value **objects = mem_array(query->object_count + 1, sizeof *objects);
  struct snmp_rows *rows = mem_array(query->root_count + 1, sizeof *rows);
  for (size_t i = 0; i < query->object_count; i++)
    objects[i] = readings[query->objects[i]].values;
  for (size_t i = 0; i < query->root_count; i++) {
    const struct snmp_reading *reading = &readings[query->roots[i]];
    rows[i] = (struct snmp_rows){reading->values, reading->count, reading->is_cut};
  }
  struct snmp_answer answer = {
      .outcome = NET_ANSWERED,
      .duration_us = (uint32_t)(mono_now_us() - query->started_us),
      .objects = objects,
      .rows = rows,
  };
  query->done(query->context, &answer);
  free(objects);
  free(rows);
}

static void finish(struct exchange *exchange, enum net_outcome outcome, const char *detail) {
  struct snmp_query *query;
  exchange->stage = EXCHANGE_OVER; /* nobody joins it any more */
  close_session(exchange);
  loop_timer_stop(exchange->timer);
  while ((query = TAILQ_FIRST(&exchange->queries))) {
    query_detach(query);
    if (outcome == NET_ANSWERED)
      tell_values(query, exchange->batch.readings);
    else
      tell_failure(query, outcome, detail);
    query_free(query);
  }
  exchange_free(exchange);
}

static void end_with(struct exchange *exchange, enum net_outcome outcome, const char *detail) {
  exchange->outcome = outcome;
  exchange->has_news = true;
  snprintf(exchange->detail, sizeof exchange->detail, "%s", detail);
}

/* Acts on what the library called back with; it must not be touched from within its callbacks. */
static void proceed(struct exchange *exchange) {
  if (!exchange->has_news) {
    /* the library sent it again, or something that is none of ours came */
    loop_timer_after(exchange->timer, exchange->retry_ms + 1);
    return;
  }
  exchange->has_news = false;
  if (exchange->outcome != NET_ANSWERED)
    finish(exchange, exchange->outcome, exchange->detail);
  else
    send_next(exchange);
}

/* Has the device asked for its engine's id again, once. */
static void forget_engine(struct exchange *exchange) {
  exchange->was_rediscovered = true;
  engine_of(exchange->client, &exchange->device, true)->size = 0;
}

static void readable(void *context, int events) {
  (void)events;
  struct exchange *exchange = context;
  if (!snmp_library_read(exchange->session, exchange->fd)) {
    enum net_outcome outcome = net_outcome_of_errno(errno);
    end_with(exchange, outcome, outcome == NET_REFUSED ? "" : strerror(errno));
  } else if (!exchange->has_news && exchange->access.is_v3 && exchange->stage == EXCHANGE_READING &&
             !exchange->was_rediscovered && snmp_sess_session(exchange->session)->s_snmp_errno == SNMPERR_BAD_PARSE) {
    /* what the library cannot read may be the report of another engine, at which it does not know the user */
    forget_engine(exchange);
    exchange->has_news = true;
  }
  if (exchange->has_news)
    proceed(exchange);
}

static void timer_fired(void *context) {
  struct exchange *exchange = context;
  if (exchange->stage == EXCHANGE_GATHERING) {
    send_next(exchange);
    return;
  }
  snmp_sess_timeout(exchange->session);
  proceed(exchange);
}

/* Answers */

static void take_response(struct exchange *exchange, const netsnmp_pdu *pdu) {
  const char *trouble = snmp_batch_take(&exchange->batch, pdu);
  exchange->has_news = true;
  if (trouble)
    end_with(exchange, NET_PROTOCOL, trouble);
}

static const char *report_text(int type) {
  switch (type) {
  case SNMPERR_UNKNOWN_USER_NAME:
    return "the device does not know the user";
  case SNMPERR_AUTHENTICATION_FAILURE:
    return "the device refuses the authentication secret";
  case SNMPERR_DECRYPTION_ERR:
    return "the device cannot decrypt: another privacy secret";
  case SNMPERR_UNSUPPORTED_SEC_LEVEL:
    return "the device refuses this level of security for the user";
  case SNMPERR_NOT_IN_TIME_WINDOW:
    return "the device's engine time does not agree";
  default:
    return "the device reports an error";
  }
}

static void take_report(struct exchange *exchange, netsnmp_pdu *pdu) {
  int type = snmpv3_get_report_type(pdu);
  struct snmp_engine *engine = engine_of(exchange->client, &exchange->device, true);
  bool is_lost = exchange->stage == EXCHANGE_READING && type == SNMPERR_UNKNOWN_ENG_ID && !exchange->was_rediscovered;
  if (exchange->stage == EXCHANGE_DISCOVERING && pdu->securityEngineIDLen > 0 &&
      pdu->securityEngineIDLen <= SNMP_ENGINE_MOST) {
    memcpy(engine->bytes, pdu->securityEngineID, pdu->securityEngineIDLen);
    engine->size = pdu->securityEngineIDLen;
    exchange->has_news = true;
  } else if (is_lost) {
    forget_engine(exchange);
    exchange->has_news = true;
  } else if (type != SNMPERR_NOT_IN_TIME_WINDOW) {
    /* that one the library mends by itself: it takes the time over and sends the request again */
    end_with(exchange, NET_PROTOCOL, report_text(type));
  }
}

static int called_back(int operation, netsnmp_session *session, int request, netsnmp_pdu *pdu, void *context) {
  (void)session;
  (void)request;
  struct exchange *exchange = context;
  if (exchange->has_news || !exchange->session)
    return 1;
  if (operation == NETSNMP_CALLBACK_OP_TIMED_OUT)
    end_with(exchange, NET_TIMEOUT_ANSWER, "");
  else if (operation == NETSNMP_CALLBACK_OP_SEND_FAILED)
    end_with(exchange, NET_UNREACHABLE, "");
  else if (operation == NETSNMP_CALLBACK_OP_SEC_ERROR && pdu && pdu->command != SNMP_MSG_REPORT)
    end_with(exchange, NET_PROTOCOL, "an answer that is not authentic");
  else if (operation == NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE && pdu->command == SNMP_MSG_REPORT)
    take_report(exchange, pdu);
  else if (operation == NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE && pdu->command == SNMP_MSG_RESPONSE &&
           exchange->stage == EXCHANGE_READING)
    take_response(exchange, pdu);
  return 1;
}

/* Requests */

static void describe_v3(const struct exchange *exchange, netsnmp_session *session, const struct snmp_engine *engine) {
  const struct snmp_identity *access = &exchange->access;
  session->version = SNMP_VERSION_3;
  session->securityModel = SNMP_SEC_MODEL_USM;
  session->securityName = (char *)access->user;
  session->securityNameLen = strlen(access->user);
  session->securityLevel = snmp_library_level(access);
  session->contextName = (char *)(access->context ? access->context : "");
  session->contextNameLen = strlen(session->contextName);
  /* users are made by snmp_library_add_user, and discovery is ours: the library's would wait for the answer */
  session->flags |= SNMP_FLAGS_DONT_PROBE | SNMP_FLAGS_USER_CREATED;
  if (engine && engine->size) {
    session->securityEngineID = (u_char *)engine->bytes;
    session->securityEngineIDLen = engine->size;
  }
}

static bool open_session(struct exchange *exchange, const struct snmp_engine *engine) {
  netsnmp_session session;
  close_session(exchange);
  snmp_sess_init(&session);
  session.retries = 2;
  session.timeout = (long)(exchange->retry_ms * 1000);
  session.callback = called_back;
  session.callback_magic = exchange;
  if (exchange->access.is_v3) {
    describe_v3(exchange, &session, engine);
  } else {
    session.version = SNMP_VERSION_2c;
    session.community = (u_char *)exchange->access.community;
    session.community_len = strlen(exchange->access.community);
  }
  errno = 0;
  netsnmp_transport *transport = snmp_library_transport(&exchange->device, false);
  if (!transport)
    return false;
  exchange->fd = transport->sock;
  exchange->session = snmp_sess_add(&session, transport, NULL, NULL);
  if (!exchange->session)
    return false;
  snmp_sess_session(exchange->session)->flags |= SNMP_FLAGS_DONT_PROBE;
  exchange->poll = loop_poll_new(exchange->client->loop, exchange->fd, readable, exchange);
  if (!exchange->poll)
    return false;
  loop_poll_watch(exchange->poll, LOOP_READABLE);
  return true;
}

static netsnmp_pdu *discovery_message(void) {
  netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);
  snmp_library_add_nobody();
  pdu->version = SNMP_VERSION_3;
  pdu->securityName = mem_strdup("");
  pdu->securityNameLen = 0;
  pdu->securityLevel = SNMP_SEC_LEVEL_NOAUTH;
  pdu->securityModel = SNMP_SEC_MODEL_USM;
  return pdu;
}

static bool prepare(struct exchange *exchange, const struct snmp_engine *engine) {
  bool is_known = !exchange->access.is_v3 || (engine && engine->size);
  if (exchange->stage == EXCHANGE_READING && is_known)
    return true; /* the session goes on */
  if (exchange->access.is_v3 && is_known &&
      !snmp_library_add_user(&exchange->client->keyring, &exchange->access, engine)) {
    finish(exchange, NET_LOCAL, "no keys can be made of the secrets");
    return false;
  }
  if (open_session(exchange, engine))
    return true;
  enum net_outcome outcome = errno ? net_outcome_of_errno(errno) : NET_LOCAL;
  finish(exchange, outcome, errno ? strerror(errno) : "no session");
  return false;
}

static void send_next(struct exchange *exchange) {
  const struct snmp_engine *engine = engine_of(exchange->client, &exchange->device, false);
  bool is_unknown = exchange->access.is_v3 && !(engine && engine->size);
  if (!prepare(exchange, engine))
    return;
  netsnmp_pdu *pdu = is_unknown ? discovery_message() : snmp_batch_message(&exchange->batch);
  exchange->stage = is_unknown ? EXCHANGE_DISCOVERING : EXCHANGE_READING;
  if (!pdu) {
    finish(exchange, NET_ANSWERED, "");
    return;
  }
  if (snmp_sess_async_send(exchange->session, pdu, called_back, exchange) == 0) {
    const netsnmp_session *session = snmp_sess_session(exchange->session);
    int error = session->s_snmp_errno == SNMPERR_BAD_SENDTO ? session->s_errno : 0;
    char detail[96];
    snprintf(detail, sizeof detail, "%s", error ? strerror(error) : snmp_api_errstring(session->s_snmp_errno));
    snmp_free_pdu(pdu);
    finish(exchange, error ? net_outcome_of_errno(error) : NET_LOCAL, error == ECONNREFUSED ? "" : detail);
    return;
  }
  loop_timer_after(exchange->timer, exchange->retry_ms + 1);
}

/* Queries */

static bool same_text(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_access(const struct snmp_identity *a, const struct snmp_identity *b) {
  if (a->is_v3 != b->is_v3)
    return false;
  if (!a->is_v3)
    return same_text(a->community, b->community);
  return same_text(a->user, b->user) && a->digest == b->digest && same_text(a->auth_secret, b->auth_secret) &&
         a->is_private == b->is_private && same_text(a->privacy_secret, b->privacy_secret) &&
         same_text(a->context, b->context);
}

static const char *keep_text(struct arena *arena, const char *text) {
  return text ? arena_strdup(arena, text) : NULL;
}

static int64_t retry_of(const struct snmp_request *request) {
  return request->retry_ms ? request->retry_ms : request->timeout_ms / 3;
}

static struct exchange *exchange_new(struct snmp_client *client, const struct snmp_request *request) {
  const struct snmp_identity *access = request->access;
  struct exchange *exchange = mem_alloc(sizeof *exchange);
  exchange->client = client;
  exchange->device = request->device;
  exchange->retry_ms = retry_of(request);
  exchange->access = (struct snmp_identity){
      .is_v3 = access->is_v3,
      .community = keep_text(&exchange->arena, access->community),
      .user = keep_text(&exchange->arena, access->user),
      .digest = access->digest,
      .auth_secret = keep_text(&exchange->arena, access->auth_secret),
      .is_private = access->is_private && access->digest != SNMP_DIGEST_NONE,
      .privacy_secret = keep_text(&exchange->arena, access->privacy_secret),
      .context = keep_text(&exchange->arena, access->context),
  };
  TAILQ_INIT(&exchange->queries);
  TAILQ_INSERT_TAIL(&client->exchanges, exchange, entry);
  exchange->timer = loop_timer_new(client->loop, timer_fired, exchange);
  loop_timer_after(exchange->timer, 0);
  return exchange;
}

static size_t index_of(struct exchange *exchange, const struct object_id *name, bool is_branch, size_t most) {
  return exchange->stage == EXCHANGE_GATHERING ? snmp_batch_add(&exchange->batch, name, is_branch, most)
                                               : snmp_batch_find(&exchange->batch, name, is_branch, most);
}

/* Finds or adds what the query wants; false: the exchange is on its way without some of it. */
static bool join(struct exchange *exchange, const struct snmp_request *request, struct snmp_query *query) {
  size_t most = request->rows_most ? request->rows_most : SNMP_ROWS_MOST;
  for (size_t i = 0; i < request->object_count; i++)
    if ((query->objects[i] = index_of(exchange, &request->objects[i], false, 1)) == SIZE_MAX)
      return false;
  for (size_t i = 0; i < request->root_count; i++)
    if ((query->roots[i] = index_of(exchange, &request->roots[i], true, most)) == SIZE_MAX)
      return false;
  if (retry_of(request) < exchange->retry_ms)
    exchange->retry_ms = retry_of(request);
  query->exchange = exchange;
  TAILQ_INSERT_TAIL(&exchange->queries, query, entry);
  return true;
}

static void query_late(void *context) {
  struct snmp_query *query = context;
  struct exchange *exchange = query->exchange;
  query_detach(query);
  if (exchange->access.is_v3)
    engine_of(exchange->client, &exchange->device, true)->size = 0; /* the next one asks for it again */
  if (TAILQ_EMPTY(&exchange->queries))
    exchange_free(exchange);
  tell_failure(query, NET_TIMEOUT_ANSWER, "");
  query_free(query);
}

struct snmp_query *snmp_ask(struct snmp_client *client, const struct snmp_request *request, snmp_done *done,
                            void *context) {
  struct snmp_query *query = mem_alloc(sizeof *query);
  query->object_count = request->object_count;
  query->root_count = request->root_count;
  query->objects = mem_array(request->object_count + 1, sizeof *query->objects);
  query->roots = mem_array(request->root_count + 1, sizeof *query->roots);
  query->started_us = mono_now_us();
  query->done = done;
  query->context = context;
  query->timer = loop_timer_new(client->loop, query_late, query);
  loop_timer_after(query->timer, request->timeout_ms);
  struct exchange *exchange;
  TAILQ_FOREACH(exchange, &client->exchanges, entry)
  if (exchange->stage != EXCHANGE_OVER && addr_equal(&exchange->device, &request->device) &&
      same_access(&exchange->access, request->access) && join(exchange, request, query))
    return query;
  join(exchange_new(client, request), request, query);
  return query;
}

void snmp_cancel(struct snmp_query *query) {
  struct exchange *exchange = query->exchange;
  query_detach(query);
  query_free(query);
  if (TAILQ_EMPTY(&exchange->queries) && exchange->stage != EXCHANGE_OVER)
    exchange_free(exchange);
}

struct snmp_client *snmp_client_new(struct loop *loop) {
  struct snmp_client *client = mem_alloc(sizeof *client);
  client->loop = loop;
  TAILQ_INIT(&client->exchanges);
  snmp_library_start();
  return client;
}

void snmp_client_free(struct snmp_client *client) {
  struct exchange *exchange;
  if (!client)
    return;
  while ((exchange = TAILQ_FIRST(&client->exchanges))) {
    struct snmp_query *query;
    while ((query = TAILQ_FIRST(&exchange->queries))) {
      query_detach(query);
      query_free(query);
    }
    exchange_free(exchange);
  }
  tdestroy(client->engines, free);
  snmp_keyring_release(&client->keyring);
  free(client);
}
