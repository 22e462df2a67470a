/* tests/unit/admin/served.h
 * Two listeners on one set of routes, as in control; the client is a plain socket. What a test needs beyond views and
 * the committer it puts into routes before served_start. */
#ifndef TESTS_UNIT_ADMIN_SERVED_H
#define TESTS_UNIT_ADMIN_SERVED_H

#include "tests/unit/admin/house.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "gslb/admin/routes.h"
#include "gslb/net/reply.h"

struct served {
  struct test_house *house;
  struct views views;
  struct committer *committer;
  struct routes routes;
  struct http_server *local, *tcp;
  char path[96];
  struct sockaddr_in tcp_address;
  int listening[2];
  struct house time;
};

void served_init(struct served *served);
/* The house and the clock of a zeroed struct served. */
struct view_sources served_sources(const struct served *served);
void served_listen(struct served *served);
void served_start(struct served *served, struct view *view);
/* Takes over view. */
struct view *served_view(const struct served *served, const char *text);
void served_quiesce(struct served *served);
int served_stop(struct served *served);
/* After what else answers calls was stopped. */
int served_send(struct served *served, bool over_tcp, const char *method, const char *path, const char *head,
                const char *body);
/* A connection on which the request was sent; head: further header lines, each with its end. */
char *served_read(int fd, const char *text);
/* What comes until the connection ends, or until text stands in it; free() it. */
char *served_ask(struct served *served, bool over_tcp, const char *method, const char *path, const char *head,
                 const char *body);
/* The whole answer to one request; free() it. */
void expect_in(char *answer, unsigned status, const char *text);
json_t *expect_json(char *answer, unsigned status);
/* The body of an answer of that status; json_decref() it. */

#endif
