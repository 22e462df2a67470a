#include "gslb/main/ctl_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "gslb/admin/zone_view.h"
#include "gslb/base/memory.h"
#include "gslb/main/ctl_http.h"
#include "zones/compile/compile.h"

void ctl_source_init(struct ctl_source *source, const char *socket, struct config *config) {
  *source = (struct ctl_source){.socket = socket, .config = config};
}

void ctl_source_release(struct ctl_source *source) {
  free(source->details);
  if (source->view)
    view_release(source->view);
  else
    config_free(source->config);
  store_close(source->durable);
  store_close(source->live);
}

static void add_detail(struct ctl_source *source, const char *before, const char *text) {
  char *details = mem_format("%s%s%s\n", source->details ? source->details : "", before, text);
  free(source->details);
  source->details = details;
}

static void add_candidates(struct ctl_source *source, const json_t *candidates) {
  for (size_t i = 0; i < json_array_size(candidates); i++) {
    const char *name = json_string_value(json_array_get(candidates, i));
    add_detail(source, "", name ? name : "?");
  }
}

/* What a problem document says, for a person. */
static enum status refuse(struct ctl_source *source, const struct ctl_reply *reply, struct errbuf *err) {
  json_t *document = json_loadb(reply->body, reply->size, 0, NULL);
  const char *detail = json_string_value(json_object_get(document, "detail"));
  if (detail)
    errbuf_set(err, STATUS_INVALID, "%s", detail);
  else
    errbuf_set(err, STATUS_INVALID, "the daemon answers with HTTP status %ld", reply->status);
  const json_t *errors = json_object_get(document, "errors");
  for (size_t i = 0; i < json_array_size(errors); i++) {
    const json_t *value = json_array_get(errors, i);
    const char *pointer = json_string_value(json_object_get(value, "pointer"));
    const char *why = json_string_value(json_is_string(value) ? value : json_object_get(value, "detail"));
    char before[128] = "";
    if (pointer)
      snprintf(before, sizeof before, "%.120s ", pointer[0] == '/' ? pointer + 1 : pointer);
    add_detail(source, before, why ? why : "is wrong");
  }
  add_candidates(source, json_object_get(document, "candidates"));
  json_decref(document);
  return STATUS_INVALID;
}

static enum status call(struct ctl_source *source, const char *method, const char *path, const char *body, json_t **out,
                        struct errbuf *err) {
  struct ctl_reply reply;
  enum status status = ctl_http_call(source->socket, method, path, body, &reply, err);
  if (status)
    return status;
  if (reply.status < 200 || reply.status > 299) {
    status = refuse(source, &reply, err);
  } else {
    *out = reply.size ? json_loadb(reply.body, reply.size, 0, NULL) : NULL;
    if (reply.size && !*out)
      status = errbuf_set(err, STATUS_INVALID, "%s answers with something that is not JSON", source->socket);
  }
  free(reply.body);
  return status;
}

void ctl_member_path(const char *before, const struct ctl_question *question, char *out, size_t size) {
  char service[1024] = "", member[512];
  if (question->service)
    ctl_http_escape(question->service, service, sizeof service);
  ctl_http_escape(question->member, member, sizeof member);
  snprintf(out, size, "%s/%s%s%s", before, service, service[0] ? "/" : "", member);
}

static void records_path(const struct ctl_question *question, char *out, size_t size) {
  char zone[1024], name[3 * NAME_TEXT_SIZE], type[64] = "";
  ctl_http_escape(question->zone, zone, sizeof zone);
  ctl_http_escape(question->name, name, sizeof name);
  if (question->type)
    ctl_http_escape(question->type, type, sizeof type);
  snprintf(out, size, "/v1/zones/%s/records?name=%s%s%s", zone, name, type[0] ? "&type=" : "", type);
}

static void question_path(const struct ctl_question *question, char *out, size_t size) {
  char service[1024] = "", state[256] = "";
  if (question->service)
    ctl_http_escape(question->service, service, sizeof service);
  if (question->state)
    ctl_http_escape(question->state, state, sizeof state);
  switch (question->subject) {
  case CTL_STATUS:
    snprintf(out, size, "/v1/status");
    break;
  case CTL_SERVICES:
    snprintf(out, size, "/v1/services");
    break;
  case CTL_MEMBERS:
    snprintf(out, size, "/v1/members%s%s%s%s", service[0] ? "?service=" : "", service,
             !state[0]    ? ""
             : service[0] ? "&state="
                          : "?state=",
             state);
    break;
  case CTL_MEMBER:
    ctl_member_path("/v1/members", question, out, size);
    break;
  case CTL_LOAD:
    ctl_member_path("/v1/members", question, out, size - sizeof "/load");
    strcat(out, "/load");
    break;
  case CTL_EVENTS:
    snprintf(out, size, "/v1/events?limit=%zu%s%s", question->limit, service[0] ? "&service=" : "", service);
    break;
  case CTL_ZONES:
    snprintf(out, size, "/v1/zones");
    break;
  case CTL_RECORDS:
    records_path(question, out, size);
    break;
  }
}

/* House time goes on from the newest that is stored, as at a start of the daemon. */
static struct house house_of(struct store *durable, struct store *live) {
  int64_t newest_ms = 0, time_ms;
  if (durable && store_newest_time(durable, &time_ms) == STATUS_OK)
    newest_ms = time_ms;
  if (live && store_newest_time(live, &time_ms) == STATUS_OK && time_ms > newest_ms)
    newest_ms = time_ms;
  return house_start(newest_ms);
}

static void open_stores(struct ctl_source *source, const struct errbuf *why) {
  const struct config_server *server = &source->config->server;
  fprintf(stderr, "gslbctl: no daemon runs (%s): reading the stores\n", why->text);
  struct errbuf err;
  if (store_open(server->state, STORE_DURABLE, STORE_READ, &source->durable, &err) != STATUS_OK)
    fprintf(stderr, "gslbctl: durable store: %s\n", err.text);
  if (store_open(server->run, STORE_LIVE, STORE_READ, &source->live, &err) != STATUS_OK)
    fprintf(stderr, "gslbctl: live store: %s\n", err.text);
  struct view_sources sources = {.durable = source->durable,
                                 .live = source->live,
                                 .house = house_of(source->durable, source->live)};
  source->view = view_new(source->config, 0, &sources);
}

static enum status compile_zones(struct ctl_source *source, struct errbuf *err) {
  fprintf(stderr, "gslbctl: no daemon runs (%s): compiling the configuration's zones\n", err->text);
  struct problems problems = {0};
  int image = -1;
  enum status status = zones_compile(source->config, &image, &problems);
  if (status == STATUS_OK) {
    struct view_sources sources = {.house = house_start(0)};
    source->view = view_new(source->config, 0, &sources);
    status = view_map_image(source->view, image, err);
    close(image);
  } else {
    problems_sort(&problems);
    free(source->details);
    source->details = problems_format(&problems);
    errbuf_set(err, status, "the zones cannot be compiled");
  }
  problems_release(&problems);
  return status;
}

static enum status find(struct ctl_source *source, const struct ctl_question *question, struct view_name *name,
                        struct errbuf *err) {
  json_t *candidates = NULL;
  enum status status = view_find(source->view, question->service, question->member, name, &candidates);
  if (status == STATUS_NOTFOUND)
    errbuf_set(err, status, "no member is called \"%s%s%s\"", question->service ? question->service : "",
               question->service ? "/" : "", question->member);
  if (status == STATUS_CONFLICT) {
    errbuf_set(err, status, "several services have a member \"%s\"", question->member);
    add_candidates(source, candidates);
    json_decref(candidates);
  }
  return status;
}

static enum status read_stores(struct ctl_source *source, const struct ctl_question *question, json_t **out,
                               struct errbuf *err) {
  struct view *view = source->view;
  struct view_filter filter = {.service = question->service, .state = question->state};
  struct view_name name;
  enum status status;
  switch (question->subject) {
  case CTL_STATUS:
    *out = view_status(view);
    return STATUS_OK;
  case CTL_SERVICES:
    *out = view_services(view);
    return STATUS_OK;
  case CTL_MEMBERS:
    if (filter.service && config_find_service(source->config, filter.service) == SIZE_MAX)
      return errbuf_set(err, STATUS_NOTFOUND, "no service is called \"%s\"", filter.service);
    *out = view_members(view, &filter);
    return STATUS_OK;
  case CTL_MEMBER:
    status = find(source, question, &name, err);
    if (status == STATUS_OK)
      *out = view_member(view, name);
    return status;
  case CTL_LOAD:
    status = find(source, question, &name, err);
    if (status != STATUS_OK)
      return status;
    *out = view_load(view, &name);
    return *out ? STATUS_OK : errbuf_set(err, STATUS_NOTFOUND, "member %s/%s has gone", name.service, name.member);
  case CTL_EVENTS:
    return view_events(view, question->limit, question->service, out, err);
  case CTL_ZONES:
    *out = zone_view_list(view);
    return STATUS_OK;
  case CTL_RECORDS:
    break;
  }
  return zone_view_records(view, zone_view_find(view, question->zone),
                           &(struct zone_question){question->name, question->type}, out, err);
}

enum status ctl_read(struct ctl_source *source, const struct ctl_question *question, json_t **out, struct errbuf *err) {
  if (!source->view) {
    char path[8192];
    question_path(question, path, sizeof path);
    enum status status = call(source, "GET", path, NULL, out, err);
    if (status != STATUS_NODATA || !source->config)
      return status;
    if (question->subject != CTL_ZONES && question->subject != CTL_RECORDS)
      open_stores(source, err);
    else if ((status = compile_zones(source, err)) != STATUS_OK)
      return status;
  }
  return read_stores(source, question, out, err);
}

enum status ctl_write(struct ctl_source *source, const char *method, const char *path, const char *body, json_t **out,
                      struct errbuf *err) {
  enum status status = call(source, method, path, body, out, err);
  return status == STATUS_NODATA ? errbuf_prefix(err, status, "no daemon runs: ") : status;
}
