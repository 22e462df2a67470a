/* gslb/net/outcome.h
 * How an exchange with another machine ended: one closed enum for the clients in gslb/net and for probes. Values; any
 * thread. */
#ifndef GSLB_NET_OUTCOME_H
#define GSLB_NET_OUTCOME_H

enum net_outcome {
  NET_ANSWERED,        /* an answer arrived; whether it is a good one is the caller's to judge */
  NET_REFUSED,         /* the other side does not listen there */
  NET_UNREACHABLE,     /* no way to it */
  NET_TIMEOUT_CONNECT, /* no connection in time */
  NET_TIMEOUT_TLS,     /* connected, and the handshake did not end in time */
  NET_TIMEOUT_ANSWER,  /* connected or sent, and not a byte of an answer in time */
  NET_TIMEOUT_BODY,    /* the answer began, and was not whole in time */
  NET_CLOSED,          /* the other side ended the connection before its answer was whole */
  NET_CERTIFICATE,     /* TLS: its certificate is not of a known authority, or not valid now */
  NET_NAME,            /* TLS: its certificate is for another name */
  NET_PROTOCOL,        /* what came is not of the protocol */
  NET_LOCAL,           /* this machine could not try (descriptors, memory); says nothing about the other side */
};

enum net_outcome net_outcome_of_errno(int error);
/* For a failed connect, send or receive. */

const char *net_outcome_text(enum net_outcome outcome);
/* For people: "connection refused", "time-out in connect"; borrowed, for ever. */

#endif
