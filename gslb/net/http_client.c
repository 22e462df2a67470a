#include "gslb/net/http_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"

#define IDLE_MOST 256u        /* transfers kept for the next request */
#define CONNECTIONS_MOST 256L /* kept open, of those that may be reused */
#define RETRY_MOST_S 86400    /* a longer Retry-After is taken for this */
#define IDLE_BODY_MOST 16384u /* bytes of body buffer kept with each */

struct http_transfer {
  struct http_client *client;
  struct http_transfer *next;  /* in the list of idle or of running ones */
  struct http_transfer **link; /* what points here while it runs */
  CURL *easy;
  struct curl_slist *fields, *connect_to;
  http_done *done;
  void *context;
  char *body;
  size_t body_length, body_capacity, body_most;
  size_t head_length;
  bool may_reuse;
  bool is_cut;      /* the body filled its bound */
  int socket_errno; /* why no socket could be made */
  char detail[CURL_ERROR_SIZE];
};

struct http_client {
  struct loop *loop;
  struct loop_timer *timer;
  CURLM *multi;
  struct http_transfer *running, *idle;
  size_t idle_count;
};

struct watched { /* libcurl's socket on our loop */
  struct http_client *client;
  struct loop_poll *poll;
  curl_socket_t fd;
};

static void hand_out_finished(struct http_client *client);

static void socket_ready(void *context, int events) {
  struct watched *watched = context;
  struct http_client *client = watched->client;
  int running;
  int mask = (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0);
  curl_multi_socket_action(client->multi, watched->fd, mask, &running);
  hand_out_finished(client);
}

static void timer_fired(void *context) {
  struct http_client *client = context;
  int running;
  curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  hand_out_finished(client);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
  (void)easy;
  struct http_client *client = context;
  struct watched *watched = known;
  if (what == CURL_POLL_REMOVE) {
    if (watched) {
      loop_poll_free(watched->poll);
      free(watched);
      curl_multi_assign(client->multi, fd, NULL);
    }
    return 0;
  }
  if (!watched) {
    watched = mem_alloc(sizeof *watched);
    watched->client = client;
    watched->fd = fd;
    watched->poll = loop_poll_new(client->loop, fd, socket_ready, watched);
    if (!watched->poll) {
      /* not polled: the transfer ends by its time-out */
      free(watched);
      return 0;
    }
    curl_multi_assign(client->multi, fd, watched);
  }
  loop_poll_watch(watched->poll,
                  (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0));
  return 0;
}

static int set_timer(CURLM *multi, long delay_ms, void *context) {
  (void)multi;
  struct http_client *client = context;
  if (delay_ms < 0)
    loop_timer_stop(client->timer);
  else
    loop_timer_after(client->timer, delay_ms);
  return 0;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  struct http_transfer *transfer = context;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) {
    transfer->socket_errno = errno;
    return CURL_SOCKET_BAD;
  }
  return fd;
}

static size_t take_head(char *data, size_t size, size_t count, void *context) {
  (void)data;
  struct http_transfer *transfer = context;
  transfer->head_length += size * count;
  return transfer->head_length > HTTP_CLIENT_HEAD_MOST ? 0 : size * count;
}

static size_t take_body(char *data, size_t size, size_t count, void *context) {
  struct http_transfer *transfer = context;
  size_t length = size * count;
  size_t room = transfer->body_most - transfer->body_length;
  size_t kept = length < room ? length : room;
  transfer->body = mem_grow(transfer->body, &transfer->body_capacity, transfer->body_length + kept + 1, 1);
  memcpy(transfer->body + transfer->body_length, data, kept);
  transfer->body_length += kept;
  transfer->is_cut = kept < length;
  return kept;
}

struct http_client *http_client_new(struct loop *loop) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    abort();
  struct http_client *client = mem_alloc(sizeof *client);
  client->loop = loop;
  client->timer = loop_timer_new(loop, timer_fired, client);
  client->multi = curl_multi_init();
  if (!client->multi)
    abort();
  curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
  curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
  curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
  curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_MOST);
  return client;
}

static void free_lists(struct http_transfer *transfer) {
  curl_slist_free_all(transfer->fields);
  curl_slist_free_all(transfer->connect_to);
  transfer->fields = transfer->connect_to = NULL;
}

static void transfer_free(struct http_transfer *transfer) {
  curl_easy_cleanup(transfer->easy);
  free_lists(transfer);
  free(transfer->body);
  free(transfer);
}

void http_client_free(struct http_client *client) {
  if (!client)
    return;
  while (client->running)
    http_client_cancel(client->running);
  while (client->idle) {
    struct http_transfer *next = client->idle->next;
    transfer_free(client->idle);
    client->idle = next;
  }
  curl_multi_cleanup(client->multi);
  loop_timer_free(client->timer);
  free(client);
  curl_global_cleanup();
}

static struct http_transfer *transfer_take(struct http_client *client) {
  struct http_transfer *transfer = client->idle;
  if (transfer) {
    client->idle = transfer->next;
    client->idle_count--;
  } else {
    transfer = mem_alloc(sizeof *transfer);
    transfer->client = client;
    transfer->easy = curl_easy_init();
    if (!transfer->easy)
      abort();
  }
  transfer->next = client->running;
  transfer->link = &client->running;
  if (transfer->next)
    transfer->next->link = &transfer->next;
  client->running = transfer;
  return transfer;
}

static void transfer_put_back(struct http_transfer *transfer) {
  struct http_client *client = transfer->client;
  *transfer->link = transfer->next;
  if (transfer->next)
    transfer->next->link = transfer->link;
  if (client->idle_count >= IDLE_MOST) {
    transfer_free(transfer);
    return;
  }
  curl_easy_reset(transfer->easy);
  free_lists(transfer);
  if (transfer->body_capacity > IDLE_BODY_MOST) {
    free(transfer->body);
    transfer->body = NULL;
    transfer->body_capacity = 0;
  }
  transfer->next = client->idle;
  client->idle = transfer;
  client->idle_count++;
}

static void add_line(struct curl_slist **list, const char *line) {
  struct curl_slist *longer = curl_slist_append(*list, line);
  if (!longer)
    abort();
  *list = longer;
}

static void set_fields(struct http_transfer *transfer, const struct http_request *request) {
  char *host = mem_format("Host: %s", request->host);
  add_line(&transfer->fields, host);
  free(host);
  if (!request->may_reuse)
    add_line(&transfer->fields, "Connection: close");
  if (request->body) {
    /* what libcurl would say of itself: a form, and to be asked before the body is sent */
    add_line(&transfer->fields, "Expect:");
    bool is_typed = false;
    for (const char *const *field = request->headers; field && *field; field++)
      is_typed = is_typed || strncasecmp(*field, "Content-Type:", 13) == 0;
    if (!is_typed)
      add_line(&transfer->fields, "Content-Type:");
  }
  for (const char *const *field = request->headers; field && *field; field++)
    add_line(&transfer->fields, *field);
  curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->fields);
}

static void set_address(struct http_transfer *transfer, const struct http_request *request) {
  char address[ADDR_TEXT_SIZE], *url;
  addr_format(&request->address, address);
  const char *open = request->address.family == 6 ? "[" : "", *close = request->address.family == 6 ? "]" : "";
  if (!request->is_tls) {
    url = mem_format("http://%s%s%s:%u/", open, address, close, request->address.port);
  } else {
    /* the name is in the URL for the certificate's sake; the connection goes to the address */
    const char *bracket = request->host[0] == '[' ? strchr(request->host, ']') : NULL;
    size_t length = bracket ? (size_t)(bracket + 1 - request->host) : strcspn(request->host, ":");
    url = mem_format("https://%.*s:%u/", (int)length, request->host, request->address.port);
    char *to = mem_format("::%s%s%s:%u", open, address, close, request->address.port);
    add_line(&transfer->connect_to, to);
    free(to);
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to);
  }
  curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
  curl_easy_setopt(transfer->easy, CURLOPT_REQUEST_TARGET, request->path);
  free(url);
}

static void set_tls(CURL *easy, const struct http_request *request) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, request->is_unverified ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, request->is_unverified ? 0L : 2L);
  if (request->ca) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* or else the system's are trusted besides */
  }
  curl_easy_setopt(easy, CURLOPT_SSLCERT, request->certificate);
  curl_easy_setopt(easy, CURLOPT_SSLKEY, request->key);
}

static void set_method(CURL *easy, const struct http_request *request) {
  const char *method = request->method ? request->method : "GET";
  bool is_head = strcmp(method, "HEAD") == 0;
  bool may_lack_body = is_head || strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0;
  if (request->body || !may_lack_body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body ? request->body_size : 0));
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "");
  }
  if (is_head)
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_request(struct http_transfer *transfer, const struct http_request *request) {
  CURL *easy = transfer->easy;
  set_address(transfer, request);
  set_fields(transfer, request);
  set_method(easy, request);
  if (request->is_tls)
    set_tls(easy, request);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "gslb");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->may_reuse ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, request->may_reuse ? 0L : 1L);
  /* the cache of names, in which each address would be kept for a minute and looked through at each request */
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

struct http_transfer *http_client_start(struct http_client *client, const struct http_request *request, http_done *done,
                                        void *context) {
  assert(request->timeout_ms > 0);
  struct http_transfer *transfer = transfer_take(client);
  transfer->done = done;
  transfer->context = context;
  transfer->body_most = request->body_most;
  transfer->body_length = transfer->head_length = 0;
  transfer->may_reuse = request->may_reuse;
  transfer->is_cut = false;
  transfer->socket_errno = 0;
  transfer->detail[0] = '\0';
  set_request(transfer, request);
  /* only misuse or memory can make it fail; it sets the timer, so the work begins in the next turn of the loop */
  CURLMcode added = curl_multi_add_handle(client->multi, transfer->easy);
  if (added != CURLM_OK)
    abort();
  return transfer;
}

void http_client_cancel(struct http_transfer *transfer) {
  curl_multi_remove_handle(transfer->client->multi, transfer->easy);
  transfer_put_back(transfer);
}

static enum net_outcome outcome_of(const struct http_transfer *transfer, CURLcode code) {
  if (transfer->is_cut && code == CURLE_WRITE_ERROR)
    return NET_ANSWERED;
  long error = 0, made = 0;
  curl_off_t connected_us = 0;
  switch (code) {
  case CURLE_OK:
    return NET_ANSWERED;
  case CURLE_COULDNT_CONNECT:
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
    if (transfer->socket_errno)
      error = transfer->socket_errno;
    return error ? net_outcome_of_errno((int)error) : NET_UNREACHABLE;
  case CURLE_OPERATION_TIMEDOUT:
    curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &made);
    return connected_us > 0 || (transfer->may_reuse && made == 0) ? NET_TIMEOUT_ANSWER : NET_TIMEOUT_CONNECT;
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_PARTIAL_FILE:
    return NET_CLOSED;
  case CURLE_OUT_OF_MEMORY:
  case CURLE_SSL_CACERT_BADFILE: /* our files, not the other side's */
  case CURLE_SSL_CERTPROBLEM:
    return NET_LOCAL;
  default:
    return NET_PROTOCOL;
  }
}

static void read_head(struct http_transfer *transfer, struct http_reply *reply) {
  long status = 0;
  curl_off_t retry_after_s = 0;
  struct curl_header *etag;
  curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
  reply->status = (int)status;
  reply->retry_after_s = retry_after_s > RETRY_MOST_S ? RETRY_MOST_S : (unsigned)retry_after_s;
  if (curl_easy_header(transfer->easy, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK)
    reply->etag = etag->value;
}

static void finish(struct http_transfer *transfer, CURLcode code) {
  struct http_reply reply = {.outcome = outcome_of(transfer, code), .detail = "", .body = "", .etag = ""};
  curl_off_t total_us = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
  reply.duration_us = total_us > UINT32_MAX ? UINT32_MAX : (uint32_t)total_us;
  if (reply.outcome == NET_ANSWERED) {
    read_head(transfer, &reply);
    if (transfer->body_length) {
      transfer->body[transfer->body_length] = '\0';
      reply.body = transfer->body;
      reply.body_length = transfer->body_length;
    }
  } else if (transfer->socket_errno) {
    reply.detail = strerror(transfer->socket_errno);
  } else if (code == CURLE_WRITE_ERROR) {
    reply.detail = "header fields too long";
  } else {
    reply.detail = transfer->detail[0] ? transfer->detail : curl_easy_strerror(code);
  }
  transfer->done(transfer->context, &reply);
}

static void hand_out_finished(struct http_client *client) {
  int left;
  CURLMsg *message;
  while ((message = curl_multi_info_read(client->multi, &left))) {
    if (message->msg != CURLMSG_DONE)
      continue;
    struct http_transfer *transfer = NULL;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
    curl_multi_remove_handle(client->multi, transfer->easy);
    finish(transfer, code);
    transfer_put_back(transfer);
  }
}
