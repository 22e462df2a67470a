/* discovery/agent/settings.h
 * What the agent is to do: its configuration file (YAML, by a schema) and the command line above it. Loaded as a whole;
 * what is wrong is told all at once. Immutable afterwards; any thread. */
#ifndef GSLB_DISCOVERY_AGENT_SETTINGS_H
#define GSLB_DISCOVERY_AGENT_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/problem.h"
#include "gslb/base/status.h"
#include "gslb/model/document.h"
#include "gslb/model/registration.h"

struct settings_service {
  const char *name; /* completed with the domain, without the last dot */
  uint16_t port;    /* 0: none */
  uint32_t weight;  /* SETTINGS_NOT_TOLD: the resource's */
  uint32_t tier;
  const char *instance; /* NULL: none */
};
#define SETTINGS_NOT_TOLD UINT32_MAX

enum settings_source { SOURCE_COMMAND, SOURCE_FILE, SOURCE_URL, SOURCE_SOCKET };
struct settings_metric { /* one source of the operator's own figures */
  enum settings_source source;
  const char **command; /* SOURCE_COMMAND: NULL-terminated */
  size_t command_count;
  const char *path; /* SOURCE_FILE, SOURCE_SOCKET */
  const char *url;  /* SOURCE_URL: http or https to an address */
  const char *name; /* of a number alone; NULL: none */
  int64_t interval_ms, timeout_ms;
};

struct settings {
  const char *domain; /* NULL: none */
  const char *url;
  bool is_multicast;
  struct addr *servers;
  size_t server_count;
  const char *id; /* NULL: made from the host's name */
  enum resource_kind kind;
  const char *site;
  struct addr *addresses; /* none: the one that routes to the balancer */
  size_t address_count;
  struct settings_service *services;
  size_t service_count;
  int64_t lease_ms;
  uint32_t weight, tier;
  const char *capacity; /* decimal text; NULL: not told */
  const char *version;
  const char **capabilities;
  size_t capability_count;
  const char **labels; /* "key=value" */
  size_t label_count;
  const char *token; /* NULL: none */
  const char *token_file;
  const char *ca, *certificate, *key;
  const char *balancers; /* "1" to "64", or "all" */
  unsigned balancer_count;
  struct addr listen; /* port 0: the kernel chooses; family 0: the registered address */
  bool has_listener;
  const char *socket;    /* of ctl; NULL: none */
  const char *directory; /* for what is remembered; NULL: none */
  const char *state_file, *jobs_file, *disk;
  const char **interfaces;
  size_t interface_count;
  struct settings_metric *metrics;
  size_t metric_count;
  int64_t timeout_ms, linger_most_ms;
  int log_level;    /* enum log_level */
  int log_format;   /* 1: JSON */
  const char *path; /* of the configuration file; NULL: none */
};

struct settings *settings_load(const char *path, const struct document_node *overlay, struct problems *problems);
/* The file (NULL: none), with what the command line says above it: a mapping of the same keys, whose values replace
 * those of the file (discovery/agent/options); borrowed as long as the settings. Completes names by the domain, reads
 * the token file (GSLB_TOKEN of the environment counts where no token is told). NULL: problems tells why; free it with
 * settings_free. */
struct settings *settings_parse(const char *file, const char *text, size_t length, const struct document_node *overlay,
                                struct problems *problems);
/* The same from a text; file is its name. */
void settings_free(struct settings *settings);
/* NULL is fine. */

char *settings_help(void);
/* Every key of the file; free() it. */

#endif
