#include "discovery/registry/principal.h"

#include <stdio.h>
#include <string.h>

#define SUBJECT_PLACE "{name}"

/* A subject is foreign, so it must not bring a "*" of its own into the pattern. */
static bool subject_matches(const char *pattern, const char *subject, const char *text) {
  const char *place = strstr(pattern, SUBJECT_PLACE);
  if (!place)
    return pattern_matches(pattern, text);
  if (!subject[0] || strchr(subject, '*'))
    return false;
  char full[512];
  int size =
      snprintf(full, sizeof full, "%.*s%s%s", (int)(place - pattern), pattern, subject, place + strlen(SUBJECT_PLACE));
  return size > 0 && (size_t)size < sizeof full && !strstr(full, SUBJECT_PLACE) && pattern_matches(full, text);
}

static bool any_of_client(const struct principal *principal, const char *const *patterns, const char *text) {
  for (; patterns && *patterns; patterns++)
    if (subject_matches(*patterns, principal->subject, text))
      return true;
  return false;
}

/* patterns: those of a token, count rows of that size; of_client: those of control.clients. */
static bool may(const struct principal *principal, const char *patterns, size_t size, uint32_t count,
                const char *const *of_client, const char *text) {
  bool is_token = principal->kind == PRINCIPAL_TOKEN, is_certificate = principal->kind == PRINCIPAL_CERTIFICATE;
  if (principal->kind == PRINCIPAL_OPERATOR || ((is_token || is_certificate) && principal->may_admin))
    return true;
  for (uint32_t i = 0; i < count && is_token; i++)
    if (pattern_matches(patterns + i * size, text))
      return true;
  return is_certificate && any_of_client(principal, of_client, text);
}

bool principal_may_resource(const struct principal *principal, const char *id) {
  const struct token_record *token = &principal->token;
  return may(principal, token->resources[0], sizeof token->resources[0], token->resource_count,
             principal->client ? principal->client->resources : NULL, id);
}

bool principal_may_service(const struct principal *principal, const char *service) {
  const struct token_record *token = &principal->token;
  return may(principal, token->services[0], sizeof token->services[0], token->service_count,
             principal->client ? principal->client->services : NULL, service);
}

const char *principal_owner(const struct principal *principal) {
  return principal->kind == PRINCIPAL_OPERATOR ? PRINCIPAL_OPERATOR_OWNER : principal->name;
}
