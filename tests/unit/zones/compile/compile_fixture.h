/* tests/unit/zones/compile/compile_fixture.h
 * Zones and services made line by line, compiled to an image, and ways to look into that image. */
#ifndef GSLB_TESTS_UNIT_ZONES_COMPILE_COMPILE_FIXTURE_H
#define GSLB_TESTS_UNIT_ZONES_COMPILE_COMPILE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/base/memory.h"
#include "zones/compile/compile.h"
#include "zones/image/find.h"
#include "gslb/model/name.h"

#define ZONES_MOST 3
#define SERVICES_MOST 3
#define MEMBERS_MOST 3

enum { A = 1, NS = 2, CNAME = 5, SOA = 6, MX = 15, TXT = 16, AAAA = 28, SRV = 33, DNAME = 39, DS = 43 };

#define HEAD "$TTL 300\n@ SOA ns1 host 5 6 7 8 60\n@ NS ns1\nns1 A 192.0.2.53\n"

struct fixture {
  char directory[64];
  char *files[ZONES_MOST];
  struct config config;
  struct config_zone zones[ZONES_MOST];
  struct config_service services[SERVICES_MOST];
  struct config_member members[SERVICES_MOST][MEMBERS_MOST];
  struct problems problems;
  struct image image;
  int fd;
};

int set_up(void **state);
int tear_down(void **state);
void add_zone(struct fixture *fixture, const char *name, const char *text);
struct config_service *add_service(struct fixture *fixture, const char *name, const char *srv);
/* Its place is line 10 * (index + 1); the SRV's one line on, the members' two and more. */
void add_member(struct config_service *service, const char *name, uint16_t srv_port);
void compile(struct fixture *fixture);
void assert_refused(struct fixture *fixture, const char *file, int line, int column, const char *text);
/* The only problem told. */
void assert_zone_refused(struct fixture *fixture, const char *zone_text, int line, const char *text);
/* text may have one %s, for the zone's file: so it is a format for one argument, which is not always used. */
const struct image_node *look_up(const struct fixture *fixture, const char *text);
struct image_links links_of(const struct fixture *fixture, const char *name);
const struct image_rrset *rrset_of(const struct fixture *fixture, const char *name, uint16_t type);
uint32_t unit_of(const struct fixture *fixture, const char *name);
char *expand(const struct image_node *node, const struct image_rrset *rrset);
/* The RRset as a client would see it that asked for the node's own name: put into a message behind a question as it is,
 * decoded by ldns. Returns the records in a line each, fields apart by a blank; free() it. */
void assert_rrset(const struct fixture *fixture, const char *name, uint16_t type, const char *expected);
void assert_target(const struct fixture *fixture, const char *name, uint16_t type, uint16_t index, const char *target);
/* The target with that index of an RRset is the node of that name. */

#endif
