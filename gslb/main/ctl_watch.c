#include "gslb/main/ctl_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/main/ctl_http.h"
#include "gslb/main/ctl_table.h"

static void print_change(const struct ctl_line *line, const json_t *change) {
  if (line->is_json) {
    json_dumpf(change, stdout, JSON_COMPACT);
    putchar('\n');
    return;
  }
  const char *from = json_string_value(json_object_get(change, "from"));
  const char *to = json_string_value(json_object_get(change, "to"));
  const char *what = json_string_value(json_object_get(change, "change"));
  const char *parts[] = {"resource", "service", "member", "identity"};
  struct ctl_table row;
  ctl_table_begin(&row, (const char *const[]){NULL});
  row.columns = 4;
  ctl_table_add(&row, ctl_time_text(change, "at"));
  ctl_table_add(&row, mem_strdup(ctl_text(change, "kind")));
  char *subject = mem_strdup("");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const char *part = json_string_value(json_object_get(change, parts[i]));
    if (!part || !part[0])
      continue;
    char *longer = mem_format("%s%s%s", subject, subject[0] ? " " : "", part);
    free(subject);
    subject = longer;
  }
  ctl_table_add(&row, subject);
  const char *reason = json_string_value(json_object_get(change, "reason"));
  ctl_table_add(&row, mem_format("%s%s%s%s%s%s", what ? what : "", from ? from : "", from && to ? " -> " : "",
                                 to ? to : "", reason && reason[0] ? "  " : "", reason ? reason : ""));
  ctl_table_end(&row, "");
}

int ctl_watch(const struct ctl_line *line, struct ctl_source *source) {
  char *position = line->since ? mem_strdup(line->since) : NULL;
  enum status status;
  struct errbuf err;
  do {
    char path[2048] = "/v1/watch";
    json_t *page = NULL, *change;
    size_t index;
    ctl_http_argument(path, sizeof path, "since", position);
    ctl_http_argument(path, sizeof path, "kind", line->kind);
    ctl_http_argument(path, sizeof path, "resource", line->resource);
    ctl_http_argument(path, sizeof path, "service", line->service);
    status = ctl_write(source, "GET", path, NULL, &page, &err);
    if (status != STATUS_OK)
      break;
    json_array_foreach(json_object_get(page, "changes"), index, change) print_change(line, change);
    free(position);
    position = mem_strdup(ctl_text(page, "position"));
    json_decref(page);
  } while (fflush(stdout) == 0);
  free(position);
  return status == STATUS_OK ? EXIT_SUCCESS : ctl_fail(source, &err);
}
