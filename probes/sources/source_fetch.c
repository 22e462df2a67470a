#include "probes/sources/source_fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "gslb/net/url.h"

struct source_run {
  const struct source_target *target;
  const struct source_form *form;
  struct http_transfer *transfer; /* NULL: there is nothing to ask */
  struct loop_timer *timer;       /* of that */
  source_done *done;
  void *context;
};

static void release(struct source_run *run) {
  loop_timer_free(run->timer);
  free(run);
}

static void tell(struct source_run *run, const struct source_reading *reading) {
  run->done(run->context, reading);
  release(run);
}

static void read_body(const struct source_run *run, const struct http_reply *reply, struct source_values *values,
                      struct source_reading *reading) {
  struct errbuf err = {0};
  char text[sizeof reading->text];
  if (reply->outcome != NET_ANSWERED) {
    source_reading_failed(reading, reply->outcome, reply->detail);
  } else if (reply->status < 200 || reply->status > 299) {
    snprintf(text, sizeof text, "status %d", reply->status);
    source_reading_set(reading, PROBE_STATUS, text);
  } else if (reply->body_length >= run->form->body_most) {
    snprintf(text, sizeof text, "its body has %zu bytes or more", run->form->body_most);
    source_reading_set(reading, PROBE_PROTOCOL, text);
  } else if (run->form->read(run->target, reply->body, reply->body_length, values, &err) != STATUS_OK) {
    source_reading_set(reading, PROBE_PROTOCOL, err.text);
  } else {
    source_reading_set(reading, PROBE_PASSED, "");
    reading->values = values->items;
    reading->count = values->count;
  }
}

static void finished(void *context, const struct http_reply *reply) {
  struct source_run *run = context;
  struct source_values values = {.count = 0};
  struct source_reading reading = {.weight_percent = SOURCE_NO_WEIGHT};
  read_body(run, reply, &values, &reading);
  tell(run, &reading);
  arena_release(&values.arena);
}

static void nothing_to_ask(void *context) {
  struct source_reading reading = {.weight_percent = SOURCE_NO_WEIGHT};
  source_reading_set(&reading, PROBE_PROTOCOL, "its URL is none");
  tell(context, &reading);
}

struct source_run *source_fetch_start(const struct probe_tools *tools, const struct source_target *target,
                                      const struct source_form *form, source_done *done, void *context) {
  const struct config_source *source = target->source;
  struct source_run *run = mem_alloc(sizeof *run);
  *run = (struct source_run){.target = target, .form = form, .done = done, .context = context};
  struct http_request request = {
      .address = target->address,
      .host = source->host ? source->host : target->service,
      .path = source->path ? source->path : "/",
      .timeout_ms = source->timeout_ms,
      .body_most = form->body_most,
      .headers = form->headers,
      .is_tls = source->is_tls,
      .server_name = source->tls.server_name,
      .is_unverified = source->tls.is_unverified,
      .ca = source->tls.ca,
      .certificate = source->tls.certificate,
      .key = source->tls.key,
  };
  struct url url;
  char host[ADDR_TEXT_SIZE + 8], text[ADDR_TEXT_SIZE];
  if (target->url && url_parse(target->url, &url, NULL) != STATUS_OK) {
    run->timer = loop_timer_new(tools->loop, nothing_to_ask, run);
    loop_timer_after(run->timer, 0);
    return run;
  }
  if (target->url) {
    addr_format(&url.address, text);
    snprintf(host, sizeof host, url.address.family == 6 ? "[%s]:%u" : "%s:%u", text, url.address.port);
    request.address = url.address;
    request.host = host;
    request.path = url.target;
    request.is_tls = url.is_tls;
  }
  run->transfer = http_client_start(tools->http, &request, finished, run);
  return run;
}

void source_fetch_cancel(struct source_run *run) {
  if (run->transfer)
    http_client_cancel(run->transfer);
  release(run);
}
