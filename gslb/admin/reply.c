#include "gslb/admin/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "gslb/admin/shown.h"

static const char *const fresh[] = {"Cache-Control", "no-store", NULL};

static const char *title(unsigned status) {
  static const struct {
    unsigned status;
    const char *title;
  } titles[] = {{400, "Bad Request"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {409, "Conflict"},
                {422, "Unprocessable Content"},
                {500, "Internal Server Error"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"}};
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
    if (titles[i].status == status)
      return titles[i].title;
  return "Error";
}

static void send_text(struct http_call *call, unsigned status, const char *type, char *text, size_t size,
                      const char *const *headers) {
  http_respond(call, &(struct http_response){.status = status,
                                             .content_type = type,
                                             .heap_body = text,
                                             .size = size,
                                             .headers = headers ? headers : fresh});
}

static void send_json(struct http_call *call, unsigned status, const char *type, json_t *document,
                      const char *const *headers) {
  char *text = shown_dump(document);
  send_text(call, status, type, text, strlen(text), headers);
}

void reply_json(struct http_call *call, unsigned status, json_t *document) {
  send_json(call, status, "application/json", document, NULL);
}

void reply_problem_with(struct http_call *call, unsigned status, const char *detail, const char *member, json_t *value,
                        const char *const *headers) {
  json_t *document = json_pack("{s:s, s:s, s:I, s:o}", "type", "about:blank", "title", title(status), "status",
                               (json_int_t)status, "detail", shown_text(detail));
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
  http_respond(call, &(struct http_response){.status = status, .body = "", .headers = fresh});
}
