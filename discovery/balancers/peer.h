/* discovery/balancers/peer.h
 * Another balancer of ours as this one sees it: what to ask it, and what follows from its answer or from none. No I/O;
 * belongs to one thread. */
#ifndef GSLB_DISCOVERY_BALANCERS_PEER_H
#define GSLB_DISCOVERY_BALANCERS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/model/config.h"
#include "gslb/model/registration.h"
#include "gslb/net/http_client.h"

#define PEER_ASK_MS 2000
#define PEER_TIMEOUT_MS 1500
#define PEER_FALL 2u /* failures in a row until it counts as gone; the first answer brings it back */

struct peer {
  char *identity;
  char *ca; /* NULL: the system's */
  struct balancer_record record;
  unsigned failures;              /* in a row */
  bool is_dirty;                  /* the record is not stored as it is */
  struct http_transfer *transfer; /* of a question under way; this and asking are the asker's */
  void *asking;
};

struct peer *peer_new(const struct config_peer *config, int64_t now_ms);
/* Not alive until it answers. */
void peer_free(struct peer *peer);
/* NULL is fine. */

void peer_recall(struct peer *peer, const struct balancer_record *stored);
/* Goes on from what was stored of it, unless that is of another address. */
bool peer_is_same(const struct peer *a, const struct peer *b);
/* Whether they are asked at the same place, so that one can go on as the other. */
void peer_take_over(struct peer *peer, struct peer *next);
/* The rest of next, which is another configuration's, and freed. */

void peer_request(const struct peer *peer, struct http_request *out);
/* GET /v1/balancer. Borrows from peer. */

bool peer_judge(struct peer *peer, const struct http_reply *reply, int64_t now_ms);
/* Takes over an answer, or that there was none. True: alive, accepting or its plan changed. now_ms: house time. */

void balancer_name(const char *identity, char name[64]);
/* What a balancer is called where it is not told: gslb-<identity's first label>. */

#endif
