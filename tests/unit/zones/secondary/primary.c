#include "tests/unit/zones/secondary/primary.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ldns/ldns.h>

struct primary_query {
  struct primary *primary;
  const struct primary_answer *answer;
  ldns_pkt *packet;
  ldns_rdf *mac; /* of the last message */
  int fd;        /* of the connection; -1: over UDP */
};

static void primary_add_lines(ldns_pkt *reply, const char *lines) {
  char *copy = strdup(lines), *rest = copy;
  for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
    ldns_rr *record;
    if (!*line)
      continue;
    ldns_status status = ldns_rr_new_frm_str(&record, line, 0, NULL, NULL);
    assert(status == LDNS_STATUS_OK);
    (void)status;
    ldns_pkt_push_rr(reply, LDNS_SECTION_ANSWER, record);
  }
  free(copy);
}

/* One message in wire form; free it. */
static uint8_t *primary_message(struct primary_query *query, const char *lines, bool is_first, bool is_signed,
                                size_t *size) {
  ldns_pkt *reply = ldns_pkt_new();
  ldns_rr *question = ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(query->packet), 0));
  ldns_pkt_set_id(reply, (uint16_t)(ldns_pkt_id(query->packet) ^ (query->answer->has_wrong_id ? 1 : 0)));
  ldns_pkt_set_qr(reply, true);
  ldns_pkt_set_aa(reply, true);
  ldns_pkt_set_tc(reply, query->answer->is_truncated && query->fd < 0);
  ldns_pkt_set_rcode(reply, query->answer->rcode);
  if (query->answer->has_wrong_question)
    ldns_rr_set_type(question, LDNS_RR_TYPE_MX);
  ldns_pkt_push_rr(reply, LDNS_SECTION_QUESTION, question);
  if (lines && !ldns_pkt_tc(reply))
    primary_add_lines(reply, lines);
  if (query->primary->key_name && is_signed) {
    ldns_status status = ldns_pkt_tsig_sign_next(reply, query->primary->key_name, query->primary->key_secret, 300,
                                                 "hmac-sha256.", query->mac, is_first ? 0 : 1);
    assert(status == LDNS_STATUS_OK);
    (void)status;
    ldns_rdf_deep_free(query->mac);
    query->mac = ldns_rdf_clone(ldns_rr_rdf(ldns_pkt_tsig(reply), 3));
  }
  uint8_t *wire;
  ldns_status status = ldns_pkt2wire(&wire, reply, size);
  assert(status == LDNS_STATUS_OK);
  (void)status;
  ldns_pkt_free(reply);
  return wire;
}

/* False: the other side has enough. */
static bool primary_send(const struct primary_query *query, const uint8_t *wire, size_t size, size_t sent) {
  uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
  return send(query->fd, length, sizeof length, MSG_NOSIGNAL) == 2 &&
         send(query->fd, wire, sent, MSG_NOSIGNAL) == (ssize_t)sent;
}

static void primary_stream(struct primary_query *query) {
  const struct primary_answer *answer = query->answer;
  bool goes_on = true;
  for (int i = 0; goes_on && (i == 0 || answer->messages[i]); i++) {
    bool is_last = i + 1 == PRIMARY_MESSAGES_MOST || !answer->messages[i + 1];
    size_t size;
    uint8_t *wire = primary_message(query, answer->messages[i], i == 0, !(is_last && answer->is_unsigned_end), &size);
    do
      goes_on = primary_send(query, wire, size, is_last && answer->breaks_off ? size / 2 : size);
    while (goes_on && is_last && answer->is_endless);
    free(wire);
  }
}

static const struct primary_answer *primary_choose(struct primary *primary, ldns_rr_type type) {
  switch (type) {
  case LDNS_RR_TYPE_AXFR:
    atomic_fetch_add(&primary->axfr_count, 1);
    return &primary->axfr;
  case LDNS_RR_TYPE_IXFR:
    atomic_fetch_add(&primary->ixfr_count, 1);
    return &primary->ixfr;
  default:
    atomic_fetch_add(&primary->soa_count, 1);
    return &primary->soa;
  }
}

static bool primary_read(struct primary_query *query, const uint8_t *wire, size_t size) {
  struct primary *primary = query->primary;
  if (ldns_wire2pkt(&query->packet, wire, size) != LDNS_STATUS_OK)
    return false;
  query->answer = primary_choose(primary, ldns_rr_get_type(ldns_rr_list_rr(ldns_pkt_question(query->packet), 0)));
  ldns_rr *tsig = ldns_pkt_tsig(query->packet);
  if (tsig) {
    query->mac = ldns_rdf_clone(ldns_rr_rdf(tsig, 3));
    if (primary->key_name)
      atomic_store(&primary->has_verified,
                   ldns_pkt_tsig_verify(query->packet, wire, size, primary->key_name, primary->key_secret, NULL));
  }
  return true;
}

static void primary_serve_udp(struct primary *primary) {
  uint8_t wire[4096];
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  struct primary_query query = {.primary = primary, .fd = -1};
  ssize_t got = recvfrom(primary->udp, wire, sizeof wire, 0, (struct sockaddr *)&from, &length);
  if (got > 0 && primary_read(&query, wire, (size_t)got) && !query.answer->is_absent) {
    size_t size;
    uint8_t *reply = primary_message(&query, query.answer->messages[0], true, true, &size);
    ssize_t sent = sendto(primary->udp, reply, size, 0, (struct sockaddr *)&from, length);
    (void)sent;
    free(reply);
  }
  ldns_rdf_deep_free(query.mac);
  ldns_pkt_free(query.packet);
}

static void primary_serve_tcp(struct primary *primary) {
  uint8_t wire[4096], length[2];
  struct primary_query query = {.primary = primary, .fd = accept(primary->tcp, NULL, NULL)};
  if (query.fd < 0)
    return;
  size_t size = 0;
  if (recv(query.fd, length, 2, MSG_WAITALL) == 2)
    size = (size_t)(length[0] << 8 | length[1]);
  if (size && size <= sizeof wire && recv(query.fd, wire, size, MSG_WAITALL) == (ssize_t)size &&
      primary_read(&query, wire, size)) {
    if (!query.answer->is_absent)
      primary_stream(&query);
    if (!query.answer->breaks_off) { /* until the other side closes, or the test ends */
      if (!query.answer->is_absent)
        shutdown(query.fd, SHUT_WR);
      struct pollfd ready[] = {{.fd = query.fd, .events = POLLIN}, {.fd = primary->stop, .events = POLLIN}};
      poll(ready, 2, -1);
    }
  }
  close(query.fd);
  ldns_rdf_deep_free(query.mac);
  ldns_pkt_free(query.packet);
}

static void *primary_run(void *argument) {
  struct primary *primary = argument;
  for (;;) {
    struct pollfd ready[] = {{.fd = primary->stop, .events = POLLIN},
                             {.fd = primary->udp, .events = POLLIN},
                             {.fd = primary->tcp, .events = POLLIN}};
    poll(ready, 3, -1);
    if (ready[0].revents)
      return NULL;
    if (ready[1].revents)
      primary_serve_udp(primary);
    if (ready[2].revents)
      primary_serve_tcp(primary);
  }
}

/* Both sockets on one free port. */
static void primary_open(struct primary *primary) {
  struct addr loopback;
  struct sockaddr_storage address;
  for (int i = 0; i < 100; i++) {
    addr_parse("127.0.0.1", &loopback);
    primary->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    primary->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = addr_to_sockaddr(&loopback, &address);
    int failed = bind(primary->tcp, (struct sockaddr *)&address, length);
    assert(!failed);
    failed = getsockname(primary->tcp, (struct sockaddr *)&address, &length);
    assert(!failed);
    addr_from_sockaddr((struct sockaddr *)&address, &primary->addr);
    if (bind(primary->udp, (struct sockaddr *)&address, length) == 0 && listen(primary->tcp, 16) == 0)
      return;
    close(primary->tcp);
    close(primary->udp);
  }
  abort();
}

void primary_start(struct primary *primary) {
  primary_open(primary);
  primary->stop = eventfd(0, EFD_CLOEXEC);
  int failed = pthread_create(&primary->thread, NULL, primary_run, primary);
  assert(!failed);
  (void)failed;
}

void primary_stop(struct primary *primary) {
  eventfd_write(primary->stop, 1);
  pthread_join(primary->thread, NULL);
  close(primary->udp);
  close(primary->tcp);
  close(primary->stop);
}
