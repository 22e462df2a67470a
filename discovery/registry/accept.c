#include "discovery/registry/accept.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discovery/documents/complaint.h"
#include "gslb/base/memory.h"
#include "gslb/model/domain.h"

struct rule {
  const char *name;            /* of a pattern: the base, without "*." */
  struct config_accept accept; /* tokens and networks copied, sites left out: */
  const char *const *sites;    /* by name, NULL-terminated; NULL: any */
  const char *const *members;  /* configured ones, sorted */
  size_t member_count;
  uint32_t ttl_most_s;
};

struct accept_rules {
  atomic_uint holders;
  struct arena arena;
  struct rule *rules; /* services that take registrations, and those that stand where a pattern would create one */
  size_t rule_count;
  struct rule *patterns;
  size_t pattern_count;
  const char **sites; /* all that are configured, sorted */
  size_t site_count;
  struct config_limits limits;
};

static int compare_names(const void *a, const void *b) {
  return strcmp(((const struct rule *)a)->name, ((const struct rule *)b)->name);
}

static int compare_texts(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const struct rule *find(const struct rule *rules, size_t count, const char *name) {
  struct rule wanted = {.name = name};
  return count ? bsearch(&wanted, rules, count, sizeof wanted, compare_names) : NULL;
}

static bool holds_text(const char *const *texts, size_t count, const char *text) {
  return count && bsearch(&text, texts, count, sizeof *texts, compare_texts);
}

static struct rule copy_rule(struct arena *arena, const struct config *config, const struct config_service *service,
                             const char *name) {
  struct rule rule = {.name = arena_strdup(arena, name), .accept = service->accept, .ttl_most_s = service->ttl_max_s};
  size_t tokens = 0;
  while (service->accept.tokens && service->accept.tokens[tokens])
    tokens++;
  const char **copied = arena_array(arena, tokens + 1, sizeof *copied);
  for (size_t i = 0; i < tokens; i++)
    copied[i] = arena_strdup(arena, service->accept.tokens[i]);
  rule.accept.tokens = copied;
  if (service->accept.network_count)
    rule.accept.networks =
        arena_copy(arena, service->accept.networks, service->accept.network_count * sizeof *service->accept.networks);
  if (service->accept.site_count) {
    const char **sites = arena_array(arena, service->accept.site_count + 1, sizeof *sites);
    for (size_t i = 0; i < service->accept.site_count; i++)
      sites[i] = arena_strdup(arena, config->sites[service->accept.sites[i]].name);
    rule.sites = sites;
  }
  rule.accept.sites = NULL;
  const char **members = arena_array(arena, service->member_count + 1, sizeof *members);
  for (size_t i = 0; i < service->member_count; i++)
    members[i] = arena_strdup(arena, service->members[i].name);
  if (service->member_count)
    qsort(members, service->member_count, sizeof *members, compare_texts);
  rule.members = members;
  rule.member_count = service->member_count;
  return rule;
}

static void copy_patterns(struct accept_rules *rules, const struct config *config) {
  size_t count = 0;
  for (size_t i = 0; i < config->service_count; i++)
    count += config->services[i].accept.is_given && config_service_is_pattern(&config->services[i]);
  rules->patterns = arena_array(&rules->arena, count + 1, sizeof *rules->patterns);
  for (size_t i = 0; i < config->service_count; i++) {
    const struct config_service *service = &config->services[i];
    if (service->accept.is_given && config_service_is_pattern(service))
      rules->patterns[rules->pattern_count++] = copy_rule(&rules->arena, config, service, domain_parent(service->name));
  }
  if (count)
    qsort(rules->patterns, rules->pattern_count, sizeof *rules->patterns, compare_names);
}

static bool is_wanted(const struct accept_rules *rules, const struct config_service *service) {
  if (!service->name[0] || config_service_is_pattern(service))
    return false;
  const char *parent = domain_parent(service->name);
  return service->accept.is_given || (parent && find(rules->patterns, rules->pattern_count, parent));
}

static void copy_services(struct accept_rules *rules, const struct config *config) {
  size_t count = 0;
  for (size_t i = 0; i < config->service_count; i++)
    count += is_wanted(rules, &config->services[i]);
  rules->rules = arena_array(&rules->arena, count + 1, sizeof *rules->rules);
  for (size_t i = 0; i < config->service_count; i++)
    if (is_wanted(rules, &config->services[i]))
      rules->rules[rules->rule_count++] =
          copy_rule(&rules->arena, config, &config->services[i], config->services[i].name);
  if (count)
    qsort(rules->rules, rules->rule_count, sizeof *rules->rules, compare_names);
}

struct accept_rules *accept_rules_new(const struct config *config) {
  struct accept_rules *rules = mem_alloc(sizeof *rules);
  atomic_init(&rules->holders, 1);
  rules->limits = config->control.limits;
  rules->sites = arena_array(&rules->arena, config->site_count + 1, sizeof *rules->sites);
  for (size_t i = 0; i < config->site_count; i++)
    rules->sites[rules->site_count++] = arena_strdup(&rules->arena, config->sites[i].name);
  if (rules->site_count)
    qsort(rules->sites, rules->site_count, sizeof *rules->sites, compare_texts);
  copy_patterns(rules, config);
  copy_services(rules, config);
  return rules;
}

struct accept_rules *accept_rules_hold(struct accept_rules *rules) {
  atomic_fetch_add(&rules->holders, 1);
  return rules;
}

void accept_rules_release(struct accept_rules *rules) {
  if (!rules || atomic_fetch_sub(&rules->holders, 1) > 1)
    return;
  arena_release(&rules->arena);
  free(rules);
}

/* The service that stands there, or else the pattern that would create it. */
static const struct rule *rule_of(const struct accept_rules *rules, const char *service, bool *is_pattern) {
  *is_pattern = false;
  const struct rule *rule = find(rules->rules, rules->rule_count, service);
  if (rule)
    return rule->accept.is_given ? rule : NULL;
  const char *parent = domain_parent(service);
  *is_pattern = true;
  return parent ? find(rules->patterns, rules->pattern_count, parent) : NULL;
}

uint32_t accept_ttl_most_s(const struct accept_rules *rules, const char *service) {
  bool is_pattern;
  const struct rule *rule = rule_of(rules, service, &is_pattern);
  return rule ? rule->ttl_most_s : 0;
}

/* A judgement under way: the worse kind of refusal wins, and its first reason is told. */
struct judgement {
  enum status status;
  struct json_t **errors;
  struct errbuf *err;
};

static void refuse(struct judgement *judgement, enum status status, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void refuse(struct judgement *judgement, enum status status, const char *pointer, const char *format, ...) {
  char detail[480];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(detail, sizeof detail, format, arguments);
  va_end(arguments);
  complaint_add(judgement->errors, pointer, "%s", detail);
  if (judgement->status == STATUS_OK || (judgement->status == STATUS_RANGE && status == STATUS_FORBIDDEN))
    judgement->status = errbuf_set(judgement->err, status, "%s", detail);
}

static bool is_trusted(const struct principal *principal) {
  return principal->kind == PRINCIPAL_OPERATOR || principal->may_admin;
}

static void judge_place(struct judgement *judgement, const struct rule *rule, const struct document *document) {
  if (rule->sites) {
    size_t i = 0;
    while (rule->sites[i] && (!document->site || strcmp(rule->sites[i], document->site) != 0))
      i++;
    if (!rule->sites[i])
      refuse(judgement, STATUS_FORBIDDEN, "/site", "%s takes only resources of certain sites, and this is none of them",
             rule->name);
  }
  for (size_t i = 0; rule->accept.network_count && i < document->address_count; i++) {
    char pointer[COMPLAINT_POINTER_SIZE], text[ADDR_TEXT_SIZE];
    if (!prefix_list_contains(rule->accept.networks, rule->accept.network_count, &document->addresses[i]))
      refuse(judgement, STATUS_FORBIDDEN, complaint_pointer_at(pointer, "/addresses", i), "%s takes no resources at %s",
             rule->name, addr_format(&document->addresses[i], text));
  }
}

static void judge_lease(struct judgement *judgement, const struct rule *rule, int64_t lease_ms) {
  const struct config_accept *accept = &rule->accept;
  if (lease_ms == 0 && accept->lease_most_ms != 0)
    refuse(judgement, STATUS_RANGE, "/lease_s", "%s takes no leases without an end; at most %g s", rule->name,
           (double)accept->lease_most_ms / 1000.0);
  else if (lease_ms != 0 && lease_ms < accept->lease_least_ms)
    refuse(judgement, STATUS_RANGE, "/lease_s", "%s takes leases of at least %g s", rule->name,
           (double)accept->lease_least_ms / 1000.0);
  else if (accept->lease_most_ms != 0 && lease_ms > accept->lease_most_ms)
    refuse(judgement, STATUS_RANGE, "/lease_s", "%s takes leases of at most %g s", rule->name,
           (double)accept->lease_most_ms / 1000.0);
}

static void judge_bounds(struct judgement *judgement, const struct rule *rule, const struct document_service *service,
                         const char *parent) {
  const struct config_accept *accept = &rule->accept;
  char pointer[COMPLAINT_POINTER_SIZE];
  if (service->weight < accept->weight_least || service->weight > accept->weight_most)
    refuse(judgement, STATUS_RANGE, complaint_pointer(pointer, parent, "weight"), "%s takes weights from %u to %u",
           rule->name, accept->weight_least, accept->weight_most);
  if (service->tier < accept->tier_least || service->tier > accept->tier_most)
    refuse(judgement, STATUS_RANGE, complaint_pointer(pointer, parent, "tier"), "%s takes tiers from %u to %u",
           rule->name, accept->tier_least, accept->tier_most);
}

static bool takes_principal(const struct rule *rule, const struct principal *principal) {
  if (is_trusted(principal))
    return true;
  for (size_t i = 0; rule->accept.tokens && rule->accept.tokens[i]; i++)
    if (strcmp(rule->accept.tokens[i], principal->name) == 0)
      return true;
  return false;
}

static void judge_service(struct judgement *judgement, const struct accept_rules *rules,
                          const struct principal *principal, const char *id, const struct document *document,
                          size_t index) {
  const struct document_service *service = &document->services[index];
  char parent[COMPLAINT_POINTER_SIZE], pointer[COMPLAINT_POINTER_SIZE];
  complaint_pointer_at(parent, "/services", index);
  complaint_pointer(pointer, parent, "name");
  bool is_pattern;
  const struct rule *rule = rule_of(rules, service->name, &is_pattern);
  if (!principal_may_service(principal, service->name)) {
    refuse(judgement, STATUS_FORBIDDEN, pointer, "\"%s\" may not register for %s", principal_owner(principal),
           service->name);
    return;
  }
  if (!rule) {
    refuse(judgement, STATUS_RANGE, pointer, "no service %s takes registrations", service->name);
    return;
  }
  if (!takes_principal(rule, principal))
    refuse(judgement, STATUS_FORBIDDEN, pointer, "%s takes no registrations by \"%s\"", service->name,
           principal_owner(principal));
  if (holds_text(rule->members, rule->member_count, id))
    refuse(judgement, STATUS_RANGE, pointer, "%s has a configured member of the name %s", service->name, id);
  judge_place(judgement, rule, document);
  judge_lease(judgement, rule, document->lease_ms);
  judge_bounds(judgement, rule, service, parent);
}

enum status accept_check(const struct accept_rules *rules, const struct principal *principal, const char *id,
                         const struct document *document, struct json_t **errors, struct errbuf *err) {
  struct judgement judgement = {STATUS_OK, errors, err};
  if (!principal_may_resource(principal, id))
    refuse(&judgement, STATUS_FORBIDDEN, "", "\"%s\" may not register %s", principal_owner(principal), id);
  if (document->site && !holds_text(rules->sites, rules->site_count, document->site))
    refuse(&judgement, STATUS_RANGE, "/site", "no site of this name is configured");
  for (size_t i = 0; i < document->service_count; i++)
    judge_service(&judgement, rules, principal, id, document, i);
  return judgement.status;
}

static bool holds(const struct tally_holding *holding, const char *service) {
  for (size_t i = 0; holding->owner && i < holding->service_count; i++)
    if (strcmp(holding->services[i], service) == 0)
      return true;
  return false;
}

/* Services below the pattern that registrations created: those that are configured there are not among them. */
static size_t count_created(const struct accept_rules *rules, const struct tally *tally, const struct rule *pattern) {
  size_t count = tally_count(tally, TALLY_BELOW, pattern->name);
  for (size_t i = 0; count > 0 && i < rules->rule_count; i++) {
    const char *parent = domain_parent(rules->rules[i].name);
    if (parent && strcmp(parent, pattern->name) == 0 && tally_count(tally, TALLY_SERVICE, rules->rules[i].name) > 0)
      count--;
  }
  return count;
}

/* How many of the services before this one the registration would create, too. */
static size_t count_creating(const struct accept_rules *rules, const struct tally *tally, const struct rule *pattern,
                             const struct tally_holding *after, size_t index) {
  size_t count = 0;
  for (size_t i = 0; i < index; i++) {
    bool is_pattern;
    count += rule_of(rules, after->services[i], &is_pattern) == pattern &&
             tally_count(tally, TALLY_SERVICE, after->services[i]) == 0;
  }
  return count;
}

static void count_service(struct judgement *judgement, const struct accept_rules *rules, const struct tally *tally,
                          const struct tally_holding *after, size_t index) {
  char pointer[COMPLAINT_POINTER_SIZE];
  complaint_pointer_at(pointer, "/services", index);
  bool is_pattern;
  const char *name = after->services[index];
  const struct rule *rule = rule_of(rules, name, &is_pattern);
  if (!rule)
    return;
  size_t members = tally_count(tally, TALLY_SERVICE, name);
  if (members >= rule->accept.members_most)
    refuse(judgement, STATUS_LIMIT, pointer, "%s has %zu registered members already, and takes no more", name, members);
  else if (is_pattern && members == 0 &&
           count_created(rules, tally, rule) + count_creating(rules, tally, rule, after, index) >=
               rule->accept.services_most)
    refuse(judgement, STATUS_LIMIT, pointer, "registrations have created %u services below %s already, and may no more",
           rule->accept.services_most, rule->name);
}

enum status accept_count(const struct accept_rules *rules, const struct tally *tally,
                         const struct tally_holding *before, const struct tally_holding *after, struct json_t **errors,
                         struct errbuf *err) {
  struct judgement judgement = {STATUS_OK, errors, err};
  size_t resources = tally_count(tally, TALLY_RESOURCES, ""), owned = tally_count(tally, TALLY_OWNER, after->owner);
  if (!before->owner && rules->limits.resources && resources >= rules->limits.resources)
    refuse(&judgement, STATUS_LIMIT, "", "%zu resources are registered, and no more are taken", resources);
  if (!before->owner && rules->limits.resources_per_token && strcmp(after->owner, PRINCIPAL_OPERATOR_OWNER) != 0 &&
      owned >= rules->limits.resources_per_token)
    refuse(&judgement, STATUS_LIMIT, "", "\"%s\" has registered %zu resources, and may no more", after->owner, owned);
  for (size_t i = 0; i < after->service_count; i++)
    if (!holds(before, after->services[i]))
      count_service(&judgement, rules, tally, after, i);
  return judgement.status;
}
