#include "probes/kinds/probe.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

bool probe_is_made(enum monitor_type type) {
  return type != MONITOR_SERVICE && type != MONITOR_CALCULATED;
}

const struct probe_kind *probe_kind_of(enum monitor_type type) {
  switch (type) {
  case MONITOR_HTTP:
  case MONITOR_HTTPS:
    return &probe_http;
  case MONITOR_TCP:
    return &probe_tcp;
  case MONITOR_UDP:
    return &probe_udp;
  case MONITOR_DNS:
    return &probe_dns;
  case MONITOR_PING:
    return &probe_ping;
  case MONITOR_FTP:
    return &probe_ftp;
  case MONITOR_SNMP:
    return &probe_snmp;
  case MONITOR_EXEC:
    return &probe_exec;
  case MONITOR_SERVICE:
  case MONITOR_CALCULATED:
    break;
  }
  assert(!"a type of monitor without a kind of probe");
  return NULL;
}

const char *probe_reason_name(enum probe_reason reason) {
  static const char *const names[PROBE_REASONS] = {
      [PROBE_PASSED] = "passed",
      [PROBE_REFUSED] = "refused",
      [PROBE_UNREACHABLE] = "unreachable",
      [PROBE_TIMEOUT_CONNECT] = "timeout_connect",
      [PROBE_TIMEOUT_TLS] = "timeout_tls",
      [PROBE_TIMEOUT_ANSWER] = "timeout_first_byte",
      [PROBE_TIMEOUT_BODY] = "timeout_body",
      [PROBE_CLOSED] = "closed",
      [PROBE_STATUS] = "status",
      [PROBE_NO_MATCH] = "no_match",
      [PROBE_CERTIFICATE] = "certificate",
      [PROBE_NAME] = "name",
      [PROBE_PROTOCOL] = "protocol",
      [PROBE_KILLED] = "killed",
      [PROBE_NOT_MADE] = "not_made",
  };
  assert(reason < PROBE_REASONS);
  return names[reason];
}

bool probe_expectation_met(const struct config_expectation *expectation, const char *bytes, size_t size) {
  return !expectation->text || match_finds(expectation->match, bytes, size) != expectation->is_inverted;
}

void probe_result_mismatch(struct probe_result *result, const struct config_expectation *expectation,
                           const char *what) {
  const char *mark = expectation->is_regex ? "/" : "\"";
  probe_result_set(result, PROBE_NO_MATCH, "%s %s %s%s%s", what, expectation->is_inverted ? "has" : "lacks", mark,
                   expectation->text, mark);
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
  case NET_TIMEOUT_TLS:
    return PROBE_TIMEOUT_TLS;
  case NET_TIMEOUT_ANSWER:
    return PROBE_TIMEOUT_ANSWER;
  case NET_TIMEOUT_BODY:
    return PROBE_TIMEOUT_BODY;
  case NET_CLOSED:
    return PROBE_CLOSED;
  case NET_CERTIFICATE:
    return PROBE_CERTIFICATE;
  case NET_NAME:
    return PROBE_NAME;
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
  bool tells_more =
      outcome == NET_UNREACHABLE || outcome == NET_PROTOCOL || outcome == NET_LOCAL || outcome == NET_CERTIFICATE;
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
