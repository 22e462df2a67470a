#include "gslb/net/reply.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "gslb/base/value.h"

#define HEADERS_MOST 6u /* pairs that a caller may add */

static const char *title(unsigned status) {
  static const struct {
    unsigned status;
    const char *title;
  } titles[] = {{400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {406, "Not Acceptable"},
                {409, "Conflict"},
                {410, "Gone"},
                {412, "Precondition Failed"},
                {413, "Content Too Large"},
                {415, "Unsupported Media Type"},
                {422, "Unprocessable Content"},
                {429, "Too Many Requests"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
                {507, "Insufficient Storage"}};
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
    if (titles[i].status == status)
      return titles[i].title;
  return "Error";
}

static void send_text(struct http_call *call, unsigned status, const char *type, char *text, size_t size,
                      const char *const *headers) {
  const char *all[2 * HEADERS_MOST + 3] = {NULL};
  size_t count = 0;
  bool is_kept_back = false;
  for (; headers && headers[count]; count += 2) {
    assert(count < 2 * HEADERS_MOST);
    all[count] = headers[count];
    all[count + 1] = headers[count + 1];
    is_kept_back = is_kept_back || strcasecmp(headers[count], "Cache-Control") == 0;
  }
  if (!is_kept_back) {
    all[count] = "Cache-Control";
    all[count + 1] = "no-store";
  }
  http_respond(call, &(struct http_response){.status = status,
                                             .content_type = type,
                                             .heap_body = text,
                                             .size = size,
                                             .headers = all});
}

static void send_json(struct http_call *call, unsigned status, const char *type, json_t *document,
                      const char *const *headers) {
  char *text = value_dump(document);
  send_text(call, status, type, text, strlen(text), headers);
}

void reply_json(struct http_call *call, unsigned status, json_t *document) {
  send_json(call, status, "application/json", document, NULL);
}

void reply_json_with(struct http_call *call, unsigned status, json_t *document, const char *const *headers) {
  send_json(call, status, "application/json", document, headers);
}

void reply_problem_with(struct http_call *call, unsigned status, const char *detail, const char *member, json_t *value,
                        const char *const *headers) {
  json_t *document = json_pack("{s:s, s:s, s:I, s:o}", "type", "about:blank", "title", title(status), "status",
                               (json_int_t)status, "detail", value_text(detail));
  if (value)
    json_object_set_new(document, member, value);
  send_json(call, status, "application/problem+json", document, headers);
}

void reply_problem(struct http_call *call, unsigned status, const char *format, ...) {
  char detail[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(detail, sizeof detail, format, args);
  va_end(args);
  reply_problem_with(call, status, detail, NULL, NULL, NULL);
}

void reply_text(struct http_call *call, unsigned status, const char *content_type, char *text, size_t size) {
  send_text(call, status, content_type, text, size, NULL);
}

void reply_empty(struct http_call *call, unsigned status) {
  reply_empty_with(call, status, NULL);
}

void reply_empty_with(struct http_call *call, unsigned status, const char *const *headers) {
  send_text(call, status, NULL, NULL, 0, headers);
}
