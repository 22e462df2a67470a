#include "gslb/net/http_client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"
#include "gslb/net/curl_loop.h"

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
  bool is_tls;
  bool is_http2;
  bool is_cut;      /* the body filled its bound */
  int socket_errno; /* why no socket could be made */
  char detail[CURL_ERROR_SIZE];
};

struct http_client {
  struct curl_loop *curl;
  struct http_transfer *running, *idle;
  size_t idle_count;
};

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

static void transfer_ended(void *transfer, int code);

struct http_client *http_client_new(struct loop *loop) {
  struct http_client *client = mem_alloc(sizeof *client);
  client->curl = curl_loop_new(loop, CONNECTIONS_MOST, transfer_ended);
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
  curl_loop_free(client->curl);
  free(client);
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
  if (!request->may_reuse && !request->is_http2) /* HTTP/2 has no such field (RFC 9113, section 8.2.2) */
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
  char *host = curl_loop_host(&request->address), *url;
  /* the path goes out as it stands; with redirects it has to be part of the URL, or else it would go out with each */
  const char *path = request->redirects > 0 ? request->path : "/";
  if (!request->is_tls) {
    url = mem_format("http://%s:%u%s", host, request->address.port, path);
  } else {
    /* the name is in the URL for the certificate's sake; the connection goes to the address */
    const char *name = request->server_name ? request->server_name : request->host;
    const char *bracket = name[0] == '[' ? strchr(name, ']') : NULL;
    size_t length = bracket ? (size_t)(bracket + 1 - name) : strcspn(name, ":");
    url = mem_format("https://%.*s:%u%s", (int)length, name, request->address.port, path);
  }
  if (request->is_tls || request->redirects > 0) {
    char *to = mem_format("::%s:", host); /* any host and any port: to this host, with the port as it is */
    add_line(&transfer->connect_to, to);
    free(to);
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to);
  }
  curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
  if (request->redirects > 0)
    curl_easy_setopt(transfer->easy, CURLOPT_PATH_AS_IS, 1L);
  else
    curl_easy_setopt(transfer->easy, CURLOPT_REQUEST_TARGET, request->path);
  free(url);
  free(host);
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

static void set_version(CURL *easy, const struct http_request *request) {
  long version = CURL_HTTP_VERSION_1_1;
  if (request->is_http2)
    version = request->is_tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
}

static void set_redirects(CURL *easy, const struct http_request *request) {
  if (request->redirects == 0)
    return;
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)request->redirects);
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
}

static void set_request(struct http_transfer *transfer, const struct http_request *request) {
  CURL *easy = transfer->easy;
  set_address(transfer, request);
  set_fields(transfer, request);
  set_method(easy, request);
  if (request->is_tls || request->redirects > 0)
    set_tls(easy, request);
  set_version(easy, request);
  set_redirects(easy, request);
  curl_loop_set_common(easy, transfer, &transfer->socket_errno, transfer->detail);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "gslb");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->may_reuse ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, request->may_reuse ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
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
  transfer->is_tls = request->is_tls;
  transfer->is_http2 = request->is_http2;
  transfer->is_cut = false;
  transfer->socket_errno = 0;
  transfer->detail[0] = '\0';
  set_request(transfer, request);
  curl_loop_add(client->curl, transfer->easy);
  return transfer;
}

void http_client_cancel(struct http_transfer *transfer) {
  curl_loop_remove(transfer->client->curl, transfer->easy);
  transfer_put_back(transfer);
}

static enum net_outcome outcome_of(const struct http_transfer *transfer, CURLcode code) {
  long version = CURL_HTTP_VERSION_NONE;
  if (code != CURLE_OK && !(transfer->is_cut && code == CURLE_WRITE_ERROR))
    return curl_loop_outcome(transfer->easy, (int)code, transfer->socket_errno, transfer->detail, transfer->is_tls);
  curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
  return transfer->is_http2 && version != CURL_HTTP_VERSION_2_0 ? NET_PROTOCOL : NET_ANSWERED;
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

static const char *detail_of(const struct http_transfer *transfer, CURLcode code) {
  if (transfer->socket_errno)
    return strerror(transfer->socket_errno);
  if (code == CURLE_OK || transfer->is_cut)
    return "the server does not speak HTTP/2";
  if (code == CURLE_WRITE_ERROR || code == CURLE_OUT_OF_MEMORY)
    return "header fields too long";
  return transfer->detail[0] ? transfer->detail : curl_easy_strerror(code);
}

static void finish(struct http_transfer *transfer, CURLcode code) {
  struct http_reply reply = {.outcome = outcome_of(transfer, code),
                             .detail = "",
                             .body = "",
                             .etag = "",
                             .bytes = transfer->head_length + transfer->body_length};
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
  } else {
    reply.detail = detail_of(transfer, code);
  }
  transfer->done(transfer->context, &reply);
}

static void transfer_ended(void *context, int code) {
  struct http_transfer *transfer = context;
  finish(transfer, (CURLcode)code);
  transfer_put_back(transfer);
}
