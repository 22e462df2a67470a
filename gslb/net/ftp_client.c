#include "gslb/net/ftp_client.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"
#include "gslb/net/curl_transfer.h"

#define ANONYMOUS_PASSWORD "gslb@"

struct ftp_transfer {
  struct curl_transfer base;
  ftp_done *done;
  void *context;
  int refusal; /* the newest reply code that said no */
};

struct ftp_client {
  struct curl_transfers *transfers;
};

/* libcurl's own word for the code is that of the last reply, which may be the one to QUIT. */
static size_t take_reply(char *line, size_t size, size_t count, void *context) {
  struct ftp_transfer *transfer = context;
  size_t length = size * count;
  if (length >= 4 && (line[0] == '4' || line[0] == '5') && isdigit((unsigned char)line[1]) &&
      isdigit((unsigned char)line[2]))
    transfer->refusal = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  return length;
}

static void prepare(struct curl_transfer *transfer) {
  CURL *easy = transfer->easy;
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "ftp");
  curl_easy_setopt(easy, CURLOPT_FTP_SKIP_PASV_IP, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_reply);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
}

static void release(struct curl_transfer *transfer) {
  (void)transfer; /* nothing was made for the request but what libcurl copied */
}

static void transfer_ended(struct curl_transfer *base, int code);

static const struct curl_transfer_kind ftp = {.size = sizeof(struct ftp_transfer),
                                              .prepare = prepare,
                                              .ended = transfer_ended,
                                              .release = release};

struct ftp_client *ftp_client_new(struct loop *loop) {
  struct ftp_client *client = mem_alloc(sizeof *client);
  client->transfers = curl_transfers_new(loop, &ftp);
  return client;
}

void ftp_client_free(struct ftp_client *client) {
  if (!client)
    return;
  curl_transfers_free(client->transfers);
  free(client);
}

static void set_request(CURL *easy, const struct ftp_request *request) {
  char *host = curl_transfer_host(&request->address);
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
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
}

struct ftp_transfer *ftp_client_start(struct ftp_client *client, const struct ftp_request *request, ftp_done *done,
                                      void *context) {
  assert(request->timeout_ms > 0);
  struct ftp_transfer *transfer = curl_transfer_take(client->transfers, request->body_most);
  transfer->done = done;
  transfer->context = context;
  transfer->refusal = 0;
  set_request(transfer->base.easy, request);
  curl_transfer_start(&transfer->base, &request->address);
  return transfer;
}

void ftp_client_cancel(struct ftp_transfer *transfer) {
  curl_transfer_cancel(&transfer->base);
}

/* A reply of the server that says no is an answer. */
static bool is_refusal(int code) {
  return code == CURLE_LOGIN_DENIED || code == CURLE_REMOTE_ACCESS_DENIED || code == CURLE_REMOTE_FILE_NOT_FOUND ||
         code == CURLE_FTP_COULDNT_RETR_FILE;
}

static void transfer_ended(struct curl_transfer *base, int code) {
  struct ftp_transfer *transfer = (struct ftp_transfer *)base;
  struct ftp_reply reply = {.outcome = NET_ANSWERED,
                            .detail = "",
                            .body = "",
                            .duration_us = curl_transfer_duration_us(base)};
  if (curl_transfer_is_whole(base, code)) {
    reply.status = 226;
    reply.body = curl_transfer_body(base);
    reply.body_length = base->body_length;
  } else if (is_refusal(code) && transfer->refusal) {
    reply.status = transfer->refusal;
  } else {
    reply.outcome = curl_transfer_failure(base, code, false);
    reply.detail = curl_transfer_detail(base, code);
  }
  transfer->done(transfer->context, &reply);
}
