/* gslb/model/config_control.h
 * The part of the configuration that is about control: its listeners, who may ask, how resources find it, and the
 * other balancers. Part of struct config (gslb/model/config), immutable. */
#ifndef GSLB_MODEL_CONFIG_CONTROL_H
#define GSLB_MODEL_CONFIG_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/prefix.h"
#include "gslb/model/position.h"

struct config_tls {
  bool is_given;
  const char *certificate; /* absolute path, PEM, the server's own first */
  const char *key;         /* absolute path, PEM */
  const char *client_ca;   /* absolute path, PEM: who signs clients' certificates; NULL: none is asked for */
};

struct config_client { /* who shows a certificate with this name may register */
  struct config_pos pos;
  const char *name;        /* as in accept.tokens; one label */
  const char *certificate; /* DNS name in the certificate, "*" allowed as its first label */
  const char *const
      *resources;              /* patterns of ids, NULL-terminated; "{name}" stands for the certificate's first label */
  const char *const *services; /* patterns of service names, NULL-terminated */
};

struct config_limits {             /* of the interface */
  uint32_t connections;            /* at once over TCP */
  uint32_t connections_per_client; /* of one address; 0: no limit */
  uint32_t requests_per_s;         /* of one address, changes only; 0: no limit; loopback is not exempt */
  uint32_t resources;              /* registrations at once, in all */
  uint32_t resources_per_token;    /* and of one token or client */
};

struct config_control {
  struct addr listen;
  bool has_listen;
  const char *socket; /* absolute path of the unix socket; default state/control.sock */
  struct config_tls tls;
  bool is_insecure;      /* said explicitly: another address than loopback without TLS or with reads for anyone */
  bool reads_need_token; /* over TCP; /healthz, /readyz and the page's own files never do */
  struct config_client *clients;
  size_t client_count;
  struct config_limits limits;
  /* how this balancer is named to resources, in _gslb-register._tcp.<zone> */
  const char *advertise_name; /* one label; default gslb-<identity's first label> */
  struct addr *advertise;     /* addresses with port; default: the listener's, unless that is the unspecified address */
  size_t advertise_count;
  uint16_t advertise_priority;
  uint16_t advertise_weight;
  int64_t leave_ms; /* how long before its end a stopping control keeps serving, so that resources move */
};

struct config_peer { /* another balancer of ours */
  struct config_pos pos;
  const char *identity; /* its server.identity */
  struct addr address;  /* of its interface, with port */
  bool is_tls;
  const char *ca;            /* absolute path, PEM; NULL: the system's */
  uint16_t priority, weight; /* in _gslb-register._tcp */
};

struct config_parent { /* a balancer that this one registers with, as a resource of kind balancer */
  struct config_pos pos;
  const char *domain;  /* found by SRV there; NULL with address */
  struct addr address; /* family 0 with domain */
  bool is_tls;
  const char *ca;
  const char *token; /* the token itself, read from the file by the bundle */
  const char *id;    /* of the registration; default: identity's first label */
  const char *site;  /* NULL: none */
  int64_t lease_ms;
  struct addr *addresses; /* where clients find this balancer, without ports */
  size_t address_count;
  struct config_parent_service { /* which services it is a member of */
    const char *name;            /* at the parent */
    const char *own;             /* ours, whose state and load are reported; default: name */
    uint16_t port;               /* in SRV; 0: none */
  } * services;
  size_t service_count;
};

struct config_publish { /* dynamic update (RFC 2136) of another server */
  struct config_pos pos;
  struct addr server; /* with port */
  const char *zone;   /* there */
  uint32_t key;       /* index into keys, or CONFIG_NO_KEY */
  uint32_t from;      /* index into zones: whose registration service, browsing and services are told */
  bool has_services;  /* SRV of services and addresses of members too */
  bool has_browsing;  /* DNS-SD too */
};

struct config_mdns {
  const char *const *interfaces; /* names, NULL-terminated; NULL: none */
};

#endif
