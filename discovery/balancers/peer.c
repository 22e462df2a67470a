#include "discovery/balancers/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/net/outcome.h"

#define ANSWER_MOST 4096u

void balancer_name(const char *identity, char name[64]) {
  snprintf(name, 64, "gslb-%.*s", (int)strcspn(identity, "."), identity);
}

struct peer *peer_new(const struct config_peer *config, int64_t now_ms) {
  struct peer *peer = mem_alloc(sizeof *peer);
  peer->identity = mem_strdup(config->identity);
  peer->record.since_ms = now_ms;
  snprintf(peer->record.reason, sizeof peer->record.reason, "not yet asked");
  balancer_name(config->identity, peer->record.name);
  peer->record.addresses[0] = config->address;
  peer->record.address_count = 1;
  peer->record.is_tls = config->is_tls;
  peer->ca = config->ca ? mem_strdup(config->ca) : NULL;
  peer->record.priority = config->priority;
  peer->record.weight = config->weight;
  peer->is_dirty = true;
  return peer;
}

void peer_free(struct peer *peer) {
  if (!peer)
    return;
  free(peer->identity);
  free(peer->ca);
  free(peer);
}

bool peer_is_same(const struct peer *a, const struct peer *b) {
  return strcmp(a->identity, b->identity) == 0 && addr_equal(&a->record.addresses[0], &b->record.addresses[0]) &&
         a->record.is_tls == b->record.is_tls;
}

void peer_take_over(struct peer *peer, struct peer *next) {
  free(peer->ca);
  peer->ca = next->ca;
  next->ca = NULL;
  peer->record.priority = next->record.priority;
  peer->record.weight = next->record.weight;
  peer->is_dirty = true;
  peer_free(next);
}

void peer_recall(struct peer *peer, const struct balancer_record *stored) {
  if (stored->is_own || stored->address_count != 1 || !addr_equal(&stored->addresses[0], &peer->record.addresses[0]) ||
      stored->is_tls != peer->record.is_tls)
    return;
  peer->record.is_alive = stored->is_alive;
  peer->record.is_accepting = stored->is_accepting;
  peer->record.since_ms = stored->since_ms;
  peer->record.leaves_ms = stored->leaves_ms;
  memcpy(peer->record.reason, stored->reason, sizeof peer->record.reason);
}

void peer_request(const struct peer *peer, struct http_request *out) {
  *out = (struct http_request){.address = peer->record.addresses[0],
                               .host = peer->identity,
                               .path = "/v1/balancer",
                               .timeout_ms = PEER_TIMEOUT_MS,
                               .body_most = ANSWER_MOST,
                               .is_tls = peer->record.is_tls,
                               .ca = peer->ca,
                               .may_reuse = true};
}

struct answer {
  bool is_good;
  bool is_accepting;
  int64_t leaves_ms;
  char reason[96]; /* why it is not good */
};

static void read_document(const struct peer *peer, const json_t *document, struct answer *out) {
  const char *identity = json_string_value(json_object_get(document, "identity"));
  const json_t *accepting = json_object_get(document, "accepting");
  if (!identity || !json_is_boolean(accepting)) {
    snprintf(out->reason, sizeof out->reason, "its answer is none of a balancer");
  } else if (strcmp(identity, peer->identity) != 0) {
    snprintf(out->reason, sizeof out->reason, "another balancer answers: %.60s", identity);
  } else {
    out->is_good = true;
    out->is_accepting = json_is_true(accepting);
    out->leaves_ms = clock_parse_utc(json_string_value(json_object_get(document, "leaves_at")));
  }
}

static void read_answer(const struct peer *peer, const struct http_reply *reply, struct answer *out) {
  if (reply->outcome != NET_ANSWERED) {
    const char *detail = reply->detail ? reply->detail : "";
    snprintf(out->reason, sizeof out->reason, "%s%s%.60s", net_outcome_text(reply->outcome), detail[0] ? ": " : "",
             detail);
  } else if (reply->status != 200) {
    snprintf(out->reason, sizeof out->reason, "status %d", reply->status);
  } else {
    json_t *document = json_loadb(reply->body, reply->body_length, 0, NULL);
    read_document(peer, document, out);
    json_decref(document);
  }
}

bool peer_judge(struct peer *peer, const struct http_reply *reply, int64_t now_ms) {
  struct balancer_record *record = &peer->record, before = *record;
  struct answer answer = {0};
  if (reply->outcome == NET_LOCAL)
    return false;
  read_answer(peer, reply, &answer);
  if (answer.is_good) {
    peer->failures = 0;
    record->is_alive = true;
    record->is_accepting = answer.is_accepting;
    record->leaves_ms = answer.leaves_ms;
    record->reason[0] = '\0';
  } else if (++peer->failures >= PEER_FALL) {
    record->is_alive = record->is_accepting = false;
    memcpy(record->reason, answer.reason, sizeof record->reason);
  }
  bool has_turned = record->is_alive != before.is_alive || record->is_accepting != before.is_accepting;
  if (has_turned)
    record->since_ms = now_ms;
  bool is_news = has_turned || record->leaves_ms != before.leaves_ms;
  /* another reason alone is shown, and waits for the next write */
  peer->is_dirty |= is_news || strcmp(record->reason, before.reason) != 0;
  return is_news;
}
