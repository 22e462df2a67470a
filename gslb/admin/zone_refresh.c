#include "gslb/admin/zone_refresh.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "gslb/model/chronicle.h"
#include "gslb/net/reply.h"
#include "gslb/base/value.h"

void zone_refresh(struct http_call *call, const struct view *view, struct committer *committer, size_t zone,
                  const char *who) {
  const struct config_zone *config = &view_config(view)->zones[zone];
  const struct view_sources *sources = view_sources(view);
  if (!sources->zones || sources->zones->refresh(sources->zones->context, config) != STATUS_OK) {
    reply_problem(call, 503, "nobody keeps the zone %s", config->name);
    return;
  }
  struct audit_record audit = {.at_ms = house_now_ms(&sources->house), .action = "refresh"};
  snprintf(audit.who, sizeof audit.who, "%s", who);
  snprintf(audit.subject, sizeof audit.subject, "zone %s", config->name);
  snprintf(audit.detail, sizeof audit.detail, "asked for");
  chronicle_queue_audit(committer, &audit);
  reply_json(call, 202, json_pack("{s:o}", "zone", value_text(config->name)));
}
