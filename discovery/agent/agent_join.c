#include "discovery/agent/agent_private.h"

#include <string.h>

#include <systemd/sd-daemon.h>

#include <jansson.h>

#include "discovery/agent/registration.h"
#include "gslb/base/log.h"

#define LOOK_MS 10000

struct session_place agent_place(const struct agent *agent) {
  const struct settings *settings = agent->settings;
  /* beside multicast a domain completes names only */
  return (struct session_place){.url = settings->url,
                                .domain = settings->is_multicast ? NULL : settings->domain,
                                .is_multicast = settings->is_multicast,
                                .servers = settings->servers,
                                .server_count = settings->server_count};
}

static enum status take_notice(void *context, const char *signature, const char *body, size_t size,
                               struct errbuf *err) {
  struct agent *agent = context;
  if (!agent->session)
    return errbuf_set(err, STATUS_FORBIDDEN, "no balancer is known yet");
  enum status status = session_notice(agent->session, signature, body, size, err);
  if (status)
    log_warning("a notice is not heeded: %s", err->text);
  return status;
}

static bool is_where(const struct service *service, const struct addr *listen) {
  struct addr wanted = *listen;
  if (wanted.port == 0)
    wanted.port = service_address(service)->port;
  return addr_equal(&wanted, service_address(service));
}

static void start_service(struct agent *agent) {
  static const struct service_handlers handlers = {.utilization = agent_utilization, .notice = take_notice};
  const struct settings *settings = agent->settings;
  struct errbuf err;
  struct addr listen = settings->listen.family ? settings->listen : agent->addresses[0];
  if (!settings->listen.family)
    listen.port = 0;
  if (settings->has_listener && agent->service && is_where(agent->service, &listen))
    return;
  service_stop(agent->service);
  agent->service = NULL;
  if (!settings->has_listener)
    return;
  if (service_start(agent->loop, &listen, &handlers, agent, &agent->service, &err) != STATUS_OK) {
    agent->service = NULL;
    log_warning("utilization and notices are not served: %s", err.text);
  }
}

static void registered(void *context, const char *balancer, bool is_first) {
  struct agent *agent = context;
  log_info("registered with %s as %s", balancer, agent->state.id);
  sd_notifyf(0, "STATUS=registered with %s as %s", balancer, agent->state.id);
  (void)is_first;
}

static void lost(void *context, const char *balancer, const char *why) {
  (void)context;
  log_warning("balancer %s is lost: %s", balancer, why);
  sd_notifyf(0, "STATUS=lost %s", balancer);
}

static void refused(void *context, unsigned status, const char *detail) {
  (void)context;
  log_error("refused by %s%s", detail, status == 410 ? "; it is not asked again" : "");
  sd_notifyf(0, "STATUS=refused by %s", detail);
}

static void ended(void *context, int64_t serve_until_unix_ms) {
  struct agent *agent = context;
  int64_t left = serve_until_unix_ms - session_unix_ms();
  if (left > agent->settings->linger_most_ms)
    left = agent->settings->linger_most_ms;
  if (left < 0)
    left = 0;
  log_info("deregistered; clients may come for %.1f s more", (double)left / 1000.0);
  loop_timer_after(agent->end_timer, left);
}

static void start_session(struct agent *agent) {
  static const struct session_events events = {.report = agent_report,
                                               .registered = registered,
                                               .lost = lost,
                                               .ended = ended,
                                               .refused = refused};
  const struct settings *settings = agent->settings;
  const struct session_options options = {.id = agent->state.id,
                                          .registration = agent->registration,
                                          .place = agent_place(agent),
                                          .token = settings->token,
                                          .ca = settings->ca,
                                          .certificate = settings->certificate,
                                          .key = settings->key,
                                          .balancers = settings->balancer_count,
                                          .timeout_ms = settings->timeout_ms};
  agent->session = session_new(agent->loop, &options, &events, agent);
}

static void join_at(struct agent *agent) {
  start_service(agent);
  json_decref(agent->registration);
  agent->registration = registration_document(agent->settings, agent->addresses, agent->address_count,
                                              agent->service ? service_address(agent->service) : NULL);
  if (agent->session)
    session_set_registration(agent->session, agent->registration);
  else
    start_session(agent);
}

static void look_again(struct agent *agent, const char *why) {
  int64_t pause = session_pause_ms(agent->find_failures++, SESSION_PAUSE_BASE_MS, &agent->random);
  log_warning("no balancer found: %s; looking again in %.1f s", why, (double)pause / 1000.0);
  loop_timer_after(agent->find_timer, pause);
}

static void found(void *context, enum status status, const struct finder_target *targets, size_t count,
                  const char *detail) {
  struct agent *agent = context;
  struct errbuf err;
  agent->finder = NULL;
  if (status != STATUS_OK) {
    look_again(agent, detail && detail[0] ? detail : status_name(status));
    return;
  }
  for (size_t i = 0; i < count; i++)
    if (registration_route(&targets[i].address, &agent->addresses[0], &err) == STATUS_OK) {
      agent->address_count = 1;
      join_at(agent);
      return;
    }
  look_again(agent, err.text);
}

void agent_join(struct agent *agent) {
  const struct settings *settings = agent->settings;
  if (settings->address_count) {
    agent->address_count = settings->address_count;
    memcpy(agent->addresses, settings->addresses, settings->address_count * sizeof *settings->addresses);
    join_at(agent);
    return;
  }
  const struct session_place place = agent_place(agent);
  agent->finder = finder_start(agent->loop, &place, &agent->random, LOOK_MS, found, agent);
}

void agent_join_again(struct agent *agent) {
  if (!agent->session) {
    finder_cancel(agent->finder);
    agent->finder = NULL;
    loop_timer_after(agent->find_timer, 0);
    return;
  }
  struct addr balancer;
  struct errbuf err;
  if (agent->settings->address_count) {
    agent_join(agent);
  } else if (session_balancer(agent->session, &balancer) &&
             registration_route(&balancer, &agent->addresses[0], &err) == STATUS_OK) {
    agent->address_count = 1;
    join_at(agent);
  } else {
    join_at(agent); /* at the address that was good before */
  }
}

void agent_check_address(struct agent *agent) {
  struct addr balancer, own;
  if (agent->settings->address_count || !agent->session || agent->is_ending ||
      !session_balancer(agent->session, &balancer) || registration_route(&balancer, &own, NULL) != STATUS_OK ||
      addr_equal(&own, &agent->addresses[0]))
    return;
  /* not within the report that is being written */
  loop_timer_after(agent->move_timer, 0);
}
