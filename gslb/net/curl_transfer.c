#include "gslb/net/curl_transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"
#include "gslb/net/curl_loop.h"

#define LOOPS 16u             /* of libcurl, each with the targets of its share: it walks through lists of all it has */
#define CONNECTIONS_MOST 16L  /* kept open by each, of those that may be reused */
#define BUFFER_SIZE 4096L     /* for what is received; each that runs has one */
#define IDLE_MOST 256u        /* transfers kept for the next request */
#define IDLE_BODY_MOST 16384u /* bytes of body buffer kept with each */

static_assert(CURL_TRANSFER_DETAIL_SIZE >= CURL_ERROR_SIZE, "libcurl fills so much");

struct curl_transfers {
  struct loop *loop;
  const struct curl_transfer_kind *kind;
  struct curl_loop *loops[LOOPS]; /* NULL: not needed yet */
  struct curl_transfer *running, *idle;
  size_t idle_count;
};

struct curl_transfers *curl_transfers_new(struct loop *loop, const struct curl_transfer_kind *kind) {
  assert(kind->size >= sizeof(struct curl_transfer));
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    abort();
  struct curl_transfers *all = mem_alloc(sizeof *all);
  all->loop = loop;
  all->kind = kind;
  return all;
}

static void transfer_free(struct curl_transfer *transfer) {
  curl_easy_cleanup(transfer->easy);
  free(transfer->body);
  free(transfer);
}

void curl_transfers_free(struct curl_transfers *all) {
  if (!all)
    return;
  while (all->running)
    curl_transfer_cancel(all->running);
  while (all->idle) {
    struct curl_transfer *next = all->idle->next;
    transfer_free(all->idle);
    all->idle = next;
  }
  for (size_t i = 0; i < LOOPS; i++)
    curl_loop_free(all->loops[i]);
  free(all);
  curl_global_cleanup();
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  struct curl_transfer *transfer = context;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) {
    transfer->socket_errno = errno;
    return CURL_SOCKET_BAD;
  }
  return fd;
}

static size_t take_body(char *data, size_t size, size_t count, void *context) {
  struct curl_transfer *transfer = context;
  size_t length = size * count;
  size_t room = transfer->body_most - transfer->body_length;
  size_t kept = length < room ? length : room;
  transfer->body = mem_grow(transfer->body, &transfer->body_capacity, transfer->body_length + kept + 1, 1);
  memcpy(transfer->body + transfer->body_length, data, kept);
  transfer->body_length += kept;
  transfer->is_cut = kept < length;
  return kept;
}

static void prepare(struct curl_transfer *transfer) {
  CURL *easy = transfer->easy;
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  /* the cache of names, in which each address would be kept for a minute and looked through at each request */
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  transfer->all->kind->prepare(transfer);
  transfer->is_prepared = true;
}

void *curl_transfer_take(struct curl_transfers *all, size_t body_most) {
  struct curl_transfer *transfer = all->idle;
  if (transfer) {
    all->idle = transfer->next;
    all->idle_count--;
  } else {
    transfer = mem_alloc(all->kind->size);
    transfer->all = all;
    transfer->easy = curl_easy_init();
    if (!transfer->easy)
      abort();
  }
  transfer->next = all->running;
  transfer->link = &all->running;
  if (transfer->next)
    transfer->next->link = &transfer->next;
  all->running = transfer;
  transfer->body_most = body_most;
  transfer->body_length = 0;
  transfer->is_cut = false;
  transfer->socket_errno = 0;
  transfer->detail[0] = '\0';
  if (!transfer->is_prepared)
    prepare(transfer);
  return transfer;
}

static void put_back(struct curl_transfer *transfer) {
  struct curl_transfers *all = transfer->all;
  all->kind->release(transfer);
  transfer->curl = NULL;
  *transfer->link = transfer->next;
  if (transfer->next)
    transfer->next->link = transfer->link;
  if (all->idle_count >= IDLE_MOST) {
    transfer_free(transfer);
    return;
  }
  if (!transfer->is_prepared)
    curl_easy_reset(transfer->easy);
  if (transfer->body_capacity > IDLE_BODY_MOST) {
    free(transfer->body);
    transfer->body = NULL;
    transfer->body_capacity = 0;
  }
  transfer->next = all->idle;
  all->idle = transfer;
  all->idle_count++;
}

void curl_transfer_begin_anew(struct curl_transfer *transfer) {
  curl_easy_reset(transfer->easy);
  prepare(transfer);
  transfer->is_prepared = false;
}

static void transfer_ended(void *context, int code) {
  struct curl_transfer *transfer = context;
  transfer->all->kind->ended(transfer, code);
  put_back(transfer);
}

static struct curl_loop *loop_for(struct curl_transfers *all, const struct addr *target) {
  uint32_t hash = target->port;
  for (size_t i = 0; i < sizeof target->bytes; i++)
    hash = hash * 31 + target->bytes[i];
  struct curl_loop **curl = &all->loops[hash % LOOPS];
  if (!*curl)
    *curl = curl_loop_new(all->loop, CONNECTIONS_MOST, transfer_ended);
  return *curl;
}

void curl_transfer_start(struct curl_transfer *transfer, const struct addr *target) {
  transfer->curl = loop_for(transfer->all, target);
  curl_loop_add(transfer->curl, transfer->easy);
}

void curl_transfer_cancel(struct curl_transfer *transfer) {
  if (transfer->curl)
    curl_loop_remove(transfer->curl, transfer->easy);
  put_back(transfer);
}

bool curl_transfer_is_whole(const struct curl_transfer *transfer, int code) {
  return code == CURLE_OK || (transfer->is_cut && code == CURLE_WRITE_ERROR);
}

static bool has_passed(CURL *easy, CURLINFO phase) {
  curl_off_t at_us = 0;
  curl_easy_getinfo(easy, phase, &at_us);
  return at_us > 0;
}

static enum net_outcome timed_out(CURL *easy, bool is_tls) {
  long made = 0, port = 0;
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &made);
  /* the time of connecting stands there only after the handshake; our port is known once it is connected */
  curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
  bool is_kept = made == 0 && has_passed(easy, CURLINFO_PRETRANSFER_TIME_T);
  if (!is_kept && !has_passed(easy, CURLINFO_CONNECT_TIME_T) && !(is_tls && port > 0))
    return NET_TIMEOUT_CONNECT;
  if (!is_kept && is_tls && !has_passed(easy, CURLINFO_APPCONNECT_TIME_T))
    return NET_TIMEOUT_TLS;
  return has_passed(easy, CURLINFO_STARTTRANSFER_TIME_T) ? NET_TIMEOUT_BODY : NET_TIMEOUT_ANSWER;
}

/* Of a handshake that failed: whether the other side went away. Its error number stays from one transfer to the next.
 */
static bool was_closed(const char *detail) {
  return strstr(detail, "Recv failure") || strstr(detail, "Send failure") || strstr(detail, "non-properly terminated");
}

static enum net_outcome not_connected(const struct curl_transfer *transfer) {
  long error = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
  if (transfer->socket_errno)
    error = transfer->socket_errno;
  return error ? net_outcome_of_errno((int)error) : NET_UNREACHABLE;
}

enum net_outcome curl_transfer_failure(const struct curl_transfer *transfer, int code, bool is_tls) {
  const char *detail = transfer->detail;
  switch ((CURLcode)code) {
  case CURLE_COULDNT_CONNECT:
    return not_connected(transfer);
  case CURLE_OPERATION_TIMEDOUT:
    return timed_out(transfer->easy, is_tls);
  case CURLE_RECV_ERROR:
    return strstr(detail, "Too large response headers") ? NET_PROTOCOL : NET_CLOSED;
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_PARTIAL_FILE:
    return NET_CLOSED;
  case CURLE_SSL_CONNECT_ERROR:
    return was_closed(detail) ? NET_CLOSED : NET_PROTOCOL;
  case CURLE_PEER_FAILED_VERIFICATION:
    /* libcurl has one code for both, and tells them apart in its text alone */
    return strstr(detail, "does not match target host name") ? NET_NAME : NET_CERTIFICATE;
  case CURLE_OUT_OF_MEMORY: /* its word for a header line beyond its bound, too */
    return has_passed(transfer->easy, CURLINFO_STARTTRANSFER_TIME_T) ? NET_PROTOCOL : NET_LOCAL;
  case CURLE_SSL_CACERT_BADFILE: /* our files, not the other side's */
  case CURLE_SSL_CERTPROBLEM:
    return NET_LOCAL;
  default:
    return NET_PROTOCOL;
  }
}

const char *curl_transfer_detail(const struct curl_transfer *transfer, int code) {
  if (transfer->socket_errno)
    return strerror(transfer->socket_errno);
  return transfer->detail[0] ? transfer->detail : curl_easy_strerror((CURLcode)code);
}

const char *curl_transfer_body(struct curl_transfer *transfer) {
  if (transfer->body_length == 0)
    return "";
  transfer->body[transfer->body_length] = '\0';
  return transfer->body;
}

uint32_t curl_transfer_duration_us(const struct curl_transfer *transfer) {
  curl_off_t total_us = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
  return total_us > UINT32_MAX ? UINT32_MAX : (uint32_t)total_us;
}

char *curl_transfer_host(const struct addr *address) {
  char text[ADDR_TEXT_SIZE];
  addr_format(address, text);
  return address->family == 6 ? mem_format("[%s]", text) : mem_strdup(text);
}
