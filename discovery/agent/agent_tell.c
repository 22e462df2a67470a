#include "discovery/agent/agent_private.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/value.h"

#define PUSHED_MOST_MS (5 * 60 * 1000) /* figures that ctl gave are not told for longer */

struct self agent_self(const struct agent *agent) {
  return agent->file_state.state > agent->state.self.state ? agent->file_state : agent->state.self;
}

bool agent_read_state_file(struct agent *agent) {
  struct self self = {.state = SELF_UP};
  struct errbuf err;
  bool is_good = !agent->settings->state_file || self_read_file(agent->settings->state_file, &self, &err) == STATUS_OK;
  if (!is_good && !agent->was_file_wrong)
    log_warning("state file: %s; what it said before holds", err.text);
  agent->was_file_wrong = !is_good;
  if (!is_good || (self.state == agent->file_state.state && strcmp(self.reason, agent->file_state.reason) == 0))
    return false;
  agent->file_state = self;
  return true;
}

static bool is_wanted(const struct agent *agent, const char *metric) {
  char longer[96];
  snprintf(longer, sizeof longer, "named_metrics.%s", metric);
  return session_wants(agent->session, metric) || session_wants(agent->session, longer);
}

static void collect(struct agent *agent, bool is_all, struct metric_set *out) {
  struct metric_set system = {0};
  int64_t now = mono_now_ms();
  /* the own figures first: they are what must find room */
  if (now - agent->pushed_ms <= PUSHED_MOST_MS)
    metric_set_add(out, &agent->pushed);
  own_metrics_read(agent->own, now, out);
  if (agent->system)
    system_metrics_read(agent->system, now, &system);
  for (size_t i = 0; i < system.count; i++)
    if ((is_all || is_wanted(agent, system.values[i].name)) && !metric_set_find(out, system.values[i].name))
      metric_set_put(out, system.values[i].name, system.values[i].value);
}

static bool read_jobs(const struct agent *agent, struct jobs *out) {
  struct errbuf err;
  *out = agent->state.jobs;
  if (agent->settings->jobs_file) {
    struct jobs told;
    enum status status = jobs_read_file(agent->settings->jobs_file, &told, &err);
    if (status == STATUS_OK)
      *out = told;
    else if (status != STATUS_NOTFOUND)
      log_debug("jobs file: %s", err.text);
  }
  return out->done > 0;
}

static json_t *jobs_document(const struct jobs *jobs) {
  json_t *document = value_must(json_pack("{s:I, s:f}", "done", (json_int_t)jobs->done, "busy_s", jobs->busy_s));
  if (jobs->last_ended_ms)
    json_object_set_new(document, "last_ended_at", value_time(jobs->last_ended_ms));
  return document;
}

static json_t *document_of(struct agent *agent, bool is_all) {
  json_t *document = value_must(json_object());
  struct self self = agent_self(agent);
  struct metric_set set = {0};
  struct jobs jobs;
  json_object_set_new(document, "state", value_text(self_state_name(self.state)));
  if (self.reason[0])
    json_object_set_new(document, "reason", value_text(self.reason));
  collect(agent, is_all, &set);
  metric_set_write(&set, document);
  if (read_jobs(agent, &jobs))
    json_object_set_new(document, "jobs", jobs_document(&jobs));
  return document;
}

json_t *agent_report(void *context) {
  struct agent *agent = context;
  agent_check_address(agent);
  return document_of(agent, false);
}

json_t *agent_utilization(void *context) {
  return document_of(context, true);
}

static void remember(struct agent *agent) {
  struct errbuf err;
  if (agent->directory && agent_state_save(agent->directory, &agent->state, &err) != STATUS_OK)
    log_error("what happened is not remembered: %s", err.text);
}

static json_t *problem(const char *text) {
  return value_must(json_pack("{s:s}", "error", text));
}

static json_t *set_state(struct agent *agent, enum self_state state, const json_t *request) {
  const char *reason = json_string_value(json_object_get(request, "reason"));
  agent->state.self.state = state;
  snprintf(agent->state.self.reason, sizeof agent->state.self.reason, "%s", reason ? reason : "");
  remember(agent);
  if (agent->session)
    session_report_now(agent->session);
  struct self self = agent_self(agent);
  log_info("this machine is \"%s\" by command%s%s", self_state_name(state), reason && *reason ? ": " : "",
           reason ? reason : "");
  return value_must(json_pack("{s:s, s:o}", "state", self_state_name(self.state), "reason", value_text(self.reason)));
}

static json_t *take_metrics(struct agent *agent, const json_t *request) {
  const char *name;
  json_t *value;
  struct metric_set set = {0};
  if (mono_now_ms() - agent->pushed_ms <= PUSHED_MOST_MS)
    set = agent->pushed;
  json_object_foreach(json_object_get(request, "metrics"), name, value) {
    if (!json_is_number(value) || !metric_set_put(&set, name, json_number_value(value)))
      return problem("that is no figure, or there are too many");
  }
  agent->pushed = set;
  agent->pushed_ms = mono_now_ms();
  if (agent->session)
    session_report_now(agent->session);
  return agent_utilization(agent);
}

static json_t *count_job(struct agent *agent, const json_t *request) {
  const json_t *busy = json_object_get(request, "busy_s"), *count = json_object_get(request, "count");
  if (!json_is_number(busy) || json_number_value(busy) < 0 || (count && json_integer_value(count) < 1))
    return problem("a job has busy_s, seconds, and perhaps a count");
  if (agent->settings->jobs_file)
    return problem("jobs are counted by the jobs file");
  agent->state.jobs.done += count ? (uint64_t)json_integer_value(count) : 1;
  agent->state.jobs.busy_s += json_number_value(busy);
  agent->state.jobs.last_ended_ms = session_unix_ms();
  remember(agent);
  return jobs_document(&agent->state.jobs);
}

static json_t *status_document(struct agent *agent) {
  json_t *document = agent->session ? session_document(agent->session)
                                    : value_must(json_pack("{s:s, s:s}", "id", agent->state.id, "state", "looking"));
  json_object_set_new(document, "report", agent_utilization(agent));
  json_object_set(document, "registration", agent->registration ? agent->registration : json_null());
  return document;
}

json_t *agent_command(void *context, const json_t *request) {
  struct agent *agent = context;
  const char *command = json_string_value(json_object_get(request, "command"));
  enum self_state state;
  if (command && self_state_parse(command, &state) == STATUS_OK)
    return set_state(agent, state, request);
  if (command && strcmp(command, "status") == 0)
    return status_document(agent);
  if (command && strcmp(command, "report") == 0)
    return take_metrics(agent, request);
  if (command && strcmp(command, "job") == 0)
    return count_job(agent, request);
  return problem("there are status, up, drain, maint, report and job");
}
