/* gslb/net/reply.h
 * Answers of the interface: JSON documents, problems by RFC 9457, plain text. None is to be kept by caches, unless its
 * headers say so. Headers are name, value, ..., NULL, six pairs at most. Any thread that may answer the call. */
#ifndef GSLB_NET_REPLY_H
#define GSLB_NET_REPLY_H

#include "gslb/net/http_server.h"

struct json_t;

void reply_json(struct http_call *call, unsigned status, struct json_t *document);
/* Takes the reference. */
void reply_json_with(struct http_call *call, unsigned status, struct json_t *document, const char *const *headers);
/* With further headers, such as ETag. */
void reply_problem(struct http_call *call, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* application/problem+json whose detail is the text. */
void reply_problem_with(struct http_call *call, unsigned status, const char *detail, const char *member,
                        struct json_t *value, const char *const *headers);
/* The same with one more member in the document (its reference is taken; NULL for none) and further headers (NULL for
 * none). */
void reply_text(struct http_call *call, unsigned status, const char *content_type, char *text, size_t size);
/* Takes over text. */
void reply_empty(struct http_call *call, unsigned status);
void reply_empty_with(struct http_call *call, unsigned status, const char *const *headers);

#endif
