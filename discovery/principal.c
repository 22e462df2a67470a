#include "discovery/principal.h"

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

bool principal_may_resource(const struct principal *principal, const char *id) {
  switch (principal->kind) {
  case PRINCIPAL_NOBODY:
    return false;
  case PRINCIPAL_OPERATOR:
    return true;
  case PRINCIPAL_TOKEN:
    for (uint32_t i = 0; i < principal->token.resource_count; i++)
      if (pattern_matches(principal->token.resources[i], id))
        return true;
    return principal->may_admin;
  case PRINCIPAL_CERTIFICATE:
    return principal->may_admin || (principal->client && any_of_client(principal, principal->client->resources, id));
  }
  return false;
}

bool principal_may_service(const struct principal *principal, const char *service) {
  switch (principal->kind) {
  case PRINCIPAL_NOBODY:
    return false;
  case PRINCIPAL_OPERATOR:
    return true;
  case PRINCIPAL_TOKEN:
    for (uint32_t i = 0; i < principal->token.service_count; i++)
      if (pattern_matches(principal->token.services[i], service))
        return true;
    return principal->may_admin;
  case PRINCIPAL_CERTIFICATE:
    return principal->may_admin ||
           (principal->client && any_of_client(principal, principal->client->services, service));
  }
  return false;
}

const char *principal_owner(const struct principal *principal) {
  return principal->kind == PRINCIPAL_OPERATOR ? PRINCIPAL_OPERATOR_OWNER : principal->name;
}
