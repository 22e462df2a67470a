#include "gslb/net/http_client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"
#include "gslb/net/curl_transfer.h"

#define RETRY_MOST_S 86400 /* a longer Retry-After is taken for this */

struct http_transfer {
  struct curl_transfer base;
  struct curl_slist *fields, *connect_to;
  http_done *done;
  void *context;
  size_t head_length;
  bool is_tls;
  bool is_http2;
};

struct http_client {
  struct curl_transfers *transfers;
};

static size_t take_head(char *data, size_t size, size_t count, void *context) {
  (void)data;
  struct http_transfer *transfer = context;
  transfer->head_length += size * count;
  return transfer->head_length > HTTP_CLIENT_HEAD_MOST ? 0 : size * count;
}

static void prepare(struct curl_transfer *transfer) {
  CURL *easy = transfer->easy;
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "gslb");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 0L); /* a plain request goes out at once anyway, as it is all there is */
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
}

static void release(struct curl_transfer *base) {
  struct http_transfer *transfer = (struct http_transfer *)base;
  curl_slist_free_all(transfer->fields);
  curl_slist_free_all(transfer->connect_to);
  transfer->fields = transfer->connect_to = NULL;
}

static void transfer_ended(struct curl_transfer *base, int code);

static const struct curl_transfer_kind http = {.size = sizeof(struct http_transfer),
                                               .prepare = prepare,
                                               .ended = transfer_ended,
                                               .release = release};

struct http_client *http_client_new(struct loop *loop) {
  struct http_client *client = mem_alloc(sizeof *client);
  client->transfers = curl_transfers_new(loop, &http);
  return client;
}

void http_client_free(struct http_client *client) {
  if (!client)
    return;
  curl_transfers_free(client->transfers);
  free(client);
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
  curl_easy_setopt(transfer->base.easy, CURLOPT_HTTPHEADER, transfer->fields);
}

static void set_address(struct http_transfer *transfer, const struct http_request *request) {
  char *host = curl_transfer_host(&request->address), *url;
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
    curl_easy_setopt(transfer->base.easy, CURLOPT_CONNECT_TO, transfer->connect_to);
  }
  curl_easy_setopt(transfer->base.easy, CURLOPT_URL, url);
  if (request->redirects > 0)
    curl_easy_setopt(transfer->base.easy, CURLOPT_PATH_AS_IS, 1L);
  else
    curl_easy_setopt(transfer->base.easy, CURLOPT_REQUEST_TARGET, request->path);
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
  bool is_get = strcmp(method, "GET") == 0, is_head = strcmp(method, "HEAD") == 0;
  bool may_lack_body = is_get || is_head || strcmp(method, "DELETE") == 0;
  if (request->body || !may_lack_body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body ? request->body_size : 0));
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "");
  }
  if (is_head)
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else if (!is_get || request->body)
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_redirects(CURL *easy, const struct http_request *request) {
  if (request->redirects == 0)
    return;
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)request->redirects);
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
}

/* Nothing of it is set by options that a plain request would not set anew. */
static bool is_plain(const struct http_request *request) {
  return !request->is_tls && !request->is_http2 && !request->may_reuse && request->redirects == 0 && !request->body &&
         (!request->method || strcmp(request->method, "GET") == 0);
}

static void set_special(CURL *easy, const struct http_request *request) {
  set_method(easy, request);
  if (request->is_tls || request->redirects > 0)
    set_tls(easy, request);
  if (request->is_http2)
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     request->is_tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
  set_redirects(easy, request);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->may_reuse ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, request->may_reuse ? 0L : 1L);
}

static void set_request(struct http_transfer *transfer, const struct http_request *request) {
  CURL *easy = transfer->base.easy;
  if (!is_plain(request))
    curl_transfer_begin_anew(&transfer->base);
  set_address(transfer, request);
  set_fields(transfer, request);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
  if (!is_plain(request))
    set_special(easy, request);
}

struct http_transfer *http_client_start(struct http_client *client, const struct http_request *request, http_done *done,
                                        void *context) {
  assert(request->timeout_ms > 0);
  struct http_transfer *transfer = curl_transfer_take(client->transfers, request->body_most);
  transfer->done = done;
  transfer->context = context;
  transfer->head_length = 0;
  transfer->is_tls = request->is_tls;
  transfer->is_http2 = request->is_http2;
  set_request(transfer, request);
  curl_transfer_start(&transfer->base, &request->address);
  return transfer;
}

void http_client_cancel(struct http_transfer *transfer) {
  curl_transfer_cancel(&transfer->base);
}

static enum net_outcome outcome_of(const struct http_transfer *transfer, int code) {
  long version = CURL_HTTP_VERSION_NONE;
  if (!curl_transfer_is_whole(&transfer->base, code))
    return curl_transfer_failure(&transfer->base, code, transfer->is_tls);
  if (!transfer->is_http2)
    return NET_ANSWERED;
  curl_easy_getinfo(transfer->base.easy, CURLINFO_HTTP_VERSION, &version);
  return version == CURL_HTTP_VERSION_2_0 ? NET_ANSWERED : NET_PROTOCOL;
}

static void read_head(struct http_transfer *transfer, struct http_reply *reply) {
  long status = 0;
  curl_off_t retry_after_s = 0;
  struct curl_header *etag;
  curl_easy_getinfo(transfer->base.easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(transfer->base.easy, CURLINFO_RETRY_AFTER, &retry_after_s);
  reply->status = (int)status;
  reply->retry_after_s = retry_after_s > RETRY_MOST_S ? RETRY_MOST_S : (unsigned)retry_after_s;
  if (curl_easy_header(transfer->base.easy, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK)
    reply->etag = etag->value;
}

static const char *detail_of(const struct http_transfer *transfer, int code) {
  bool is_local = transfer->base.socket_errno != 0;
  if (!is_local && curl_transfer_is_whole(&transfer->base, code))
    return "the server does not speak HTTP/2";
  if (!is_local && (code == CURLE_WRITE_ERROR || code == CURLE_OUT_OF_MEMORY))
    return "header fields too long";
  return curl_transfer_detail(&transfer->base, code);
}

static void transfer_ended(struct curl_transfer *base, int code) {
  struct http_transfer *transfer = (struct http_transfer *)base;
  struct http_reply reply = {.outcome = outcome_of(transfer, code),
                             .detail = "",
                             .body = "",
                             .etag = "",
                             .duration_us = curl_transfer_duration_us(base),
                             .bytes = transfer->head_length + base->body_length};
  if (reply.outcome == NET_ANSWERED) {
    read_head(transfer, &reply);
    reply.body = curl_transfer_body(base);
    reply.body_length = base->body_length;
  } else {
    reply.detail = detail_of(transfer, code);
  }
  transfer->done(transfer->context, &reply);
}
