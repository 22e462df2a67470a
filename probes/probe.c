#include "probes/probe.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

const struct probe_kind *probe_kind_of(enum monitor_type type) {
  switch (type) {
  case MONITOR_HTTP:
    return &probe_http;
  case MONITOR_TCP:
    return &probe_tcp;
  case MONITOR_DNS:
    return &probe_dns;
  }
  assert(!"a type of monitor without a kind of probe");
  return NULL;
}

static enum probe_reason reason_of(enum net_outcome outcome) {
  switch (outcome) {
  case NET_ANSWERED:
    return PROBE_PASSED;
  case NET_REFUSED:
    return PROBE_REFUSED;
  case NET_UNREACHABLE:
    return PROBE_UNREACHABLE;
  case NET_TIMEOUT_CONNECT:
    return PROBE_TIMEOUT_CONNECT;
  case NET_TIMEOUT_ANSWER:
    return PROBE_TIMEOUT_ANSWER;
  case NET_CLOSED:
    return PROBE_CLOSED;
  case NET_PROTOCOL:
    return PROBE_PROTOCOL;
  case NET_LOCAL:
    return PROBE_NOT_MADE;
  }
  assert(!"an outcome without a reason");
  return PROBE_NOT_MADE;
}

void probe_result_failed(struct probe_result *result, enum net_outcome outcome, const char *detail) {
  assert(outcome != NET_ANSWERED);
  /* the other outcomes say all there is to say */
  bool tells_more = outcome == NET_UNREACHABLE || outcome == NET_PROTOCOL || outcome == NET_LOCAL;
  if (tells_more && *detail)
    probe_result_set(result, reason_of(outcome), "%s: %s", net_outcome_text(outcome), detail);
  else
    probe_result_set(result, reason_of(outcome), "%s", net_outcome_text(outcome));
}

static void drop_cut_character(char *text, size_t length) {
  /* the text travels on as UTF-8, so a sequence that does not fit goes as a whole */
  size_t start = length;
  while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
    start--;
  if (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0xc0)
    text[start - 1] = '\0';
}

void probe_result_set(struct probe_result *result, enum probe_reason reason, const char *format, ...) {
  va_list args;
  va_start(args, format);
  result->reason = reason;
  int wanted = vsnprintf(result->text, sizeof result->text, format, args);
  if (wanted >= (int)sizeof result->text)
    drop_cut_character(result->text, sizeof result->text - 1);
  for (char *at = result->text; *at; at++)
    if ((unsigned char)*at < ' ')
      *at = ' ';
  va_end(args);
}
