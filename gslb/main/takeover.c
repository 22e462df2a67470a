#include "gslb/main/takeover.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/main/sandbox.h"
#include "gslb/main/supervisor_private.h"

#define TAKE_PATIENCE_MS 30000
#define RESTART_PATIENCE_MS 5000
#define ANSWER_GOES_OUT_MS 250
#define QUEUES_DRAIN_MS 100

void takeover_init(struct supervisor *supervisor) {
  supervisor->takeover =
      (struct takeover){.compiler = COMPILER_NONE, .dns_stop_ms = PROCESS_NEVER, .control_stop_ms = PROCESS_NEVER};
}

static void answer_askers(struct supervisor *supervisor, enum status status, const char *text) {
  struct channel_message *message = &supervisor->message;
  *message = (struct channel_message){.kind = CHANNEL_RELOADED,
                                      .status = status,
                                      .generation = supervisor->generation,
                                      .length = strlen(text)};
  memcpy(message->text, text, message->length);
  int channel = supervisor->processes[BOARD_CONTROL].channel;
  for (; supervisor->takeover.askers > 0; supervisor->takeover.askers--)
    if (channel >= 0 && channel_send(channel, message) != STATUS_OK)
      log_warning("control does not take the answer to its reload request");
}

static void end_run(struct supervisor *supervisor, enum status status, const char *text) {
  answer_askers(supervisor, status, text);
  supervisor->takeover.phase = TAKEOVER_IDLE;
  sd_notifyf(0, "READY=1\nSTATUS=serving generation %llu%s", (unsigned long long)supervisor->generation,
             status == STATUS_OK ? "" : "; the last reload was refused");
}

static void refuse(struct supervisor *supervisor, enum status status, const char *text) {
  log_error("reload refused, generation %llu stays:", (unsigned long long)supervisor->generation);
  char *lines = mem_strdup(text), *rest = lines, *line;
  while ((line = strsep(&rest, "\n")) != NULL)
    if (*line)
      log_error("%s", line);
  free(lines);
  atomic_fetch_add_explicit(&supervisor->board->gauges[BOARD_RELOADS_REFUSED], 1, memory_order_relaxed);
  end_run(supervisor, status, text);
}

static void begin_run(struct supervisor *supervisor) {
  struct takeover *takeover = &supervisor->takeover;
  takeover->is_wanted_again = false;
  takeover->askers = takeover->next_askers;
  takeover->next_askers = 0;
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reading the configuration", (long long)mono_now_us());
  struct errbuf err = {0};
  const struct reload reload = {.path = supervisor->path,
                                .who = &supervisor->identity,
                                .config = supervisor->current.config,
                                .running = &supervisor->current};
  if (reload_start(&takeover->compiler, &reload, &err) != STATUS_OK) {
    refuse(supervisor, STATUS_IO, err.text);
    return;
  }
  supervisor->compiler_pid = takeover->compiler.pid;
  takeover->phase = TAKEOVER_COMPILING;
}

static bool can_begin(const struct takeover *takeover) {
  return takeover->phase == TAKEOVER_IDLE && takeover->control_stop_ms == PROCESS_NEVER;
}

void takeover_request(struct supervisor *supervisor, const char *who, bool is_asker) {
  struct takeover *takeover = &supervisor->takeover;
  log_info("reload asked for by %.100s", who);
  takeover->is_wanted_again = true;
  if (is_asker)
    takeover->next_askers++;
  if (can_begin(takeover))
    begin_run(supervisor);
}

static void send_config(struct supervisor *supervisor, struct process *process, int64_t now_ms) {
  struct channel_message *message = &supervisor->message;
  *message = (struct channel_message){.kind = CHANNEL_CONFIG,
                                      .generation = supervisor->generation,
                                      .length = strlen(supervisor->path)};
  memcpy(message->text, supervisor->path, message->length);
  message->fds[message->fd_count++] = supervisor->current.text;
  if (process->role == BOARD_DNS || process->role == BOARD_CONTROL)
    message->fds[message->fd_count++] = supervisor->current.image;
  if (process->role == BOARD_PROBE && supervisor->sockets.trap >= 0)
    message->fds[message->fd_count++] = supervisor->sockets.trap;
  if (process->channel >= 0 && channel_send(process->channel, message) == STATUS_OK) {
    process->taking_until_ms = now_ms + TAKE_PATIENCE_MS;
    return;
  }
  log_error("%s (pid %d) does not listen to the supervisor: ended", board_process_name(process->role),
            (int)process->pid);
  process_kill(process, now_ms);
}

static void tell_children(struct supervisor *supervisor, bool probe_stays, int64_t now_ms) {
  bool dns_restarts = supervisor->takeover.dns_stop_ms != PROCESS_NEVER;
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++) {
    struct process *process = &supervisor->processes[i];
    /* one that is absent or on its way out is followed by one that starts with the new configuration */
    if (process->state != PROCESS_STARTING && process->state != PROCESS_SERVING)
      continue;
    bool is_replaced = i == BOARD_DNS ? dns_restarts : i == BOARD_CONTROL && supervisor->takeover.control_restarts;
    if (i == BOARD_PROBE && !probe_stays)
      process_stop(process, now_ms); /* its fence has no door to the new certificates */
    else if (!is_replaced)
      send_config(supervisor, process, now_ms);
  }
}

static bool is_same_limit(const struct config_rate_limit *a, const struct config_rate_limit *b) {
  return a->responses_per_s == b->responses_per_s && a->total_per_s == b->total_per_s && a->slip == b->slip &&
         a->ipv4_bits == b->ipv4_bits && a->ipv6_bits == b->ipv6_bits && a->exempt_count == b->exempt_count &&
         (!a->exempt_count || memcmp(a->exempt, b->exempt, a->exempt_count * sizeof *a->exempt) == 0);
}

/* What the dns child fixes when it starts its workers. */
static bool fits_dns(const struct config_server *a, const struct config_server *b) {
  return a->udp_payload == b->udp_payload && a->has_udp_segmentation == b->has_udp_segmentation &&
         a->has_cpu_affinity == b->has_cpu_affinity && a->tcp_connections == b->tcp_connections &&
         a->tcp_per_client == b->tcp_per_client && a->tcp_idle_ms == b->tcp_idle_ms &&
         is_same_limit(&a->rate_limit, &b->rate_limit);
}

static bool is_same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

/* What control fixes when it starts its servers; certificates that are where they were are read again without that. */
static bool fits_control(const struct config_control *a, const struct config_control *b) {
  return a->limits.connections == b->limits.connections &&
         a->limits.connections_per_client == b->limits.connections_per_client && a->tls.is_given == b->tls.is_given &&
         is_same_text(a->tls.client_ca, b->tls.client_ca);
}

static void commit(struct supervisor *supervisor, struct candidate *next, struct sockets *sockets, int64_t now_ms) {
  struct candidate old = supervisor->current;
  struct sockets old_sockets = supervisor->sockets;
  supervisor->current = *next;
  supervisor->sockets = *sockets;
  supervisor->generation++;
  struct takeover *takeover = &supervisor->takeover;
  takeover->phase = TAKEOVER_TAKING;
  takeover->until_ms = now_ms + TAKE_PATIENCE_MS + RESTART_PATIENCE_MS;
  takeover->control_restarts = !sockets_serve_same_control(&old_sockets, &supervisor->sockets) ||
                               !fits_control(&old.config->control, &supervisor->current.config->control) ||
                               !sandbox_has_same_files(SANDBOX_CONTROL, old.config, supervisor->current.config);
  child_set_log(supervisor->current.config, BOARD_SUPERVISOR);
  bool dns_stays = sockets_serve_same_names(&old_sockets, &supervisor->sockets) &&
                   fits_dns(&old.config->server, &supervisor->current.config->server);
  /* the old child answers what waits in the sockets that go */
  bool is_draining = sockets_retire(&old_sockets, &supervisor->sockets);
  takeover->dns_stop_ms = dns_stays ? PROCESS_NEVER : now_ms + (is_draining ? QUEUES_DRAIN_MS : 0);
  tell_children(supervisor, sandbox_has_same_files(SANDBOX_PROBE, old.config, supervisor->current.config), now_ms);
  sockets_release(&old_sockets, &supervisor->sockets);
  candidate_release(&old);
}

void takeover_compiled(struct supervisor *supervisor, int64_t now_ms) {
  struct candidate next = CANDIDATE_NONE;
  char *problems = NULL;
  enum status status = reload_finish(&supervisor->takeover.compiler, supervisor->path, &next, &problems);
  if (status != STATUS_OK) {
    refuse(supervisor, status, problems);
    free(problems);
    return;
  }
  struct errbuf err = {0};
  struct sockets sockets = SOCKETS_NONE;
  status = reload_check(supervisor->current.config, next.config, &err);
  if (status == STATUS_OK)
    status = sockets_open(next.config, supervisor->identity.uid, supervisor->identity.gid, &supervisor->sockets,
                          &sockets, &err);
  if (status != STATUS_OK) {
    candidate_release(&next);
    char *text = mem_format("%s: %s\n", supervisor->path, err.text);
    refuse(supervisor, status, text);
    free(text);
    return;
  }
  sockets_tune(&sockets, &next.config->server);
  commit(supervisor, &next, &sockets, now_ms);
}

static bool has_switched(const struct supervisor *supervisor, size_t role) {
  const struct process *process = &supervisor->processes[role];
  if (role == BOARD_CONTROL && supervisor->takeover.control_restarts)
    return true;
  if (process->generation != supervisor->generation || process->taking_until_ms != PROCESS_NEVER)
    return false;
  return process->state == PROCESS_SERVING || (process->state == PROCESS_STARTING && role != BOARD_DNS);
}

static void finish_taking(struct supervisor *supervisor, int64_t now_ms) {
  bool is_late = supervisor->takeover.until_ms <= now_ms;
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++) {
    if (has_switched(supervisor, i))
      continue;
    if (!is_late)
      return;
    log_warning("%s does not serve generation %llu yet", board_process_name((enum board_process)i),
                (unsigned long long)supervisor->generation);
  }
  const struct config *config = supervisor->current.config;
  atomic_fetch_add_explicit(&supervisor->board->gauges[BOARD_RELOADS], 1, memory_order_relaxed);
  log_info("reloaded: generation %llu with %zu zones and %zu services", (unsigned long long)supervisor->generation,
           config->zone_count, config_count_services(config));
  char text[48];
  snprintf(text, sizeof text, "generation %llu", (unsigned long long)supervisor->generation);
  end_run(supervisor, STATUS_OK, text);
  if (supervisor->takeover.control_restarts)
    supervisor->takeover.control_stop_ms = now_ms + ANSWER_GOES_OUT_MS;
}

static void stop_if_due(struct supervisor *supervisor, enum board_process role, int64_t *due_ms, int64_t now_ms) {
  if (*due_ms > now_ms)
    return;
  *due_ms = PROCESS_NEVER;
  struct process *process = &supervisor->processes[role];
  /* one that died meanwhile came back with the new sockets */
  if (process->generation != supervisor->generation && process->state != PROCESS_ABSENT)
    process_stop(process, now_ms);
}

void takeover_progress(struct supervisor *supervisor, int64_t now_ms) {
  struct takeover *takeover = &supervisor->takeover;
  stop_if_due(supervisor, BOARD_DNS, &takeover->dns_stop_ms, now_ms);
  if (takeover->phase == TAKEOVER_TAKING)
    finish_taking(supervisor, now_ms);
  stop_if_due(supervisor, BOARD_CONTROL, &takeover->control_stop_ms, now_ms);
  if (takeover->is_wanted_again && can_begin(takeover))
    begin_run(supervisor);
}

void takeover_forget_askers(struct supervisor *supervisor) {
  supervisor->takeover.askers = 0;
  supervisor->takeover.next_askers = 0;
}

int64_t takeover_due_ms(const struct supervisor *supervisor) {
  const struct takeover *takeover = &supervisor->takeover;
  if (takeover->phase == TAKEOVER_COMPILING)
    return takeover->compiler.until_ms;
  int64_t due_ms = takeover->phase == TAKEOVER_TAKING ? takeover->until_ms : PROCESS_NEVER;
  if (takeover->dns_stop_ms < due_ms)
    due_ms = takeover->dns_stop_ms;
  return takeover->control_stop_ms < due_ms ? takeover->control_stop_ms : due_ms;
}
