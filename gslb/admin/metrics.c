#include "gslb/admin/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/admin/zone_view.h"
#include "gslb/base/version.h"

static FILE *open_text(char **text, size_t *size) {
  FILE *out = open_memstream(text, size);
  if (!out)
    abort(); /* out of memory, as in gslb/base/memory */
  return out;
}

static void head(FILE *out, const char *name, const char *type, const char *help) {
  fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line feed are escaped, the rest is UTF-8 as it stands. */
static void label(FILE *out, const char *value) {
  fputc('"', out);
  for (; *value; value++) {
    if (*value == '\n') {
      fputs("\\n", out);
      continue;
    }
    if (*value == '"' || *value == '\\')
      fputc('\\', out);
    fputc(*value, out);
  }
  fputc('"', out);
}

/* One family of samples that differ in one label. */
struct counter_sample {
  const char *label;
  enum board_counter counter;
};

static void counters(FILE *out, const struct board *board, const char *name, const char *label_name, const char *help,
                     const struct counter_sample *samples, size_t count) {
  head(out, name, "counter", help);
  for (size_t i = 0; i < count; i++)
    fprintf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label_name, samples[i].label,
            board_total(board, samples[i].counter));
}
#define COUNTERS(out, board, name, label_name, help, samples)                                                          \
  counters(out, board, name, label_name, help, samples, sizeof(samples) / sizeof *(samples))

static void counter(FILE *out, const struct board *board, const char *name, const char *help,
                    enum board_counter which) {
  head(out, name, "counter", help);
  fprintf(out, "%s %" PRIu64 "\n", name, board_total(board, which));
}

static void write_queries(FILE *out, const struct board *board) {
  static const struct counter_sample protocols[] = {{"udp", BOARD_QUERIES_UDP}, {"tcp", BOARD_QUERIES_TCP}};
  static const struct counter_sample rcodes[] = {{"NOERROR", BOARD_NOERROR},   {"FORMERR", BOARD_FORMERR},
                                                 {"SERVFAIL", BOARD_SERVFAIL}, {"NXDOMAIN", BOARD_NXDOMAIN},
                                                 {"NOTIMP", BOARD_NOTIMP},     {"REFUSED", BOARD_REFUSED},
                                                 {"NOTAUTH", BOARD_NOTAUTH},   {"BADVERS", BOARD_BADVERS}};
  static const struct counter_sample drops[] = {{"short", BOARD_DROPPED_SHORT},
                                                {"response", BOARD_DROPPED_RESPONSE},
                                                {"send_failed", BOARD_SEND_FAILED},
                                                {"limited", BOARD_LIMITED_DROPPED}};
  static const struct counter_sample connections[] = {{"opened", BOARD_TCP_OPENED},
                                                      {"closed", BOARD_TCP_CLOSED},
                                                      {"refused", BOARD_TCP_REFUSED},
                                                      {"timed_out", BOARD_TCP_TIMEOUT}};
  COUNTERS(out, board, "gslb_queries_total", "protocol", "DNS queries received.", protocols);
  counter(out, board, "gslb_queries_ipv6_total", "DNS queries that came over IPv6.", BOARD_QUERIES_IPV6);
  COUNTERS(out, board, "gslb_answers_total", "rcode", "DNS responses sent, by response code.", rcodes);
  counter(out, board, "gslb_answers_balanced_total", "Responses that a service's members were drawn for.",
          BOARD_ANSWERS_BALANCED);
  counter(out, board, "gslb_answers_truncated_total", "Responses cut with the TC bit set.", BOARD_TRUNCATED);
  COUNTERS(out, board, "gslb_dropped_total", "reason", "Packets that got no response.", drops);
  COUNTERS(out, board, "gslb_tcp_connections_total", "event", "DNS connections over TCP, by what became of them.",
           connections);
}

static int64_t gauge_of(const struct board *board, enum board_gauge gauge) {
  return atomic_load_explicit(&board->gauges[gauge], memory_order_relaxed);
}

static void gauge(FILE *out, const char *name, const char *type, const char *help, double value) {
  head(out, name, type, help);
  fprintf(out, "%s %.15g\n", name, value);
}

static void write_processes(FILE *out, const struct board *board) {
  head(out, "gslb_process_up", "gauge", "Whether the process runs.");
  for (int i = 0; i < BOARD_PROCESSES; i++)
    fprintf(out, "gslb_process_up{process=\"%s\"} %d\n", board_process_name((enum board_process)i),
            atomic_load_explicit(&board->processes[i].pid, memory_order_relaxed) != 0);
  head(out, "gslb_process_restarts_total", "counter", "How often the process was started again.");
  for (int i = 0; i < BOARD_PROCESSES; i++)
    fprintf(out, "gslb_process_restarts_total{process=\"%s\"} %" PRIu32 "\n", board_process_name((enum board_process)i),
            atomic_load_explicit(&board->processes[i].restarts, memory_order_relaxed));
  head(out, "gslb_process_start_time_seconds", "gauge", "When the process was started, Unix time.");
  for (int i = 0; i < BOARD_PROCESSES; i++)
    fprintf(out, "gslb_process_start_time_seconds{process=\"%s\"} %.3f\n", board_process_name((enum board_process)i),
            (double)atomic_load_explicit(&board->processes[i].started_ms, memory_order_relaxed) / 1000.0);
}

static void write_gauges(FILE *out, const struct board *board) {
  gauge(out, "gslb_probes_running", "gauge", "Probes in flight.", (double)gauge_of(board, BOARD_PROBE_RUNNING));
  gauge(out, "gslb_probe_results_total", "counter", "Results of probes.", (double)gauge_of(board, BOARD_PROBE_RESULTS));
  gauge(out, "gslb_probe_late_seconds", "gauge", "Largest lateness of a probe's start in the last minute.",
        (double)gauge_of(board, BOARD_PROBE_LATE_US) / 1e6);
  gauge(out, "gslb_tables_built_total", "counter", "Answer tables built by dns.",
        (double)gauge_of(board, BOARD_DNS_TABLES_BUILT));
  static const struct {
    const char *process;
    enum board_gauge gauge;
  } generations[] = {{"dns", BOARD_DNS_GENERATION},
                     {"control", BOARD_CONTROL_GENERATION},
                     {"probe", BOARD_PROBE_GENERATION}};
  head(out, "gslb_config_generation", "gauge", "Generation of the configuration that the process uses.");
  for (size_t i = 0; i < sizeof generations / sizeof *generations; i++)
    fprintf(out, "gslb_config_generation{process=\"%s\"} %" PRId64 "\n", generations[i].process,
            gauge_of(board, generations[i].gauge));
  head(out, "gslb_reloads_total", "counter", "Reloads of the configuration, by outcome.");
  fprintf(out, "gslb_reloads_total{outcome=\"taken\"} %" PRId64 "\n", gauge_of(board, BOARD_RELOADS));
  fprintf(out, "gslb_reloads_total{outcome=\"refused\"} %" PRId64 "\n", gauge_of(board, BOARD_RELOADS_REFUSED));
  gauge(out, "gslb_checkpoint_time_seconds", "gauge",
        "When the live store was last copied to disk, Unix time; 0: never.",
        (double)gauge_of(board, BOARD_CHECKPOINT_MS) / 1000.0);
}

static void write_stores(FILE *out, const struct view_sources *sources) {
  static const char *const names[] = {"durable", "live"};
  struct store *stores[] = {sources->durable, sources->live};
  struct store_info infos[2] = {{0}};
  bool is_readable[2];
  for (size_t i = 0; i < 2; i++)
    is_readable[i] = stores[i] && store_info(stores[i], &infos[i]) == STATUS_OK;
  head(out, "gslb_store_readable", "gauge", "Whether the store can be read.");
  for (size_t i = 0; i < 2; i++)
    fprintf(out, "gslb_store_readable{store=\"%s\"} %d\n", names[i], is_readable[i]);
#define STORE_FAMILY(name, help, field)                                                                                \
  head(out, name, "gauge", help);                                                                                      \
  for (size_t i = 0; i < 2; i++)                                                                                       \
  fprintf(out, name "{store=\"%s\"} %" PRIu64 "\n", names[i], (uint64_t)infos[i].field)
  STORE_FAMILY("gslb_store_in_memory", "Whether the store stands on a tmpfs.", is_in_memory);
  STORE_FAMILY("gslb_store_map_bytes", "Size of the store's map, its upper bound.", map_bytes);
  STORE_FAMILY("gslb_store_used_bytes", "Bytes of the map in use.", used_bytes);
  STORE_FAMILY("gslb_store_entries", "Records in the store.", entries);
  STORE_FAMILY("gslb_store_readers", "Reader slots in use.", readers);
  STORE_FAMILY("gslb_store_oldest_reader_transactions", "How many transactions the oldest reader lags.",
               oldest_reader_txns);
#undef STORE_FAMILY
}

/* The exposition wants each family in one block, so services are walked once and each family grows in its own text. */
enum family {
  FAMILY_SERVICE_MODE,
  FAMILY_SERVICE_MEMBERS,
  FAMILY_SERVICE_REGISTERED,
  FAMILY_SERVICE_TTL,
  FAMILY_MEMBER_STATE,
  FAMILY_MEMBER_ANSWERED,
  FAMILY_MEMBER_ANSWERS,
  FAMILY_MEMBER_OVERRIDE,
  FAMILY_MEMBER_STALE,
  FAMILY_MEMBER_UTILIZATION,
  FAMILY_MEMBER_LOAD,
  FAMILY_MEMBER_OVER,
  FAMILY_PROBE_RESPONSE,
  FAMILY_PROBE_PASSED,
  FAMILIES
};
static const struct {
  const char *name, *type, *help;
} families[] = {
    [FAMILY_SERVICE_MODE] = {"gslb_service_mode", "gauge", "1 for the mode that the service is in, 0 for the others."},
    [FAMILY_SERVICE_MEMBERS] = {"gslb_service_members", "gauge", "Members of the service, by state."},
    [FAMILY_SERVICE_REGISTERED] = {"gslb_service_members_registered", "gauge",
                                   "Members of the service that registered."},
    [FAMILY_SERVICE_TTL] = {"gslb_service_ttl_seconds", "gauge", "TTL of the service's answers now."},
    [FAMILY_MEMBER_STATE] = {"gslb_member_state", "gauge", "0 unknown, 1 up, 2 degraded, 3 draining, 4 down."},
    [FAMILY_MEMBER_ANSWERED] = {"gslb_member_answered", "gauge", "Whether answers may hold the member."},
    [FAMILY_MEMBER_ANSWERS] = {"gslb_member_answers_total", "counter", "Answers that held the member."},
    [FAMILY_MEMBER_OVERRIDE] = {"gslb_member_override", "gauge", "Whether an operator's override is in force."},
    [FAMILY_MEMBER_STALE] = {"gslb_member_stale", "gauge",
                             "Whether the registered member's lease is kept although it "
                             "ended."},
    [FAMILY_MEMBER_UTILIZATION] = {"gslb_member_utilization", "gauge",
                                   "What the registered member reported last; 1 is "
                                   "full. Absent without a report."},
    [FAMILY_MEMBER_LOAD] = {"gslb_member_load", "gauge",
                            "The member's load by its service's load section; 1 is full. Absent without any figure."},
    [FAMILY_MEMBER_OVER] = {"gslb_member_over", "gauge",
                            "Whether the member's thresholds of load are passed by the rule."},
    [FAMILY_PROBE_RESPONSE] = {"gslb_probe_response_seconds", "gauge",
                               "Response time of passing probes, moving average."},
    [FAMILY_PROBE_PASSED] = {"gslb_probe_passed", "gauge", "Whether the last probe passed."},
};

struct family_texts {
  FILE *out[FAMILIES];
  char *text[FAMILIES];
  size_t size[FAMILIES];
};

static void begin_sample(FILE *out, enum family family, const char *service) {
  fprintf(out, "%s{service=", families[family].name);
  label(out, service);
}

static void member_sample(struct family_texts *texts, enum family family, const struct config_service *service,
                          size_t member, double value) {
  FILE *out = texts->out[family];
  begin_sample(out, family, service->name);
  fputs(",member=", out);
  label(out, service->members[member].name);
  fprintf(out, "} %.15g\n", value);
}

static void probe_sample(struct family_texts *texts, enum family family, const struct shown *shown, size_t member,
                         size_t address, size_t monitor, double value) {
  const struct config_service *service = shown->facts->service;
  FILE *out = texts->out[family];
  char text[ADDR_TEXT_SIZE];
  begin_sample(out, family, service->name);
  fputs(",member=", out);
  label(out, service->members[member].name);
  fprintf(out, ",address=\"%s\",monitor=", addr_format(&service->members[member].addresses[address], text));
  label(out, shown->config->monitors[service->monitors[monitor]].name);
  fprintf(out, "} %.9g\n", value);
}

static void write_member(struct family_texts *texts, const struct shown *shown, size_t member) {
  const struct config_service *service = shown->facts->service;
  const struct member_state *state = &shown->evaluation->members[member];
  const struct member_facts *facts = &shown->facts->members[member];
  member_sample(texts, FAMILY_MEMBER_STATE, service, member, state->state);
  member_sample(texts, FAMILY_MEMBER_ANSWERED, service, member, state->is_answered);
  member_sample(texts, FAMILY_MEMBER_ANSWERS, service, member, (double)shown_answers(shown->board, facts));
  member_sample(texts, FAMILY_MEMBER_OVERRIDE, service, member,
                facts->override && facts->override->kind != OVERRIDE_NONE &&
                    (facts->override->until_ms == 0 || facts->override->until_ms > shown->now_ms));
  if (service->members[member].is_registered)
    member_sample(texts, FAMILY_MEMBER_STALE, service, member, state->is_stale);
  if (facts->lease && facts->lease->utilization >= 0.0)
    member_sample(texts, FAMILY_MEMBER_UTILIZATION, service, member, facts->lease->utilization);
  if (state->has_load)
    member_sample(texts, FAMILY_MEMBER_LOAD, service, member, state->load);
  if (shown->evaluation->figures)
    member_sample(texts, FAMILY_MEMBER_OVER, service, member, state->is_over || state->is_less_preferred);
  for (size_t a = 0; a < service->members[member].address_count; a++)
    for (size_t m = 0; m < service->monitor_count; m++) {
      const struct health_record *record = &facts->addresses[a].probes[m];
      if (record->last_good_ms)
        probe_sample(texts, FAMILY_PROBE_RESPONSE, shown, member, a, m, (double)record->rtt_mean_us / 1e6);
      if (record->last_ms)
        probe_sample(texts, FAMILY_PROBE_PASSED, shown, member, a, m, record->last_passed);
    }
}

static void write_service(void *context, const struct shown *shown) {
  struct family_texts *texts = context;
  const struct config_service *service = shown->facts->service;
  for (int mode = SERVICE_NORMAL; mode <= SERVICE_DOWN_EMPTY; mode++) {
    FILE *out = texts->out[FAMILY_SERVICE_MODE];
    begin_sample(out, FAMILY_SERVICE_MODE, service->name);
    fprintf(out, ",mode=\"%s\"} %d\n", service_mode_name((enum service_mode)mode),
            mode == (int)shown->evaluation->mode);
  }
  size_t counts[HEALTH_DOWN + 1] = {0}, registered = 0;
  for (size_t i = 0; i < service->member_count; i++) {
    counts[shown->evaluation->members[i].state]++;
    registered += service->members[i].is_registered;
  }
  begin_sample(texts->out[FAMILY_SERVICE_REGISTERED], FAMILY_SERVICE_REGISTERED, service->name);
  fprintf(texts->out[FAMILY_SERVICE_REGISTERED], "} %zu\n", registered);
  for (int state = HEALTH_UNKNOWN; state <= HEALTH_DOWN; state++) {
    FILE *out = texts->out[FAMILY_SERVICE_MEMBERS];
    begin_sample(out, FAMILY_SERVICE_MEMBERS, service->name);
    fprintf(out, ",state=\"%s\"} %zu\n", health_name((enum health)state), counts[state]);
  }
  begin_sample(texts->out[FAMILY_SERVICE_TTL], FAMILY_SERVICE_TTL, service->name);
  fprintf(texts->out[FAMILY_SERVICE_TTL], "} %" PRIu32 "\n", shown->evaluation->ttl_s);
  for (size_t i = 0; i < service->member_count; i++)
    write_member(texts, shown, i);
}

static void write_services(FILE *out, struct view *view) {
  struct family_texts texts;
  for (int i = 0; i < FAMILIES; i++) {
    texts.out[i] = open_text(&texts.text[i], &texts.size[i]);
    head(texts.out[i], families[i].name, families[i].type, families[i].help);
  }
  view_each(view, write_service, &texts);
  for (int i = 0; i < FAMILIES; i++) {
    fclose(texts.out[i]);
    fwrite(texts.text[i], 1, texts.size[i], out);
    free(texts.text[i]);
  }
}

/* Zones */

enum zone_family { ZONE_FAMILY_SERIAL, ZONE_FAMILY_RECORDS, ZONE_FAMILY_EXPIRE, ZONE_FAMILIES };

struct zone_texts {
  FILE *out[ZONE_FAMILIES];
  char *text[ZONE_FAMILIES];
  size_t size[ZONE_FAMILIES];
};

static const struct {
  const char *name, *help;
} zone_families[] = {
    [ZONE_FAMILY_SERIAL] = {"gslb_zone_serial", "Serial of the zone that is served; absent while it is not."},
    [ZONE_FAMILY_RECORDS] = {"gslb_zone_records", "Static records of the zone that is served."},
    [ZONE_FAMILY_EXPIRE] = {"gslb_zone_expire_seconds",
                            "Seconds until the secondary zone expires unless a primary is heard; 0 without a copy."},
};

static void zone_sample(struct zone_texts *texts, enum zone_family family, const struct zone_shown *shown,
                        double value) {
  FILE *out = texts->out[family];
  fprintf(out, "%s{zone=", zone_families[family].name);
  label(out, shown->config->name);
  fprintf(out, "} %.15g\n", value);
}

static void write_zone(void *context, const struct zone_shown *shown) {
  struct zone_texts *texts = context;
  if (shown->image)
    zone_sample(texts, ZONE_FAMILY_SERIAL, shown, shown->image->serial);
  zone_sample(texts, ZONE_FAMILY_RECORDS, shown, shown->image ? shown->image->record_count : 0);
  if (!shown->state)
    return;
  int64_t left_ms = shown->state->expire_ms - shown->now_ms;
  zone_sample(texts, ZONE_FAMILY_EXPIRE, shown, left_ms > 0 ? (double)left_ms / 1000.0 : 0);
}

static void write_zones(FILE *out, struct view *view) {
  struct zone_texts texts;
  for (int i = 0; i < ZONE_FAMILIES; i++) {
    texts.out[i] = open_text(&texts.text[i], &texts.size[i]);
    head(texts.out[i], zone_families[i].name, "gauge", zone_families[i].help);
  }
  zone_view_each(view, write_zone, &texts);
  for (int i = 0; i < ZONE_FAMILIES; i++) {
    fclose(texts.out[i]);
    fwrite(texts.text[i], 1, texts.size[i], out);
    free(texts.text[i]);
  }
}

char *metrics_format(struct view *view, size_t *size) {
  char *text = NULL;
  FILE *out = open_text(&text, size);
  const struct view_sources *sources = view_sources(view);
  head(out, "gslb_build_info", "gauge", "The version that runs; always 1.");
  fprintf(out, "gslb_build_info{version=\"%s\"} 1\n", GSLB_VERSION);
  gauge(out, "gslb_ready", "gauge", "Whether dns serves the current configuration and the stores can be read.",
        view_ready(view, NULL) == STATUS_OK);
  if (sources->board) {
    write_queries(out, sources->board);
    write_processes(out, sources->board);
    write_gauges(out, sources->board);
  }
  write_stores(out, sources);
  write_services(out, view);
  write_zones(out, view);
  fclose(out);
  return text;
}
