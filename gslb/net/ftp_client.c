#include "gslb/net/ftp_client.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"
#include "gslb/net/curl_loop.h"

#define IDLE_MOST 16u /* transfers kept for the next request */
#define ANONYMOUS_PASSWORD "gslb@"

struct ftp_transfer {
  struct ftp_client *client;
  struct ftp_transfer *next;  /* in the list of idle or of running ones */
  struct ftp_transfer **link; /* what points here while it runs */
  CURL *easy;
  ftp_done *done;
  void *context;
  char *body;
  size_t body_length, body_capacity, body_most;
  bool is_cut;      /* the body filled its bound */
  int refusal;      /* the newest reply code that said no */
  int socket_errno; /* why no socket could be made */
  char detail[CURL_ERROR_SIZE];
};

struct ftp_client {
  struct curl_loop *curl;
  struct ftp_transfer *running, *idle;
  size_t idle_count;
};

static void transfer_ended(void *transfer, int code);

struct ftp_client *ftp_client_new(struct loop *loop) {
  struct ftp_client *client = mem_alloc(sizeof *client);
  client->curl = curl_loop_new(loop, 1, transfer_ended);
  return client;
}

static void transfer_free(struct ftp_transfer *transfer) {
  curl_easy_cleanup(transfer->easy);
  free(transfer->body);
  free(transfer);
}

void ftp_client_free(struct ftp_client *client) {
  if (!client)
    return;
  while (client->running)
    ftp_client_cancel(client->running);
  while (client->idle) {
    struct ftp_transfer *next = client->idle->next;
    transfer_free(client->idle);
    client->idle = next;
  }
  curl_loop_free(client->curl);
  free(client);
}

static struct ftp_transfer *transfer_take(struct ftp_client *client) {
  struct ftp_transfer *transfer = client->idle;
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

static void transfer_put_back(struct ftp_transfer *transfer) {
  struct ftp_client *client = transfer->client;
  *transfer->link = transfer->next;
  if (transfer->next)
    transfer->next->link = transfer->link;
  if (client->idle_count >= IDLE_MOST) {
    transfer_free(transfer);
    return;
  }
  curl_easy_reset(transfer->easy);
  transfer->next = client->idle;
  client->idle = transfer;
  client->idle_count++;
}

static size_t take_body(char *data, size_t size, size_t count, void *context) {
  struct ftp_transfer *transfer = context;
  size_t length = size * count;
  size_t room = transfer->body_most - transfer->body_length;
  size_t kept = length < room ? length : room;
  transfer->body = mem_grow(transfer->body, &transfer->body_capacity, transfer->body_length + kept + 1, 1);
  memcpy(transfer->body + transfer->body_length, data, kept);
  transfer->body_length += kept;
  transfer->is_cut = kept < length;
  return kept;
}

/* libcurl's own word for the code is that of the last reply, which may be the one to QUIT. */
static size_t take_reply(char *line, size_t size, size_t count, void *context) {
  struct ftp_transfer *transfer = context;
  size_t length = size * count;
  if (length >= 4 && (line[0] == '4' || line[0] == '5') && isdigit((unsigned char)line[1]) &&
      isdigit((unsigned char)line[2]))
    transfer->refusal = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  return length;
}

static void set_request(struct ftp_transfer *transfer, const struct ftp_request *request) {
  CURL *easy = transfer->easy;
  char *host = curl_loop_host(&request->address);
  int length;
  char *plain = curl_easy_unescape(easy, request->path, 0, &length), *url;
  char *path = plain ? curl_easy_escape(easy, plain, length) : NULL;
  if (!path)
    abort();
  curl_free(plain);
  /* escaped as a whole, so that nothing in it reads as a type or a fragment; the slashes separate directories again */
  for (char *slash = path; (slash = strstr(slash, "%2F"));) {
    *slash = '/';
    memmove(slash + 1, slash + 3, strlen(slash + 3) + 1);
  }
  url = mem_format("ftp://%s:%u/%s", host, request->address.port, path + (path[0] == '/'));
  curl_easy_setopt(easy, CURLOPT_URL, url);
  free(url);
  curl_free(path);
  free(host);
  bool is_anonymous = !request->user;
  curl_easy_setopt(easy, CURLOPT_USERNAME, is_anonymous ? "anonymous" : request->user);
  curl_easy_setopt(easy, CURLOPT_PASSWORD,
                   request->password ? request->password
                   : is_anonymous    ? ANONYMOUS_PASSWORD
                                     : "");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "ftp");
  curl_easy_setopt(easy, CURLOPT_FTP_SKIP_PASV_IP, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_reply);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl_loop_set_common(easy, transfer, &transfer->socket_errno, transfer->detail);
}

struct ftp_transfer *ftp_client_start(struct ftp_client *client, const struct ftp_request *request, ftp_done *done,
                                      void *context) {
  assert(request->timeout_ms > 0);
  struct ftp_transfer *transfer = transfer_take(client);
  transfer->done = done;
  transfer->context = context;
  transfer->body_most = request->body_most;
  transfer->body_length = 0;
  transfer->is_cut = false;
  transfer->refusal = 0;
  transfer->socket_errno = 0;
  transfer->detail[0] = '\0';
  set_request(transfer, request);
  curl_loop_add(client->curl, transfer->easy);
  return transfer;
}

void ftp_client_cancel(struct ftp_transfer *transfer) {
  curl_loop_remove(transfer->client->curl, transfer->easy);
  transfer_put_back(transfer);
}

/* A reply of the server that says no is an answer. */
static bool is_refusal(CURLcode code) {
  return code == CURLE_LOGIN_DENIED || code == CURLE_REMOTE_ACCESS_DENIED || code == CURLE_REMOTE_FILE_NOT_FOUND ||
         code == CURLE_FTP_COULDNT_RETR_FILE;
}

static void transfer_ended(void *context, int result) {
  struct ftp_transfer *transfer = context;
  CURLcode code = (CURLcode)result;
  struct ftp_reply reply = {.detail = "", .body = ""};
  curl_off_t total_us = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
  reply.duration_us = total_us > UINT32_MAX ? UINT32_MAX : (uint32_t)total_us;
  if (code == CURLE_OK || (transfer->is_cut && code == CURLE_WRITE_ERROR)) {
    reply.outcome = NET_ANSWERED;
    reply.status = 226;
    reply.body_length = transfer->body_length;
    if (transfer->body_length > 0) {
      transfer->body[transfer->body_length] = '\0';
      reply.body = transfer->body;
    }
  } else if (is_refusal(code) && transfer->refusal) {
    reply.outcome = NET_ANSWERED;
    reply.status = transfer->refusal;
  } else {
    reply.outcome = curl_loop_outcome(transfer->easy, result, transfer->socket_errno, transfer->detail, false);
    reply.detail = transfer->socket_errno ? strerror(transfer->socket_errno)
                   : transfer->detail[0]  ? transfer->detail
                                          : curl_easy_strerror(code);
  }
  transfer->done(transfer->context, &reply);
  transfer_put_back(transfer);
}
