#include "gslb/admin/load_routes.h"

#include <jansson.h>

#include "gslb/net/reply.h"

void load_routes_get(struct visit *visit) {
  struct view_name name;
  json_t *load = NULL;
  if (view_find(visit->view, visit->parts[0], visit->parts[1], &name, NULL) == STATUS_OK)
    load = view_load(visit->view, &name);
  if (load)
    reply_json(visit->call, 200, load);
  else
    reply_problem(visit->call, 404, "no member is called \"%s/%s\"", visit->parts[0], visit->parts[1]);
}
