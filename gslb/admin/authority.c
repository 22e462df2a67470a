#include "gslb/admin/authority.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gslb/admin/change.h"
#include "gslb/net/reply.h"

#define SCHEME "Bearer"

static void refuse(struct http_call *call, unsigned status, const char *challenge, const char *detail) {
  const char *const headers[] = {"WWW-Authenticate", challenge, "Cache-Control", "no-store", NULL};
  reply_problem_with(call, status, detail, NULL, NULL, headers);
}

/* The token of "Bearer <token>" (RFC 6750 section 2.1), NULL where the header says something else. */
static const char *bearer_of(const char *header) {
  size_t length = strlen(SCHEME);
  if (strncasecmp(header, SCHEME, length) != 0 || header[length] != ' ')
    return NULL;
  const char *token = header + length + strspn(header + length, " ");
  return token[0] ? token : NULL;
}

static bool take_token(struct http_call *call, const char *header, struct tokens *tokens, int64_t now_ms,
                       struct principal *out) {
  const char *text = bearer_of(header);
  struct errbuf err;
  if (!text) {
    refuse(call, 401, SCHEME " error=\"invalid_request\"", "the Authorization header is not \"Bearer\" and a token");
    return false;
  }
  enum status status =
      tokens ? tokens_recognise(tokens, text, now_ms, out, &err) : errbuf_set(&err, STATUS_IO, "no tokens are kept");
  if (status == STATUS_FORBIDDEN)
    refuse(call, 401, SCHEME " error=\"invalid_token\"", err.text);
  else if (status)
    reply_problem(call, 503, "the token cannot be looked up: %s", err.text);
  return status == STATUS_OK;
}

bool authority_certificate_fits(const char *pattern, const char *name) {
  if (pattern[0] != '*' || pattern[1] != '.')
    return strcasecmp(pattern, name) == 0;
  const char *rest = strchr(name, '.');
  return rest && rest != name && strcasecmp(pattern + 1, rest) == 0;
}

/* Leaves out as nobody where no entry means the certificate. */
static void take_certificate(const char *name, const struct config_control *control, struct principal *out) {
  for (size_t i = 0; i < control->client_count; i++) {
    const struct config_client *client = &control->clients[i];
    if (!authority_certificate_fits(client->certificate, name))
      continue;
    out->kind = PRINCIPAL_CERTIFICATE;
    out->may_read = true;
    out->client = client;
    snprintf(out->name, sizeof out->name, "%s", client->name);
    snprintf(out->subject, sizeof out->subject, "%.*s", (int)strcspn(name, "."), name);
    return;
  }
}

/* False: the call is answered, since what it shows is wrong. */
static bool identify(struct http_call *call, struct tokens *tokens, const struct config *config, int64_t now_ms,
                     struct principal *out) {
  *out = (struct principal){.kind = PRINCIPAL_NOBODY};
  if (call->peer.is_unix) {
    out->kind = PRINCIPAL_OPERATOR;
    out->may_admin = out->may_read = true;
    change_who(&call->peer, out->name);
    return true;
  }
  const char *header = http_call_header(call, "Authorization");
  bool is_known = !header || take_token(call, header, tokens, now_ms, out);
  if (!header && call->peer.certificate[0])
    take_certificate(call->peer.certificate, &config->control, out);
  out->address = call->peer.addr;
  return is_known;
}

static void refuse_nobody(struct http_call *call) {
  if (!call->peer.certificate[0])
    refuse(call, 401, SCHEME, "this needs a token: Authorization: Bearer gslb_...");
  else
    refuse(call, 401, SCHEME, "no entry of control.clients means the certificate that was shown");
}

bool authority_admit(struct http_call *call, enum authority_need need, struct tokens *tokens,
                     const struct config *config, int64_t now_ms, struct principal *out) {
  if (need == AUTHORITY_NONE) {
    *out = (struct principal){.kind = PRINCIPAL_NOBODY, .address = call->peer.addr};
    return true;
  }
  if (!identify(call, tokens, config, now_ms, out))
    return false;
  if (need == AUTHORITY_READ && !config->control.reads_need_token)
    return true;
  if (out->kind == PRINCIPAL_NOBODY) {
    refuse_nobody(call);
    return false;
  }
  bool is_enough = out->may_admin || need == AUTHORITY_REGISTER || (need == AUTHORITY_READ && out->may_read);
  if (!is_enough)
    refuse(call, 403, SCHEME " error=\"insufficient_scope\"",
           need == AUTHORITY_READ ? "the token may not read"
                                  : "this needs an operator: the unix socket, or a token "
                                    "that may administer");
  return is_enough;
}
