#include "discovery/agent/ctl_client.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "discovery/agent/ctl.h"
#include "discovery/agent/metric_set.h"
#include "discovery/agent/state.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/scalar.h"

#define STANDARD_DIRECTORY "/run/gslb-agent"
#define ANSWER_MOST (1u << 20)
#define PATIENCE_S 10
#define JOBS_MOST 1000000000
#define EXIT_USAGE 2

static const char usage[] =
    "usage: gslb-agent ctl [--socket PATH] COMMAND\n"
    "\n"
    "  status                    with which balancers it is registered, and what it tells them\n"
    "  up                        this machine takes clients\n"
    "  drain [REASON]            no new ones, unless nothing else is left\n"
    "  maint [REASON]            none at all\n"
    "  report [NAME=VALUE...]    tell balancers at once, with these figures added\n"
    "  job done SECONDS [COUNT]  a job has ended that kept it busy for so long; or COUNT of them\n"
    "\n"
    "The socket is gslb-agent.sock in $RUNTIME_DIRECTORY, or else in " STANDARD_DIRECTORY ".\n";

static enum status request_report(int count, char **words, json_t *request, struct errbuf *err) {
  json_t *metrics = value_must(json_object());
  json_object_set_new(request, "metrics", metrics);
  for (int i = 0; i < count; i++) {
    char *equals = strchr(words[i], '=');
    double value;
    if (!equals || scalar_decimal(equals + 1, &value) != STATUS_OK)
      return errbuf_set(err, STATUS_INVALID, "%s is not NAME=VALUE with a number", words[i]);
    *equals = '\0';
    json_object_set_new(metrics, words[i], value_must(json_real(value)));
  }
  return STATUS_OK;
}

static enum status request_job(int count, char **words, json_t *request, struct errbuf *err) {
  double busy_s;
  int64_t jobs = 1;
  if (count < 2 || count > 3 || strcmp(words[0], "done") != 0)
    return errbuf_set(err, STATUS_INVALID, "it is: job done SECONDS [COUNT]");
  if (scalar_decimal(words[1], &busy_s) != STATUS_OK || busy_s < 0)
    return errbuf_set(err, STATUS_INVALID, "%s is no number of seconds", words[1]);
  if (count == 3 && (scalar_number(words[2], &jobs) != STATUS_OK || jobs < 1 || jobs > JOBS_MOST))
    return errbuf_set(err, STATUS_INVALID, "%s is no number of jobs", words[2]);
  json_object_set_new(request, "busy_s", value_must(json_real(busy_s)));
  json_object_set_new(request, "count", value_must(json_integer((json_int_t)jobs)));
  return STATUS_OK;
}

static void add_reason(int count, char **words, json_t *request) {
  char reason[sizeof((struct self *)NULL)->reason] = "";
  size_t length = 0;
  for (int i = 0; i < count && length < sizeof reason; i++)
    length += (size_t)snprintf(reason + length, sizeof reason - length, "%s%s", i ? " " : "", words[i]);
  json_object_set_new(request, "reason", value_text(reason));
}

enum status ctl_client_request(int count, char **words, json_t **out, struct errbuf *err) {
  if (count < 1)
    return errbuf_set(err, STATUS_INVALID, "which command?");
  json_t *request = value_must(json_object());
  json_object_set_new(request, "command", value_text(words[0]));
  enum self_state state;
  enum status status = STATUS_OK;
  if (self_state_parse(words[0], &state) == STATUS_OK)
    add_reason(count - 1, words + 1, request);
  else if (strcmp(words[0], "report") == 0)
    status = request_report(count - 1, words + 1, request, err);
  else if (strcmp(words[0], "job") == 0)
    status = request_job(count - 1, words + 1, request, err);
  else if (strcmp(words[0], "status") != 0 || count > 1)
    status = errbuf_set(err, STATUS_INVALID, "no such command: %s", words[count > 1 ? 1 : 0]);
  if (status == STATUS_OK)
    *out = request;
  else
    json_decref(request);
  return status;
}

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const struct timeval patience = {.tv_sec = PATIENCE_S};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static enum status exchange(const char *path, json_t *request, json_t **out, struct errbuf *err) {
  char *line = value_dump(request);
  int fd = connect_to(path);
  if (fd < 0) {
    free(line);
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  }
  size_t length = strlen(line), capacity = 0, size = 0;
  bool is_sent = send(fd, line, length, MSG_NOSIGNAL) == (ssize_t)length;
  char *text = mem_grow(NULL, &capacity, 4096, 1);
  ssize_t got;
  while (is_sent && size < ANSWER_MOST && (got = recv(fd, text + size, capacity - size, 0)) > 0) {
    size += (size_t)got;
    text = mem_grow(text, &capacity, size + 4096, 1);
  }
  close(fd);
  *out = json_loadb(text, size, 0, NULL);
  free(text);
  free(line);
  return *out ? STATUS_OK : errbuf_set(err, STATUS_IO, "%s: the agent does not answer", path);
}

static int ask(const char *path, json_t *request) {
  struct errbuf err;
  json_t *answer;
  if (exchange(path, request, &answer, &err) != STATUS_OK) {
    fprintf(stderr, "gslb-agent: %s\n", err.text);
    return EXIT_FAILURE;
  }
  const char *error = json_string_value(json_object_get(answer, "error"));
  /* alone it refuses the command; a status may hold one as well, of the balancer */
  bool is_wrong = error && json_object_size(answer) == 1;
  if (is_wrong) {
    fprintf(stderr, "gslb-agent: %s\n", error);
  } else {
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
  }
  json_decref(answer);
  return is_wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}

int ctl_client_run(int argc, char **argv) {
  static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  const char *path = NULL;
  optind = 0;
  for (int code; (code = getopt_long(argc, argv, "+s:h", options, NULL)) != -1;) {
    if (code == 's') {
      path = optarg;
      continue;
    }
    fputs(usage, code == 'h' ? stdout : stderr);
    return code == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
  }
  json_t *request;
  struct errbuf err;
  if (ctl_client_request(argc - optind, argv + optind, &request, &err) != STATUS_OK) {
    fprintf(stderr, "gslb-agent: %s\nTry gslb-agent ctl --help.\n", err.text);
    return EXIT_USAGE;
  }
  const char *directory = getenv("RUNTIME_DIRECTORY");
  char *standard = mem_format("%s/gslb-agent.sock", directory ? directory : STANDARD_DIRECTORY);
  int status = ask(path ? path : standard, request);
  free(standard);
  return status;
}
