#include "gslb/main/ctl_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"

#define CONNECT_S 5L
#define ANSWER_S 75L /* longer than a reload may take */
#define BODY_MOST (256u << 20)

struct body {
  char *data;
  size_t size, capacity;
};

static size_t keep(char *data, size_t one, size_t count, void *context) {
  struct body *body = context;
  size_t size = one * count;
  if (body->size + size > BODY_MOST)
    return 0;
  body->data = mem_grow(body->data, &body->capacity, body->size + size + 1, 1);
  memcpy(body->data + body->size, data, size);
  body->size += size;
  body->data[body->size] = '\0';
  return size;
}

static enum status explain(CURL *curl, CURLcode code, const char *socket, struct errbuf *err) {
  long number = 0;
  curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
  if (code == CURLE_COULDNT_CONNECT) {
    enum status status = number == EACCES || number == EPERM ? STATUS_FORBIDDEN : STATUS_NODATA;
    return errbuf_set(err, status, "%s: %s", socket, number ? strerror((int)number) : curl_easy_strerror(code));
  }
  return errbuf_set(err, code == CURLE_OPERATION_TIMEDOUT ? STATUS_TIMEOUT : STATUS_IO, "%s: %s", socket,
                    curl_easy_strerror(code));
}

enum status ctl_http_call(const char *socket, const char *method, const char *path, const char *body,
                          struct ctl_reply *out, struct errbuf *err) {
  CURL *curl = curl_easy_init();
  if (!curl)
    return errbuf_set(err, STATUS_IO, "libcurl does not start");
  struct body answer = {0};
  char *url = mem_format("http://localhost%s", path);
  struct curl_slist *headers = body ? curl_slist_append(NULL, "Content-Type: application/json") : NULL;
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* the root zone is called "." */
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_S);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  if (body) {
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
  }
  CURLcode code = curl_easy_perform(curl);
  enum status status = STATUS_OK;
  if (code == CURLE_OK) {
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
    out->body = answer.data ? answer.data : mem_strdup("");
    out->size = answer.size;
  } else {
    status = explain(curl, code, socket, err);
    free(answer.data);
  }
  curl_slist_free_all(headers);
  free(url);
  curl_easy_cleanup(curl);
  return status;
}

void ctl_http_escape(const char *text, char *out, size_t size) {
  static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  size_t used = 0;
  for (; *text && used + 4 <= size; text++) {
    if (strchr(unreserved, *text))
      out[used++] = *text;
    else
      used += (size_t)snprintf(out + used, size - used, "%%%02X", (unsigned char)*text);
  }
  out[used] = '\0';
}

void ctl_http_argument(char *path, size_t size, const char *name, const char *value) {
  if (!value)
    return;
  size_t used = strlen(path);
  int length = snprintf(path + used, size - used, "%c%s=", strchr(path, '?') ? '&' : '?', name);
  if (length > 0 && used + (size_t)length < size)
    ctl_http_escape(value, path + used + length, size - used - (size_t)length);
}
