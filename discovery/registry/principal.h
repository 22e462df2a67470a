/* discovery/registry/principal.h
 * Who asks, and what it may do: the operator on the unix socket, a token, or a client certificate. A value; any
 * thread. */
#ifndef GSLB_DISCOVERY_REGISTRY_PRINCIPAL_H
#define GSLB_DISCOVERY_REGISTRY_PRINCIPAL_H

#include <stdbool.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"
#include "gslb/model/registration.h"

#define PRINCIPAL_OPERATOR_OWNER "operator" /* no token may have this name */

enum principal_kind { PRINCIPAL_NOBODY, PRINCIPAL_OPERATOR, PRINCIPAL_TOKEN, PRINCIPAL_CERTIFICATE };

struct principal {
  enum principal_kind kind;
  char name[64]; /* of the token or control.clients entry, as accept.tokens names it; user's name of an operator */
  bool may_admin;
  bool may_read;
  char subject[64];                   /* certificate: what "{name}" stands for, the first label of its name */
  struct addr address;                /* family 0 on the unix socket */
  struct token_record token;          /* token */
  const struct config_client *client; /* certificate; borrowed from the configuration of the call */
};

bool principal_may_resource(const struct principal *principal, const char *id);
bool principal_may_service(const struct principal *principal, const char *service);
/* By the patterns of its scope; an operator and an admin token may all. */

const char *principal_owner(const struct principal *principal);
/* What resource_record.owner says of it. Borrowed from principal. */

#endif
