/* probes/kinds/probe.h
 * One try to reach one address the way a monitor says, and what came of it. A kind of probe is one file that fills a
 * struct probe_kind. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_KINDS_PROBE_H
#define GSLB_PROBES_KINDS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"
#include "gslb/net/ftp_client.h"
#include "gslb/net/http_client.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"
#include "gslb/net/resolver.h"

struct commands;
struct pinger;
struct snmp_client;

enum probe_reason {
  PROBE_PASSED,
  PROBE_REFUSED,
  PROBE_UNREACHABLE,
  PROBE_TIMEOUT_CONNECT,
  PROBE_TIMEOUT_TLS,
  PROBE_TIMEOUT_ANSWER, /* not a byte of an answer in time */
  PROBE_TIMEOUT_BODY,   /* an answer that began, and was not whole in time */
  PROBE_CLOSED,
  PROBE_STATUS,   /* a proper answer with another status than expected: HTTP, FTP, rcode, exit status */
  PROBE_NO_MATCH, /* a proper answer without the text, record or value expected */
  PROBE_CERTIFICATE,
  PROBE_NAME, /* the certificate is for another name */
  PROBE_PROTOCOL,
  PROBE_KILLED,   /* a command that its time-out ended */
  PROBE_NOT_MADE, /* this machine could not try; tells nothing about the address */
  PROBE_REASONS
};
const char *probe_reason_name(enum probe_reason reason);
/* As in the names of metrics: "refused", "timeout_first_byte", "no_match". */

struct probe_result {
  enum probe_reason reason;
  uint32_t rtt_us; /* from the start to the end of the answer; with a failure: until that was known */
  uint64_t bytes;  /* of the answer, as far as the kind counts them */
  char text[96];   /* for people: "status 200", "connection refused", "status 503, expected 200" */
};

struct probe_target {
  const struct config *config;
  const struct config_monitor *monitor;
  const char *service; /* its name */
  struct addr address; /* with the monitor's port */
};

struct probe_tools { /* shared by all probes of the process */
  struct loop *loop;
  struct http_client *http;
  struct ftp_client *ftp;
  struct resolver *resolver;
  struct snmp_client *snmp;
  struct pinger *pinger;     /* NULL: no ping is sent */
  struct commands *commands; /* NULL: no command is run */
};

typedef void probe_done(void *context, const struct probe_result *result);

struct probe_call {
  const struct probe_target *target; /* borrowed until the run ends; its monitor may be replaced by an equal one */
  probe_done *done;
  void *context;
};

struct probe_run; /* each kind has its own */

struct probe_kind {
  struct probe_run *(*start)(const struct probe_tools *tools, const struct probe_call *call);
  /* Copies the call. done is called once, from the loop and never within start, at the latest after the monitor's
   * time-out; the run is then over and its handle void. result is borrowed until done returns. */
  void (*cancel)(struct probe_run *run);
  /* Ends the run; done is not called any more. */
};

extern const struct probe_kind probe_http, probe_tcp, probe_udp, probe_dns, probe_ping, probe_ftp, probe_snmp,
    probe_exec;

bool probe_is_made(enum monitor_type type);
/* Whether monitors of that type are probed; the others are decided from what is known (gslb/decide). */
const struct probe_kind *probe_kind_of(enum monitor_type type);
/* Of a type that is probed. */

bool probe_expectation_met(const struct config_expectation *expectation, const char *bytes, size_t size);
/* Without a text to expect: true. bytes[size] is NUL. */
void probe_result_mismatch(struct probe_result *result, const struct config_expectation *expectation, const char *what);
/* PROBE_NO_MATCH; what: "body", "answer", "file". */

void probe_result_failed(struct probe_result *result, enum net_outcome outcome, const char *detail);
/* Fills reason and text from the way an exchange failed (not NET_ANSWERED); detail as in gslb/net, "" for none. */
void probe_result_set(struct probe_result *result, enum probe_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The text is cut at its size; control characters (a body to expect may have several lines) become blanks. */

#endif
