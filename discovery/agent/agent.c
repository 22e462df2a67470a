#include "discovery/agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include <jansson.h>

#include "discovery/agent/agent_private.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define WATCH_MS 1000 /* of the state file */

static void find_again(void *context) {
  agent_join(context);
}

static void move(void *context) {
  struct agent *agent = context;
  log_info("this machine's address has changed");
  agent_join_again(agent);
}

static void end(void *context) {
  struct agent *agent = context;
  loop_stop(agent->loop);
}

static void watch(void *context) {
  struct agent *agent = context;
  if (agent_read_state_file(agent)) {
    log_info("this machine is \"%s\" by its state file%s%s", self_state_name(agent->file_state.state),
             agent->file_state.reason[0] ? ": " : "", agent->file_state.reason);
    if (agent->session)
      session_report_now(agent->session);
  }
  loop_timer_after(agent->watch_timer, WATCH_MS);
}

static void first_figures(void *context) {
  struct agent *agent = context;
  if (agent->session)
    session_report_now(agent->session);
}

static void start_metrics(struct agent *agent) {
  const struct settings *settings = agent->settings;
  system_metrics_free(agent->system);
  own_metrics_free(agent->own);
  const char *disk = settings->disk ? settings->disk : agent->directory ? agent->directory : "/";
  const char *const *interfaces = settings->interface_count ? settings->interfaces : NULL;
  agent->system = settings->kind == RESOURCE_CLOUD ? NULL : system_metrics_new(disk, interfaces);
  agent->own = own_metrics_new(agent->loop, settings->metrics, settings->metric_count,
                               settings->metric_count ? first_figures : NULL, agent);
}

static bool is_other(const char *a, const char *b) {
  return (a || b) && (!a || !b || strcmp(a, b) != 0);
}

static void warn_of_lasting(const struct settings *old, const struct settings *now) {
  if (is_other(old->domain, now->domain) || is_other(old->url, now->url) || old->is_multicast != now->is_multicast ||
      is_other(old->id, now->id) || is_other(old->ca, now->ca) || is_other(old->certificate, now->certificate) ||
      is_other(old->key, now->key) || is_other(old->socket, now->socket) || is_other(old->directory, now->directory) ||
      old->balancer_count != now->balancer_count)
    log_warning("where balancers are looked for, id, certificates, socket and state are taken over at the next start");
}

static void reload(struct agent *agent) {
  struct problems problems = {0};
  struct settings *settings = settings_load(agent->config, agent->overlay, &problems);
  if (!settings) {
    char *text = problems_format(&problems);
    log_error("the configuration is not taken over:\n%s", text);
    free(text);
    problems_release(&problems);
    return;
  }
  problems_release(&problems);
  struct settings *old = agent->settings;
  warn_of_lasting(old, settings);
  agent->settings = settings;
  log_setup("gslb-agent", (enum log_level)settings->log_level, settings->log_format == 1);
  start_metrics(agent); /* before what it borrows goes */
  settings_free(old);
  agent_read_state_file(agent);
  if (agent->session)
    session_set_token(agent->session, settings->token);
  agent_join_again(agent);
  log_info("the configuration is taken over");
}

static void leave(struct agent *agent, int signal) {
  if (agent->is_ending || !agent->session) {
    loop_stop(agent->loop);
    return;
  }
  log_info("%s: leaving", strsignal(signal));
  sd_notify(0, "STOPPING=1\nSTATUS=leaving");
  agent->is_ending = true;
  session_leave(agent->session);
}

static void signalled(void *context, int events) {
  (void)events;
  struct agent *agent = context;
  struct signalfd_siginfo info;
  while (read(agent->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo != SIGHUP)
      leave(agent, (int)info.ssi_signo);
    else if (!agent->is_ending)
      reload(agent);
  }
}

static enum status open_signals(struct agent *agent, struct errbuf *err) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  signal(SIGPIPE, SIG_IGN);
  sigprocmask(SIG_BLOCK, &set, NULL);
  agent->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  agent->signal_poll = agent->signals >= 0 ? loop_poll_new(agent->loop, agent->signals, signalled, agent) : NULL;
  if (!agent->signal_poll)
    return errbuf_set(err, STATUS_IO, "signalfd: %s", strerror(errno));
  loop_poll_watch(agent->signal_poll, LOOP_READABLE);
  return STATUS_OK;
}

static char *directory_of(const char *told, const char *variable) {
  const char *directory = told ? told : getenv(variable);
  return directory && directory[0] ? mem_strdup(directory) : NULL;
}

static enum status recall(struct agent *agent, struct errbuf *err) {
  agent->directory = directory_of(agent->settings->directory, "STATE_DIRECTORY");
  enum status status = agent->directory ? agent_state_load(agent->directory, &agent->state, err) : STATUS_NOTFOUND;
  if (status != STATUS_OK && status != STATUS_NOTFOUND)
    return status;
  if (agent->settings->id) {
    snprintf(agent->state.id, sizeof agent->state.id, "%s", agent->settings->id);
  } else if (!agent->state.id[0]) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    agent_state_make_id(host, agent->state.id);
  }
  return agent->directory ? agent_state_save(agent->directory, &agent->state, err) : STATUS_OK;
}

static enum status open_ctl(struct agent *agent, struct errbuf *err) {
  char *run = agent->settings->socket ? NULL : directory_of(NULL, "RUNTIME_DIRECTORY");
  if (agent->settings->socket)
    agent->socket = mem_strdup(agent->settings->socket);
  else if (run)
    agent->socket = mem_format("%s/gslb-agent.sock", run);
  free(run);
  return agent->socket ? ctl_start(agent->loop, agent->socket, agent_command, agent, &agent->ctl, err) : STATUS_OK;
}

static void release(struct agent *agent) {
  finder_cancel(agent->finder);
  session_free(agent->session);
  service_stop(agent->service);
  ctl_stop(agent->ctl);
  own_metrics_free(agent->own);
  system_metrics_free(agent->system);
  loop_timer_free(agent->find_timer);
  loop_timer_free(agent->watch_timer);
  loop_timer_free(agent->move_timer);
  loop_timer_free(agent->end_timer);
  loop_poll_free(agent->signal_poll);
  if (agent->signals >= 0)
    close(agent->signals);
  loop_free(agent->loop);
  json_decref(agent->registration);
  settings_free(agent->settings);
  free(agent->directory);
  free(agent->socket);
  free(agent);
}

int agent_run(struct settings *settings, const char *config, const struct document_node *overlay) {
  struct agent *agent = mem_alloc(sizeof *agent);
  struct errbuf err;
  *agent = (struct agent){.settings = settings, .config = config, .overlay = overlay, .signals = -1};
  log_setup("gslb-agent", (enum log_level)settings->log_level, settings->log_format == 1);
  random_seed_system(&agent->random);
  agent->loop = loop_new();
  agent->find_timer = loop_timer_new(agent->loop, find_again, agent);
  agent->watch_timer = loop_timer_new(agent->loop, watch, agent);
  agent->move_timer = loop_timer_new(agent->loop, move, agent);
  agent->end_timer = loop_timer_new(agent->loop, end, agent);
  enum status status = open_signals(agent, &err);
  if (status == STATUS_OK)
    status = recall(agent, &err);
  if (status == STATUS_OK)
    status = open_ctl(agent, &err);
  if (status == STATUS_OK) {
    agent_read_state_file(agent);
    start_metrics(agent);
    agent_join(agent);
    loop_timer_after(agent->watch_timer, WATCH_MS);
    sd_notify(0, "READY=1\nSTATUS=looking for a balancer");
    loop_run(agent->loop);
  } else {
    log_error("%s", err.text);
  }
  release(agent);
  return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
